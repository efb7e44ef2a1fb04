from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from examples import each_of
from hypothesis import given
from hypothesis import strategies as st

from rldk.adapters.base import BaseAdapter
from rldk.adapters.consoles.sb3 import SB3Stdout
from rldk.adapters.formats.sb3 import SB3Csv, SB3Json
from rldk.adapters.log import Log
from rldk.errors import MalformedInput, NoData, UsageError

FIXTURES = Path(__file__).parents[3] / "fixtures"
PPO, A2C, DQN = FIXTURES / "sb3-ppo/log", FIXTURES / "sb3-a2c", FIXTURES / "sb3-dqn/log"
HEADER = "time/total_timesteps,rollout/ep_rew_mean,train/value_loss,eval/mean_reward\n"


def cells(log: Log) -> list[tuple[int, str, float]]:
    return [(row.step, key, value) for row in log.table.rows() for key, value in sorted(row.values.items())]


def read(kind: type[BaseAdapter], path: Path, text: str | bytes) -> Log:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return kind(path).read()


def same(a: float, b: float, digits: int) -> bool:
    return a == b or (a != a and b != b) or math.isclose(a, b, rel_tol=0.51 * 10.0 ** (1 - digits))


@pytest.mark.parametrize("path", [PPO, A2C / "log"])
def test_csv_and_json_of_one_run_agree_to_float32(path: Path) -> None:
    csv, lines = cells(SB3Csv(path / "progress.csv").read()), cells(SB3Json(path / "progress.json").read())
    assert [c[:2] for c in csv] == [c[:2] for c in lines]
    assert all(same(a[2], b[2], 7) for a, b in zip(csv, lines, strict=True))


@pytest.mark.parametrize(
    ("boxes", "lines"),
    [(PPO / "log.txt", PPO / "progress.json"), (A2C / "stdout.txt", A2C / "log/progress.json")],
)
def test_boxes_and_json_of_one_run_agree_to_three_digits(boxes: Path, lines: Path) -> None:
    printed, kept = SB3Stdout(boxes).read(), SB3Json(lines).read()
    assert printed.precision == 3
    assert [c[:2] for c in cells(printed)] == [c[:2] for c in cells(kept)]
    assert all(same(a[2], b[2], 3) for a, b in zip(cells(printed), cells(kept), strict=True))


@pytest.mark.parametrize(
    ("path", "algorithm"), [(PPO, "ppo"), (A2C / "log", "a2c"), (DQN, "dqn")], ids=["ppo", "a2c", "dqn"]
)
def test_the_algorithm_is_told_from_the_keys(path: Path, algorithm: str) -> None:
    assert SB3Csv(path / "progress.csv").read().algorithm == algorithm


@pytest.mark.parametrize(
    "keys", [("train/ent_coef", "train/actor_loss", "sac"), ("train/actor_loss", "train/x", "td3")]
)
def test_off_policy_algorithms(tmp_path: Path, keys: tuple[str, str, str]) -> None:
    log = read(SB3Csv, tmp_path / "p.csv", f"time/total_timesteps,{keys[0]},{keys[1]}\n1,2,3\n")
    assert log.algorithm == keys[2]


def test_a_stated_nan_is_kept_apart_from_an_empty_cell() -> None:
    table = SB3Csv(A2C / "log/progress.csv").read().table
    assert table.stated_nan["train/explained_variance"].tolist() == [51]
    assert math.isnan(table.columns["eval/mean_reward"][0])
    assert "eval/mean_reward" not in table.stated_nan


def test_the_first_dump_has_no_training_metric() -> None:
    first = next(iter(SB3Csv(PPO / "progress.csv").read().table.rows()))
    assert first.step == 512
    assert not any(key.startswith("train/") for key in first.values)


def test_two_dumps_of_one_step_lose_nothing() -> None:
    last = list(SB3Csv(A2C / "log/progress.csv").read().table.rows())[-1]
    assert last.step == 20000
    assert (last.values["eval/mean_reward"], last.values["rollout/ep_rew_mean"]) == (369.0, 167.52)


def test_a_row_written_twice_stays_two_rows(tmp_path: Path) -> None:
    log = read(SB3Csv, tmp_path / "p.csv", HEADER + "8,1.0,,\n8,1.0,,\n")
    assert log.table.step.tolist() == [8, 8]


