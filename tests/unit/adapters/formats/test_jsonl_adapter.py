from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from examples import each_of
from hypothesis import given
from hypothesis import strategies as st

from rldk.adapters.base import adapters
from rldk.adapters.formats.jsonl import CustomJSONLAdapter
from rldk.adapters.source import File
from rldk.errors import MalformedInput, NoData

FIXTURES = Path(__file__).parents[3] / "fixtures"


def log(tmp_path: Path, *lines: object) -> Path:
    path = tmp_path / "log"
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return path


@each_of(
    ("lines", "likely"),
    [
        ([{"step": 1, "name": "kl", "value": 0.1}], True),
        ([{"step": 1, "metrics": {"kl": 0.1}}], True),
        ([{"step": 1, "kl": 0.1}, "tqdm noise", {"step": 2, "kl": "NaN"}], True),
        ([{"kl": 0.1}, {"kl": 0.2}], True),
        ([{"lr": 0.1}], False),
        ([{"step": 1, "prompt": "a", "reward": 1.0}], False),
        ([{"code": "KL001", "severity": "warn", "step": 3}], False),
        (["[1, 2]", "3"], False),
        (["{'step': 1, 'kl': 0.1}"], False),
    ],
)
def test_it_knows_metrics_from_other_json(tmp_path: Path, lines: list[object], likely: bool) -> None:
    assert (CustomJSONLAdapter.sniff(File(log(tmp_path, *lines))) > 0) == likely


@pytest.mark.parametrize("name", ["verl-grpo-format", "sb3-ppo", "rllib-ppo"])
def test_a_trainers_own_adapter_goes_before_it(name: str) -> None:
    for path in (p for p in (FIXTURES / name).rglob("*") if p.is_file()):
        mine = CustomJSONLAdapter.sniff(File(path))
        assert mine == 0 or mine < max(kind.sniff(File(path)) for kind in adapters)


def test_a_genuine_log_is_read_without_its_own_adapter(tmp_path: Path) -> None:
    source = next((FIXTURES / "sb3-ppo").rglob("progress.json"))
    run = CustomJSONLAdapter(shutil.copy(source, tmp_path / "log.jsonl")).load_run()
    rows = [json.loads(line) for line in source.read_text().splitlines()]
    assert run.metrics.step.tolist() == [row["time/total_timesteps"] for row in rows]
    assert run.lines == len(rows)


def test_the_log_names_the_run(tmp_path: Path) -> None:
    path = log(tmp_path, {"step": 1, "metrics": {"kl": 0.1}, "model_info": {"run_id": "exp-7", "git_sha": "abc"}}, "{")
    run = CustomJSONLAdapter(path).load_run()
    assert (run.id, run.meta.git_sha, run.lines, run.rejected_count) == ("exp-7", "abc", 2, 1)


def test_the_user_may_name_the_clock(tmp_path: Path) -> None:
    path = log(tmp_path, {"step": 1, "env_steps": 512, "kl": 0.1})
    assert CustomJSONLAdapter(path, step_key="env_steps").read().table.step.tolist() == [512]


def test_strict_and_empty_logs_are_clear_errors(tmp_path: Path) -> None:
    with pytest.raises(MalformedInput, match="line 2"):
        CustomJSONLAdapter(log(tmp_path, {"step": 1, "kl": 1}, "{"), strict=True).read()
    with pytest.raises(NoData, match=r"not JSON.*line 1"):
        CustomJSONLAdapter(log(tmp_path, "oops", {"step": 1})).read()


@given(st.binary(max_size=200) | st.binary(max_size=60).map(lambda tail: b'{"step":1,"kl":2}\n' + tail))
def test_no_bytes_make_sniffing_fail(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("sniff") / "f"
    path.write_bytes(data)
    assert 0 <= CustomJSONLAdapter.sniff(File(path)) <= 100
