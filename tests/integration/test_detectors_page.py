"""The page on how good the detectors are is made of what is measured."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.detectors import page

PAIRS = Path(__file__).parents[1] / "corpus" / "pairs"


@pytest.mark.slow
def test_the_page_is_filled_in(tmp_path: Path) -> None:
    for run in sorted(p for p in PAIRS.iterdir() if p.is_dir())[:3]:
        shutil.copytree(run, tmp_path / run.name)
    (tmp_path / "README.md").write_text("# Title\n\nThree runs.\n\nMore.\n")
    text = page([("A few", tmp_path)], 1)
    assert "## A few\n\nThree runs.\n\n" in text
    assert "cross-validated by fault" in text
    assert not {"{corpora}", "{trained}", "{health}"} & set(text.split())
