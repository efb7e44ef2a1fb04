"""The generated pages are those of the code as it is."""

from __future__ import annotations

from rldk.docs import pages, stale


def test_generated_pages_are_fresh() -> None:
    assert stale(pages()) == []
