"""The how-to page of preflight: its commands and its code print what it shows."""

from __future__ import annotations

import re
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

from click.testing import CliRunner

from rldk.cli.main import main

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "preflight.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", PAGE, re.DOTALL)


def _block(kind: str, start: str = "") -> str:
    return next(text for name, text in BLOCKS if name == kind and text.startswith(start))


def test_the_configuration_gives_the_report_that_is_shown(tmp_path: Path) -> None:
    path, versions = tmp_path / "grpo.yaml", tmp_path / "versions.txt"
    path.write_text(_block("yaml"))
    versions.write_text("numpy==2.0.0\n")
    words = ["preflight", str(path), "--processes", "1", "--packages", str(versions)]
    printed = CliRunner().invoke(main, words).output
    for piece in _block("", "Critical before the first step: a generation").split("   ...\n"):
        assert piece.strip() in printed


def test_the_code_prints_what_is_shown() -> None:
    out = StringIO()
    with redirect_stdout(out):
        exec(compile(_block("python"), "preflight.md", "exec"), {})
    assert out.getvalue() == _block("", "Critical before the first step: 10 of 10")
