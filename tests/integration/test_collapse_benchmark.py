from __future__ import annotations

import pytest
from benchmarks.collapse import measure


@pytest.mark.slow
def test_falls_are_warned_of_soon_and_dips_are_not() -> None:
    found = measure(60, seed=20_000)
    assert len(found.late) <= 3
    assert len(found.falsely) <= 1
    assert all(len(seeds) <= 1 for seeds in found.deep.values()), found.deep
