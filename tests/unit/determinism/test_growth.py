"""How the difference between replicas grows: its curve, and what is said of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pytest
from msgspec.structs import replace

from rldk import cards
from rldk.cards import page
from rldk.core.table import MetricTable, TableBuilder
from rldk.determinism.growth import DRAWN, FLOOR, DifferenceGrowth, growth_curve, growth_of, growth_words
from rldk.engine.compare.replicas import StepChoice, spreads

ALL = StepChoice()


def table(columns: Mapping[str, Sequence[float]]) -> MetricTable:
    built = TableBuilder()
    for step, row in enumerate(zip(*columns.values(), strict=True)):
        built.add(step, dict(zip(columns, row, strict=True)))
    return built.build()


def growths(*replicas: Mapping[str, Sequence[float]], window: StepChoice = ALL) -> tuple[DifferenceGrowth, ...]:
    tables = [table(one) for one in replicas]
    return growth_of(tables, spreads(tables, list(replicas[0]), window), window)


def chaotic(nudge: float, count: int = 200, at: int = 40) -> list[float]:
    """The logistic map: a nudge grows tenfold every five steps or so."""
    x, made = 0.3, []
    for step in range(count):
        x += nudge if step == at else 0.0
        x = 3.9 * x * (1 - x)
        made.append(x)
    return made


def test_rounding_that_grows_is_seen_from_its_first_step() -> None:
    (one,) = growths({"loss": chaotic(0.0)}, {"loss": chaotic(1e-16)}, {"loss": chaotic(0.0)})
    assert (one.first_step, one.grows, one.unequal) == (40, True, 160)
    assert one.first_share < 1e-14 < 0.5 < one.largest
    assert 90 < one.near_step < 140
    assert "it grows tenfold about every 6 steps until step" in growth_words(one)


def test_the_curve_lies_on_its_floor_while_all_bits_are_equal() -> None:
    (one,) = growths({"loss": chaotic(0.0)}, {"loss": chaotic(1e-16)})
    curve = growth_curve(one, 1e-3)
    assert curve.log
    assert set(curve.value[:40]) == {FLOOR}
    assert curve.value[40] == pytest.approx(one.first_share, rel=1e-3)
    assert [limit.value for limit in curve.limits] == [1e-5, 1e-3]
    assert [limit.value for limit in growth_curve(one, 0.0).limits] == [1e-5]


def test_rounding_that_stays_as_it_is_does_not_grow() -> None:
    first = [1.0 + step / 100 for step in range(100)]
    (one,) = growths({"loss": first}, {"loss": [math.nextafter(value, 9) for value in first]})
    assert not one.grows
    assert growth_words(one).endswith("no growth is seen")


def test_few_differences_say_nothing_of_growth() -> None:
    other = [1.0] * 50
    other[10], other[20] = 1.5, 2.0
    (one,) = growths({"loss": [1.0] * 50}, {"loss": other})
    assert (one.unequal, one.largest_step) == (2, 20)
    assert "2 unequal steps are too few" in growth_words(one)


def test_a_value_beside_none_is_marked_and_not_drawn() -> None:
    other = chaotic(1e-16)
    other[150] = math.nan
    (one,) = growths({"loss": chaotic(0.0)}, {"loss": other})
    assert (one.apart, 150 in one.step) == ((150,), False)
    assert growth_curve(one, 0.0).gaps == (150,)


def test_the_metrics_that_differ_first_are_drawn_and_equal_ones_never() -> None:
    names = [f"own_{i}" for i in range(DRAWN + 2)]
    calm = {name: chaotic(0.0) for name in (*names, "same")}
    moved = {name: chaotic(1e-9, at=60 - i) for i, name in enumerate(names)} | {"same": chaotic(0.0)}
    made = growths(calm, moved)
    assert [one.metric for one in made] == names[::-1][:DRAWN]
    assert growths(calm, calm) == ()
    assert growths({"loss": [0.0, 1.0]}, {"loss": [-0.0, 1.0]}) == ()  # other bits, the same number


def test_only_compared_steps_are_drawn_and_long_curves_are_thinned_out() -> None:
    pair = {"loss": chaotic(0.0, 5000)}, {"loss": chaotic(1e-16, 5000)}
    (one,) = growths(*pair, window=StepChoice(steps=100))
    assert one.step[-1] == 99
    (one,) = growths(*pair)
    assert len(one.step) <= 602
    assert max(one.share) == pytest.approx(one.largest, rel=1e-3)


def test_a_card_draws_the_growth_on_a_log_scale() -> None:
    rows = [[{"step": i, "loss": v} for i, v in enumerate(chaotic(nudge, 400))] for nudge in (0.0, 1e-16)]
    card = cards.generate_determinism_card(rows)
    assert [(one.name, one.log) for one in card.curves] == [("difference in loss, as a share of the value", True)]
    assert card.notes[0].topic == "growth"
    html = page.render(card.view())
    assert "step (values on a log scale)" in html
    assert "more than rounding" in html
    straight = replace(card, curves=tuple(replace(one, log=False) for one in card.curves))
    assert "log scale)" not in page.render(straight.view())
    assert card.command == ""
