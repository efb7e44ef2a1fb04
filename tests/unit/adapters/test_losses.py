from __future__ import annotations

from rldk.adapters.base import adapters
from rldk.adapters.losses import losses


def test_every_format_says_what_it_keeps_and_loses() -> None:
    told = losses()
    assert set(told) == {a.name for a in adapters if a.name != "flexible"}
    assert all(keeps and loses for keeps, loses in told.values())
