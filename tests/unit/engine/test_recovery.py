"""Over is what is back where it was, not what the window of a rule has slid past."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable

import pytest
from examples import each_of, every
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from rldk.core.model import Alert
from rldk.core.table import Row
from rldk.engine.alerts import Alerts
from rldk.engine.live import Engine
from rldk.rules.page import Page
from rldk.rules.rule import INFO_COOLDOWN, Context, Frame, Rule, Signal
from rldk.rules.select import select_rules

N, FAULT = 400, 150


def leaps(f: Frame) -> Signal | None:
    """Fires while a window of ten still holds the change, as rules about sudden changes do."""
    gone = abs(f.median("kl", 3) - f.median("kl", 10, before=3))
    return Signal(value=gone, message="the KL left its level") if gone > 0.5 else None


LEAPS = Rule(
    code="KL001", name="leaps", severity="warn", tier=2, body=leaps, page=Page(what="", sections={}),
    metric="kl", needs=("kl",),
)  # fmt: skip


def rows_of(values: Iterable[float], metric: str = "kl") -> list[Row]:
    return [Row(step=i + 1, values={metric: x}) for i, x in enumerate(values)]


def alerts_of(engine: Engine, rows: Iterable[Row]) -> list[Alert]:
    said = Alerts(engine)
    return [alert for row in rows for alert in said.take(row, engine.feed(row))]


def course(after: Callable[[int], float], seed: int = 0) -> list[float]:
    rng = random.Random(seed)
    return [(1.0 if i < FAULT else after(i)) + rng.gauss(0, 0.05) for i in range(N)]


COURSES: dict[str, tuple[Callable[[int], float], bool]] = {
    "stays away": (lambda i: 5.0, False),
    "sinks": (lambda i: -1.0, False),
    "half of the way back": (lambda i: 5.0 if i < 200 else 3.0, False),
    "comes back": (lambda i: 5.0 if i < 250 else 1.0, True),
    "most of the way back": (lambda i: 5.0 if i < 250 else 1.4, True),
    "and beyond": (lambda i: 0.0 if i < 250 else 2.0, True),
    "one spike": (lambda i: 9.0 if i < FAULT + 5 else 1.0, True),
}


@each_of("name", COURSES)
def test_over_is_said_once_the_metric_is_back(name: str) -> None:
    after, back = COURSES[name]
    engine = Engine([LEAPS], Context())
    said = alerts_of(engine, rows_of(course(after)))
    over = [a.step for a in said if a.event == "recovered"]
    assert said[0].event == "begin"
    assert bool(over) == back
    assert all(step >= 250 for step in over) or name == "one spike"
    (first, *_) = [e for w in engine.bound_rules() for e in w.episodes.all()]
    assert first.ended
    assert first.recovered == back


@pytest.mark.slow
def test_a_reward_that_fell_and_rose_beyond_what_it_had_been_has_recovered() -> None:
    rng = random.Random(3)
    level = [0.004 * i if i < 150 else 0.1 if i < 260 else min(1.0, 0.1 + 0.01 * (i - 260)) for i in range(600)]
    rows = rows_of([x + rng.gauss(0, 0.02) for x in level], "reward_mean")
    said = alerts_of(Engine(select_rules(["REW"]), Context(algorithm="grpo")), rows)
    told = [(a.rule, a.event) for a in said if a.severity != "info"]
    assert {rule for rule, event in told if event == "begin"} == {rule for rule, event in told if event == "recovered"}
    assert all(a.step > 280 for a in said if a.event == "recovered" and a.severity != "info")


VERIFIERS: dict[str, Callable[[random.Random, int], float]] = {
    "answers nothing": lambda rng, i: abs(rng.gauss(0, 0.01)) if i >= 200 else 0.5 + rng.gauss(0, 0.03),
    "tosses coins": lambda rng, i: rng.gauss(0, 0.5) if i >= 200 else min(0.6, 0.3 + 0.002 * i) + rng.gauss(0, 0.03),
}


@pytest.mark.parametrize("name", every(2, VERIFIERS))
def test_a_verifier_that_turned_to_noise_has_not_recovered(name: str) -> None:
    rng = random.Random(3)
    reward = [VERIFIERS[name](rng, i) for i in range(500)]
    said = alerts_of(Engine(select_rules(["REW"]), Context(algorithm="grpo")), rows_of(reward, "reward_mean"))
    assert any(a.event == "begin" and a.severity != "info" for a in said)
    assert [a for a in said if a.event == "recovered" and a.severity != "info"] == []


@given(st.sampled_from(sorted(COURSES)), st.integers(0, 9), st.integers(1, 400))
def test_blocks_and_single_rows_agree_on_what_is_over(name: str, seed: int, size: int) -> None:
    rows = rows_of(course(COURSES[name][0], seed))
    engines = [Engine([LEAPS], Context()) for _ in range(2)]
    for row in rows:
        engines[0].feed(row)
    for start in range(0, N, size):
        list(engines[1].feed_all(rows[start : start + size]))
    one, other = ([e for w in engine.bound_rules() for e in w.episodes.all()] for engine in engines)
    assert one == other


def test_an_informational_finding_that_comes_and_goes_is_one_episode() -> None:
    assert all(r.cooldown >= 50 for r in select_rules() if r.severity == "info")
    made = replace(LEAPS, body=lambda f: Signal(value=1.0) if f["kl"] > 0.5 else None, cooldown=INFO_COOLDOWN)
    flapping = [1.0 if i % 60 < 5 else 0.0 for i in range(300)]
    assert [a.event for a in alerts_of(Engine([made], Context()), rows_of(flapping))] == ["begin"]


def test_an_informational_finding_goes_on_while_its_metric_is_not_back() -> None:
    made = replace(LEAPS, severity="info")
    values = course(lambda i: 5.0 if i < 250 else 9.0)
    assert [a.event for a in alerts_of(Engine([made], Context()), rows_of(values))] == ["begin"]
    assert [a.event for a in alerts_of(Engine([LEAPS], Context()), rows_of(values))] == ["begin", "begin"]
