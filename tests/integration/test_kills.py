"""Processes that are killed at random moments leave whole files and say everything once."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

import random

import kills


@pytest.mark.slow
def test_what_a_killed_process_leaves_is_whole() -> None:
    done, faults = kills.campaign(3, writer=8, monitor=2, files=6, runs=3)
    assert faults == []
    assert done == {"writer": 8, "monitor": 2, "file": 6, "run": 3}


def test_a_log_with_a_missing_row_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check itself can fail."""
    broken = kills.WRITER.replace("step=step)", "step=2 * step)")
    monkeypatch.setattr(kills, "WRITER", broken)
    assert "missing or doubled" in kills.kill_writer(tmp_path, random.Random(1))
