"""The generated pages are those of the code as it is."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from rldk import docs
from rldk.cli.main import main
from rldk.docs import pages, stale

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    return pages()


def test_generated_pages_are_fresh(made: dict[str, str]) -> None:
    assert stale(made) == []


def test_a_check_changes_nothing_and_names_what_is_stale(
    made: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(docs, "pages", lambda: made)  # to make them takes half a second
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    monkeypatch.setattr(docs, "DOCS", tmp_path / "docs")
    (tmp_path / "docs" / "cli.md").write_text("old")
    (tmp_path / "docs" / "rules" / "KL999.md").write_text("no such rule")
    assert docs.run(["--check"]) == 1
    assert [line.split()[0] for line in capsys.readouterr().err.splitlines()] == ["docs/cli.md", "docs/rules/KL999.md"]
    assert (tmp_path / "docs" / "cli.md").read_text() == "old"
    assert docs.run([]) == docs.run(["--check"]) == 0


def test_readme_shows_the_real_output(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    block = (ROOT / "README.md").read_text().split("```\n")[3]
    result = CliRunner().invoke(main, ["tests/fixtures/trl-grpo-collapse", "--no-color"], env={"COLUMNS": "100"})
    assert result.output.startswith(block.split("[...]")[0])


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) < 150
