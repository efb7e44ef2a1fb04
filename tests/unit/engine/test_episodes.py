from __future__ import annotations

from examples import each_of
from msgspec.structs import replace

from rldk.engine.episodes import MAX_EPISODES, Episodes
from rldk.rules.page import Page
from rldk.rules.rule import Rule, Signal

RULE = Rule(
    code="TST001",
    name="test",
    severity="warn",
    tier=2,
    body=lambda f: None,
    page=Page(what="", sections={}),
    cooldown=3,
)
HIT = Signal(value=1.0)


def _play(pattern: str, **options: int) -> Episodes:
    episodes = Episodes(replace(RULE, **options))
    for i, mark in enumerate(pattern):
        episodes.look(10 * i, i, HIT if mark == "x" else None)
    return episodes


@each_of(
    ("pattern", "options", "expected"),
    [
        ("..xxx", {"rows": 3}, [(20, 40, 40, 3)]),
        ("..xx.xx", {"rows": 3}, []),
        ("..xx.x", {"rows": 3, "within": 4}, [(20, 50, 50, 3)]),
        ("x", {}, [(0, 0, 0, 1)]),
        ("x..x", {}, [(0, 0, 30, 2)]),
        ("x...x", {}, [(0, 0, 0, 1), (40, 40, 40, 1)]),
    ],
)
def test_onset_first_last_and_rows(pattern: str, options: dict[str, int], expected: list[tuple[int, ...]]) -> None:
    found = _play(pattern, **options).all()
    assert [(e.onset, e.first_step, e.last_step, e.rows) for e in found] == expected


def test_an_episode_recovers_after_the_cooldown_and_not_before() -> None:
    assert [e.recovered for e in _play("x..").all()] == [False]
    assert [e.recovered for e in _play("x...").all()] == [True]


def test_a_graver_signal_must_persist_before_the_episode_is_called_graver() -> None:
    episodes = Episodes(replace(RULE, severity="critical", tier=3, rows=2))
    mild, grave = Signal(value=1.0, severity="warn"), Signal(value=2.0, message="worse")
    for i, signal in enumerate([mild, mild, grave, mild, grave, grave, mild]):
        episodes.look(i, i, signal)
        assert episodes.open is None or episodes.open.severity == ("critical" if i >= 5 else "warn")
    assert episodes.open is not None
    assert (episodes.open.signal, episodes.open.first_step, episodes.open.worse_step) == (mild, 1, 5)


def test_cooldown_in_steps_holds_an_episode_open_across_them() -> None:
    episodes = _play(".x.x...x..", cooldown=1, cooldown_steps=30)
    assert [(e.first_step, e.last_step, e.recovered) for e in episodes.all()] == [(10, 30, True), (70, 70, False)]


def test_a_flapping_rule_has_a_bounded_number_of_episodes_and_the_last_goes_on() -> None:
    found = _play("x." * 2000, cooldown=1).all()
    assert len(found) == MAX_EPISODES
    assert (found[-1].recovered, found[-1].last_step) == (False, 39_980)


@each_of(
    ("pattern", "provisional", "expected"),
    [
        ("x" + "." * 9, True, ["warn"]),
        ("x" + "." * 10, True, ["info"]),
        ("x" + "." * 10, False, ["warn"]),
        ("x" + "." * 10 + "x", True, ["warn"]),  # it goes on, and is one episode
        ("x" + "." * 100 + "x", True, ["info", "warn"]),
    ],
)
def test_what_has_not_happened_so_far_is_information_once_it_has(
    pattern: str, provisional: bool, expected: list[str]
) -> None:
    episodes = Episodes(replace(RULE, cooldown=100, provisional=provisional))
    for i, mark in enumerate(pattern):
        episodes.look(i, i, HIT if mark == "x" else None)
    assert [episodes.severity(e) for e in episodes.all()] == expected