def test_a_row_of_evaluation_alone_is_an_eval_row(tmp_path: Path) -> None:
    log = read(SB3Csv, tmp_path / "p.csv", HEADER + "4,1.0,,\n8,,,5.0\n9,1.0,2.0,5.0\n")
    assert log.table.phase.tolist() == [0, 1, 0]


def test_steps_that_go_back_begin_a_segment(tmp_path: Path) -> None:
    log = read(SB3Csv, tmp_path / "p.csv", HEADER + "4,1,,\n8,1,,\n6,1,,\n")
    assert log.table.segment.tolist() == [0, 0, 1]


@each_of(
    ("line", "reason"),
    [("8,1.0", "2 fields"), ("x,1,2,3", "step is not"), (",,,", "the row has no"), ('8,"1,2,3', "a quote")],
)
def test_a_bad_csv_line_is_named_and_the_others_kept(tmp_path: Path, line: str, reason: str) -> None:
    log = read(SB3Csv, tmp_path / "p.csv", HEADER + f"4,1.0,,\n{line}\n12,1.0,,\n")
    assert log.table.step.tolist() == [4, 12]
    assert (log.lines, log.rejected_count, log.rejected[0].line) == (3, 1, 3)
    assert log.rejected[0].reason.startswith(reason)
    assert log.rejected[0].offset == len(HEADER) + 8


def test_strict_mode_raises_at_the_first_bad_line(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text(HEADER + "4,1.0,,\n8,1.0\n")
    with pytest.raises(MalformedInput, match="line 3"):
        SB3Csv(tmp_path / "p.csv", strict=True).read()


@pytest.mark.parametrize(
    ("kind", "path"),
    [(SB3Csv, PPO / "progress.csv"), (SB3Json, PPO / "progress.json"), (SB3Stdout, PPO / "log.txt")],
    ids=["csv", "json", "boxes"],
)
@given(data=st.data())
def test_a_torn_tail_costs_the_last_record_only(
    tmp_path_factory: pytest.TempPathFactory, kind: type[BaseAdapter], path: Path, data: st.DataObject
) -> None:
    whole = path.read_bytes()
    cut = data.draw(st.integers(len(whole) // 2, len(whole)))
    log = read(kind, tmp_path_factory.mktemp("torn") / path.name, whole[:cut])
    told = cells(kind(path).read())
    found = cells(log)
    assert set(found) <= set(told)
    lost = {step for step, _, _ in set(told) - set(found)}
    assert all(step >= log.table.step[-1] for step in lost)
    assert len(log.table) + log.rejected_count == log.lines


def test_keys_that_the_box_cut_off_stay_as_printed(tmp_path: Path) -> None:
    box = "\n".join(
        [
            "----------------------------------------------------",
            "| time/                                 |          |",
            "|    total_timesteps                    | 8        |",
            "| train/                                |          |",
            "|    a_metric_with_a_very_long_name_... | 1.5e-05  |",
            "| plain                                 | nan      |",
            "----------------------------------------------------\n",
        ]
    )
    columns = read(SB3Stdout, tmp_path / "log.txt", box).table.columns
    assert columns["train/a_metric_with_a_very_long_name_..."][0] == 1.5e-05
    assert math.isnan(columns["plain"][0])


def test_what_is_printed_between_boxes_and_inside_is_passed_over(tmp_path: Path) -> None:
    text = (PPO / "log.txt").read_text().replace("| train/ ", "\x1b[33mwarning\x1b[0m\n  5%|#  | 1/9\r\n| train/ ")
    assert cells(read(SB3Stdout, tmp_path / "log.txt", text)) == cells(SB3Stdout(PPO / "log.txt").read())


def test_json_has_bare_nan(tmp_path: Path) -> None:
    row = json.dumps({"time/total_timesteps": 4, "train/explained_variance": math.nan})
    log = read(SB3Json, tmp_path / "p.json", row + "\n" + row[:20] + "\n")
    assert log.table.stated_nan["train/explained_variance"].tolist() == [0]
    assert (log.lines, log.rejected_count) == (2, 1)


def test_a_header_alone_is_no_data(tmp_path: Path) -> None:
    with pytest.raises(NoData):
        read(SB3Csv, tmp_path / "p.csv", HEADER)


def test_two_runs_are_not_read_as_one() -> None:
    with pytest.raises(UsageError, match="holds 3 logs"):
        SB3Csv(FIXTURES).read()
