"""The how-to page of the audit: its program gives the report that is shown, and its code runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from rldk.cli.main import main
from rldk.provenance.environment import VARIABLES

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "audit-determinism.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", PAGE, re.DOTALL)


def _block(kind: str, start: str) -> str:
    return next(text for name, text in BLOCKS if name == kind and text.startswith(start))


@pytest.fixture(autouse=True)
def _program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(_block("python", "import os"))


def test_the_program_gives_the_report_that_is_shown() -> None:
    printed = CliRunner().invoke(main, ["env-audit", "train.py"]).stdout.replace("`", "")
    for piece in _block("", "Warning:").replace("`", "").split("   ...\n"):
        assert piece.strip() in printed


def test_a_changed_package_is_named_as_shown(tmp_path: Path) -> None:
    CliRunner().invoke(main, ["env-audit", "train.py"])
    lock = tmp_path / "rldk.lock"
    lock.write_text(re.sub(r'"numpy": "[^"]*"', '"numpy": "1.26.0"', lock.read_text()))
    printed = CliRunner().invoke(main, ["env-audit", "train.py"]).stdout
    shown = _block("", "1. WARNING  DET057").splitlines()
    assert shown[0].removeprefix("1. ") in printed
    assert shown[1].partition("->")[0] in printed


def test_the_code_runs(capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(_block("python", "from rldk"), "audit-determinism.md", "exec"), {})
    first, second = capsys.readouterr().out.splitlines()
    assert first == "Warning: train.py:9 makes a generator without a seed. 5 more findings."
    assert second == "['PYTHONHASHSEED']"


def test_the_fixes_that_the_page_names_are_there() -> None:
    assert CliRunner().invoke(main, ["seed", "--env", "--seed", "0"]).stdout.startswith("export ")
    assert CliRunner().invoke(main, ["seed", "exec", "--help"]).exit_code == 0
