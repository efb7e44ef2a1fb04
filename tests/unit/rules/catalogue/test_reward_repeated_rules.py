"""A log with a row for each step of an environment repeats the return of the last episode until the next one ends."""

from __future__ import annotations

import random

from examples import each_of

import rldk
from rldk.core.model import COUNTED
from rldk.testing import scan_columns

CODES = ("REW001", "REW012", "REW016", "REW020", "REW022", "REW023", "REW037", "REW040")


def repeated(returns: list[float], seed: int) -> list[float]:
    """Each return on as many rows as a new episode has steps."""
    rng = random.Random(seed)
    return [value for value in returns for _ in range(rng.randrange(10, 40))]


def returns(count: int, seed: int, rise: float) -> list[float]:
    rng = random.Random(seed)
    return [round(100.0 + rise * i + rng.gauss(0, 80), 6) for i in range(count)]


@each_of("code", CODES)
@each_of("rise", [0.0, 1.0])
def test_rows_that_repeat_a_return_are_no_trials(code: str, rise: float) -> None:
    for seed in range(3):
        column = repeated(returns(120, seed, rise), seed)
        report = scan_columns(code, {"reward_mean": column}, clock=COUNTED, names={"reward_mean": "reward"})
        assert report.worst() in (None, "info"), (code, seed, report.findings)


def test_a_reward_that_never_moves_is_told_all_the_same() -> None:
    for value, row in ((0.25, 10), (0.123456, 100)):
        (finding,) = scan_columns("REW001", {"reward_mean": [value] * 120}).findings
        assert (finding.first_step, finding.severity) == (row, "critical")


def test_a_reward_that_stops_moving_is_told_although_it_repeats_itself_now() -> None:
    rng = random.Random(5)
    column = [rng.gauss(1.0, 0.1) for _ in range(30)] + [0.123456] * 200
    (finding,) = scan_columns("REW001", {"reward_mean": column}).findings
    assert (finding.first_step or 99) < 45


def test_a_report_says_that_such_rewards_are_not_judged() -> None:
    column = repeated(returns(40, 1, 0.0), 1)
    report = rldk.diagnose([{"reward": value} for value in column])
    assert "reward-repeats-until-the-next" in [note.topic for note in report.notes]
    assert report.worst() in (None, "info")
