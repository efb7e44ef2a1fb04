"""`rldk emit` as a user calls it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from click.testing import CliRunner
from examples import each_of

from rldk.cli.main import main
from rldk.core.jsonl import decode


def _emit(*words: object) -> subprocess.CompletedProcess[str]:
    done = CliRunner().invoke(main, ["emit", *map(str, words)])
    return subprocess.CompletedProcess(words, done.exit_code, done.stdout, done.stderr)  # type: ignore[arg-type]


def test_an_event_is_one_line_with_all_that_was_said(tmp_path: Path) -> None:
    path = tmp_path / "new" / "m.jsonl"
    words = ("--to", path, "--name", "kl", "--value", "0.25", "--step", 7, "--time", "12.5", "--run-id", "r1")
    assert _emit(*words, "--tags", "phase=eval,host=a", "--meta", '{"note": [1]}').returncode == 0
    assert json.loads(path.read_text()) == {
        "time": 12.5, "step": 7, "name": "kl", "value": 0.25, "run_id": "r1",
        "tags": {"phase": "eval", "host": "a"}, "meta": {"note": [1]},
    }  # fmt: skip


def test_events_of_several_calls_make_a_log(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    for step, value in enumerate(("0.5", "nan", "-inf")):
        _emit("--to", path, "--name", "kl", "--value", value, "--step", step, "--time", "2026-11-20T10:00:00Z")
    found = decode(path).table
    assert found.step.tolist() == [0, 1, 2]
    assert found.columns["kl"].tolist()[::2] == [0.5, float("-inf")]
    assert found.stated_nan["kl"].tolist() == [1]
    assert found.time[0] == 1795168800.0


def test_a_dash_is_stdout_of_a_real_process() -> None:
    words = "rldk emit --to - --name kl --value 1 --step 0 --time 3".split()
    done = subprocess.run([sys.executable, "-m", *words], capture_output=True, text=True, check=True)
    assert done.stdout == '{"time": 3.0, "step": 0, "name": "kl", "value": 1.0}\n'


@each_of(
    ("option", "value", "code", "says"),
    [
        ("--value", "high", 2, "'high' is not a valid float"),
        ("--step", "1.5", 2, "'1.5' is not a valid integer"),
        ("--step", str(2**54), 2, "it must be a whole number"),
        ("--tags", "phase", 2, "key=value"),
        ("--time", "noon", 2, "ISO 8601"),
        ("--to", f"{__file__}/m.jsonl", 3, "cannot write"),
    ],
)
def test_a_wrong_option_is_one_error(tmp_path: Path, option: str, value: str, code: int, says: str) -> None:
    words: dict[str, Any] = {"--to": tmp_path / "m.jsonl", "--name": "kl", "--value": 1, "--step": 1, option: value}
    done = _emit(*(word for pair in words.items() for word in pair))
    assert (done.returncode, done.stdout) == (code, "")
    assert says in done.stderr
    assert "Traceback" not in done.stderr
