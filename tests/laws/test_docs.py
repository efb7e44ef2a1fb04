"""The generated pages are those of the code as it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from rldk.cli.main import main
from rldk.docs import pages, stale

ROOT = Path(__file__).parents[2]


def test_generated_pages_are_fresh() -> None:
    assert stale(pages()) == []


def test_readme_shows_the_real_output(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    block = (ROOT / "README.md").read_text().split("```\n")[3]
    result = CliRunner().invoke(main, ["tests/fixtures/trl-grpo-collapse", "--no-color"], env={"COLUMNS": "100"})
    assert result.output.startswith(block.split("[...]")[0])


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) < 150
