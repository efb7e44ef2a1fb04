"""The how-to page of the determinism check: its program gives the report that is shown, and its code runs."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from rldk.cli.main import main

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "check-determinism.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", PAGE, re.DOTALL)


def _block(kind: str, start: str) -> str:
    return next(text for name, text in BLOCKS if name == kind and text.startswith(start))


@pytest.fixture(autouse=True)
def _program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONHASHSEED", raising=False)
    monkeypatch.chdir(tmp_path)
    Path("train.py").write_text(_block("python", "import random"))


@pytest.mark.slow
def test_the_program_gives_the_report_that_is_shown() -> None:
    argv = [
        "check-determinism",
        "--cmd",
        f"{sys.executable} train.py {{seed}}",
        "--counterfactual",
        "--output-dir",
        "d",
    ]
    done = CliRunner().invoke(main, argv)
    assert done.exit_code == 1
    for start in ("Likely culprit", "With one thing changed"):
        assert _block("", start).strip().replace("`", "") in done.stdout.replace("`", "")
    train = Path("train.py")
    train.write_text(train.read_text().replace("in tasks]", "in sorted(tasks)]"))
    assert "5 replicas agree bit by bit" in CliRunner().invoke(main, argv).stdout


@pytest.mark.slow
def test_the_code_runs(capsys: pytest.CaptureFixture[str]) -> None:
    code = _block("python", "from rldk").replace('"python ', f'"{sys.executable} ')
    exec(compile(code, "check-determinism.md", "exec"), {})
    kind, where = capsys.readouterr().out.rsplit(" ", 1)
    assert kind in ("seed ignored", "input-level")
    assert where.strip() == "train.py:6"


def test_every_option_of_the_page_is_there() -> None:
    shown = CliRunner().invoke(main, ["check-determinism", "--help"]).stdout
    assert [
        option
        for option in set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", PAGE)) - {"--out", "--seed"}
        if option not in shown
    ] == []
