"""Which values are usual for a metric: at the ends of what is likely, and beyond them."""

from __future__ import annotations

import math

from rldk.core.vocabulary import vocabulary


def test_the_ends_of_what_is_likely_are_usual() -> None:
    words, tried = vocabulary(), 0
    for name, metric in words.metrics.items():
        if "{" in name:
            continue
        whole = metric.direction == "counter" and metric.unit == "count"
        low, high = metric.likely
        for edge, beyond in ((low, -math.inf), (high, math.inf)):
            if edge is None or not words.admits(name, edge, edge):
                continue
            tried += 1
            assert words.fits(name, edge, edge, whole=whole), (name, edge)
            assert not words.fits(name, *sorted((edge, math.nextafter(edge, beyond))), whole=whole), (name, edge)
    assert tried > 10
