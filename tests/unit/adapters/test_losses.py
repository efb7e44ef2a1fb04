from __future__ import annotations

from rldk.adapters.base import adapters


def test_every_format_says_what_it_keeps_and_loses() -> None:
    silent = [a.name for a in adapters if not (a.keeps and a.loses)]
    assert silent == []
