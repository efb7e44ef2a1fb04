from __future__ import annotations

import gzip
import json
import math
from pathlib import Path

import pytest
from examples import at_most, each_of
from hypothesis import given, settings
from hypothesis import strategies as st

from rldk.adapters.base import BaseAdapter
from rldk.adapters.consoles.rllib import RLlibStdout
from rldk.adapters.formats.rllib import RLlibCsv, RLlibJson
from rldk.adapters.log import Log
from rldk.adapters.source import File
from rldk.errors import NoData

FOLDER = Path(__file__).parents[3] / "fixtures/rllib-ppo"
RESULT, PROGRESS, STDOUT = FOLDER / "trial/result.json", FOLDER / "trial/progress.csv", FOLDER / "stdout.txt"


def cells(log: Log) -> dict[tuple[int, str], float]:
    return {(row.step, key): value for row in log.table.rows() for key, value in row.values.items()}


def agree(a: dict[tuple[int, str], float], b: dict[tuple[int, str], float]) -> bool:
    return all(a[k] == b[k] or (math.isnan(a[k]) and math.isnan(b[k])) for k in a.keys() & b.keys())


@pytest.mark.parametrize(("kind", "path", "shared"), [(RLlibCsv, PROGRESS, 290), (RLlibStdout, STDOUT, 97)])
def test_every_format_of_one_run_has_the_same_values(kind: type[BaseAdapter], path: Path, shared: int) -> None:
    other, lines = cells(kind(path).read()), cells(RLlibJson(RESULT).read())
    assert len(other.keys() & lines.keys()) >= shared
    assert agree(other, lines)


def test_the_step_is_the_iteration_and_the_env_steps_stay() -> None:
    log = RLlibJson(RESULT).read()
    assert log.table.step.tolist() == [1, 2, 3]
    assert log.table.columns["num_env_steps_sampled_lifetime"][0] == 1000.0


def test_configuration_and_bookkeeping_are_no_metrics() -> None:
    log = RLlibJson(RESULT).read()
    assert not [k for k in log.table.columns if k.startswith("config/") or k in ("pid", "done", "timestamp")]
    assert (log.config["lr"], log.meta["seed"]) == (0.0003, 4)
    assert [Path(f).name for f in log.meta["files"]] == ["result.json", "params.json"]


def test_without_params_json_the_lines_tell_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_bytes(RESULT.read_bytes())
    log = RLlibJson(tmp_path / "result.json").read()
    assert (log.config["lr"], log.meta) == (0.0003, {"seed": 4})


@each_of("text", ["{", "[1]", "[" * 100_000, "\0"])
def test_a_bad_params_json_is_passed_over(tmp_path: Path, text: str) -> None:
    (tmp_path / "progress.csv").write_bytes(PROGRESS.read_bytes())
    (tmp_path / "params.json").write_text(text)
    assert RLlibCsv(tmp_path / "progress.csv").read().config == {}


def test_a_nan_is_stated_in_every_format() -> None:
    name = "learners/default_policy/num_trainable_parameters"
    for kind, path in ((RLlibJson, RESULT), (RLlibCsv, PROGRESS), (RLlibStdout, STDOUT)):
        assert kind(path).read().table.stated_nan[name][0] == 1


def test_the_csv_lacks_what_came_after_the_first_result() -> None:
    late = "timers/synch_env_connectors"
    assert late in RLlibJson(RESULT).read().table.columns
    assert late not in RLlibCsv(PROGRESS).read().table.columns


@each_of(
    ("keys", "framework", "algorithm"),
    [
        (["learners/p0/curr_kl_coeff"], "rllib", "ppo"),
        (["learners/p0/alpha_value", "learners/p0/qf_mean"], "rllib", "sac"),
        (["info/learner/default_policy/learner_stats/mean_q"], "rllib", "dqn"),
        (["mean_accuracy"], "ray_tune", None),
    ],
)
def test_who_wrote_it_is_told_from_the_keys(
    tmp_path: Path, keys: list[str], framework: str, algorithm: str | None
) -> None:
    row = {"training_iteration": 1, "trial_id": "a", **dict.fromkeys(keys, 0.5)}
    (tmp_path / "result.json").write_text(json.dumps(row) + "\n")
    log = RLlibJson(tmp_path / "result.json").read()
    assert (log.framework, log.algorithm) == (framework, algorithm)


def test_trials_on_one_terminal_are_runs_of_their_own(tmp_path: Path) -> None:
    text = STDOUT.read_text()
    (tmp_path / "out").write_text(text + text.replace("f206b_00000:", "f206b_00001:"))
    first, second = RLlibStdout.runs(File(tmp_path / "out"))
    assert second == first[:-1] + "1"
    assert len(RLlibStdout(tmp_path / "out", run=second).read().table) == 2
    assert RLlibStdout(tmp_path / "out").read().notes[0].startswith("rldk did not read the results of 1 other")


def test_status_tables_alone_are_no_data(tmp_path: Path) -> None:
    (tmp_path / "out").write_text(STDOUT.read_text().split("Result for")[0])
    assert RLlibStdout.sniff(File(tmp_path / "out")) == 50
    with pytest.raises(NoData):
        RLlibStdout(tmp_path / "out").read()


@pytest.mark.parametrize(("kind", "path"), [(RLlibCsv, PROGRESS), (RLlibStdout, STDOUT)], ids=["csv", "stdout"])
@settings(max_examples=at_most(40))
@given(data=st.data())
def test_a_torn_tail_never_gives_a_wrong_value(
    tmp_path_factory: pytest.TempPathFactory, kind: type[BaseAdapter], path: Path, data: st.DataObject
) -> None:
    whole = path.read_bytes()
    torn = tmp_path_factory.mktemp("torn") / path.name
    torn.write_bytes(whole[: data.draw(st.integers(int(len(whole) * 0.7), len(whole)))])
    log, told = kind(torn).read(), cells(kind(path).read())
    assert cells(log).keys() <= told.keys()
    assert agree(cells(log), told)
    assert len(log.table) + log.rejected_count == log.lines


def test_an_archive_that_breaks_off_is_said_to(tmp_path: Path) -> None:
    packed = gzip.compress(STDOUT.read_bytes())
    (tmp_path / "out.gz").write_bytes(packed[: int(0.8 * len(packed))])
    log = RLlibStdout(tmp_path / "out.gz").read()
    assert [r.reason for r in log.rejected if "breaks off" in r.reason]
    assert len(log.table) > 0
