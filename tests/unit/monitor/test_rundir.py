from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from rldk.errors import UsageError
from rldk.monitor.rundir import run_directory

NOW = datetime(2026, 3, 1, 9, 30, 5)


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (["python", "-u", "src/train.py", "--lr", "1"], "train"),
        (["python", "-m", "trainer.cli"], "trainer.cli"),
        (["/opt/bin/torchrun", "--nproc", "2"], "torchrun"),
        (["sh", "-c", "exit 0"], "sh"),
        (["..."], "run"),
    ],
)
def test_a_directory_is_named_after_the_command_and_the_time(
    command: list[str], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = [run_directory(None, command, NOW).path for _ in range(2)]
    assert made == [Path(f"runs/{name}-20260301-093005"), Path(f"runs/{name}-20260301-093005-2")]


def test_a_directory_that_cannot_be_made_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="run directory"):
        run_directory(tmp_path / "file" / "run", ["x"], NOW)


def test_a_thousand_directories_have_one_name_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    name = run_directory(None, ["x"], NOW).path
    for number in range(2, 1000):
        name.with_name(f"{name.name}-{number}").mkdir()
    assert run_directory(None, ["x"], NOW).path.name.endswith("-1000")
    with pytest.raises(UsageError, match="1000 run directories are called x-2026"):
        run_directory(None, ["x"], NOW)
