"""What a KL drift analysis says on a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rldk.cards import terminal
from rldk.cards.forensics import drift_view
from rldk.forensics import ComprehensivePPOForensics


def shown(kl: Sequence[float]) -> str:
    forensics = ComprehensivePPOForensics()
    for i, x in enumerate(kl):
        forensics.update(i, x, 0.2, 2.0, 0.5 + 0.001 * (i % 5))
    return terminal.render(drift_view(forensics.get_kl_drift_analysis(), "run.jsonl", files=["a.json"]))


def test_the_distance_of_the_two_periods_is_told_in_both_measures() -> None:
    text = shown([0.1 + 0.001 * (i % 7) for i in range(60)] + [0.6] * 60)
    assert "steps 0-59: median 0.103" in text
    assert "steps 60-119: median 0.6" in text
    assert "1.00 of 1 (Jensen-Shannon), 167.6 robust standard deviations" in text
    assert "wrote a.json" in text


def test_a_reference_that_never_moved_has_no_measure_of_its_own() -> None:
    text = shown([0.1] * 60 + [0.6] * 60)
    assert "1.00 of 1 (Jensen-Shannon)\n" in text
    assert "standard deviations" not in text


def test_a_short_run_has_no_periods_to_compare() -> None:
    text = shown([0.1] * 39)
    assert text.startswith("Too early to say: 39 rows have a KL")
    assert "Jensen-Shannon" not in text
    assert "Jensen-Shannon" in shown([0.1] * 40)
