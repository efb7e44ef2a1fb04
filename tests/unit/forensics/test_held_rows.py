"""Forensics of held rows of several kinds, which are judged together, measures what it measures row by row."""

from __future__ import annotations

from pathlib import Path

import pytest
from examples import at_most
from hypothesis import given, settings
from hypothesis import strategies as st
from odd_runs import odd_run

from rldk.adapters.open import open_runs
from rldk.core.model import Run
from rldk.engine import mixed, session
from rldk.errors import RldkError
from rldk.forensics.comprehensive import ComprehensivePPOForensics

FIXTURES = Path(__file__).parents[2] / "fixtures"


def measured(run: Run, monkeypatch: pytest.MonkeyPatch, *, together: bool) -> str:
    """The analysis, and the metrics of every update; the signs of zeros count."""
    with monkeypatch.context() as patch:
        patch.setattr(session, "SOME_BLOCKS", 2 if together else 10**9)
        patch.setattr(mixed, "LEAST_ROWS", 2)
        forensics = ComprehensivePPOForensics.of_run(run)
        history = {name: column.tolist() for name, column in forensics.history().columns.items()}
        return repr((forensics.get_comprehensive_analysis(), history))


@pytest.mark.slow
@settings(max_examples=at_most(30), deadline=None)
@given(seed=st.integers(0, 10**9), rows=st.integers(1, 700))
def test_odd_runs_are_measured_as_row_by_row(seed: int, rows: int) -> None:
    run = odd_run(seed, rows)
    patch = pytest.MonkeyPatch()
    assert measured(run, patch, together=True) == measured(run, patch, together=False)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(path.name for path in FIXTURES.iterdir() if path.is_dir()))
def test_genuine_logs_are_measured_as_row_by_row(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        runs = open_runs(FIXTURES / name)
    except RldkError:
        pytest.skip("no log of a run")
    for run in runs:
        assert measured(run, monkeypatch, together=True) == measured(run, monkeypatch, together=False)
