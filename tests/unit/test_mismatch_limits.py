"""Every limit of the mismatch report, for the shape of a gap at the limit and beside it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from rldk.logprobs import verdict
from rldk.logprobs.pairs import Pairs
from rldk.logprobs.statistics import (
    FittedLine,
    GapShape,
    _followed,
    _mean_by_row,
    context_line,
    gap_by_place,
    gap_by_step,
    line,
    shape_of,
)

FLAT = FittedLine(slope=1.0, fit=1.0, n=1000)
QUIET: dict[str, Any] = {
    "tokens": 1000, "mean": 0.0, "median": 0.0, "scale": 0.1, "lower": 0.4, "upper": 0.4, "mass": 1.0,
    "mass_error": 0.0, "error": 1.2, "shift": 0.0, "line": FLAT,
    "context": FittedLine(slope=math.nan, fit=math.nan, n=0),
    "jumps": 0.0, "jump_share": 0.0, "followed": 0.0, "falls": 0,
}  # fmt: skip
TRUNCATED = {"upper": 0.02, "mass": 0.9}
JUMPING = {"jumps": 0.004, "jump_share": 0.5, "followed": 0.1, "falls": 3}


def fitted(slope: float, fit: float = 1.0, n: int = 32) -> FittedLine:
    return FittedLine(slope=slope, fit=fit, n=n)


def pairs(size: int = 4, **more: Any) -> Pairs:
    whole, part = np.zeros(size, dtype=np.int64), np.zeros(size)
    columns: dict[str, Any] = dict.fromkeys(("place", "row", "context", "step"), whole)
    columns |= {"sampler": part, "trainer": part, "length": part + 1, "lag": part + math.nan}
    return Pairs(**{**columns, **more})


def names(steps: list[tuple[int, float]] | None = None, found: Pairs | None = None, **more: Any) -> list[str]:
    shape = GapShape(**{**QUIET, **more})
    findings, open_ = verdict._judge(found or pairs(), shape, steps or [(5, 0.1)])
    return [f.name for f in findings] or [f"{name}?" for name in open_]


OPEN = ["stale weights?", "precision?"]
CASES: list[tuple[dict[str, Any], list[str]]] = [
    ({"error": 1.05}, []),
    ({"error": 1.0501}, OPEN),
    # truncated sampling: hardly a token above 0, and a mean ratio below 1
    (TRUNCATED, ["truncated sampling"]),
    ({**TRUNCATED, "upper": 0.0201}, OPEN),
    ({**TRUNCATED, "mass": 0.98}, OPEN),
    ({**TRUNCATED, "mass": 0.9799}, ["truncated sampling"]),
    ({**TRUNCATED, "mass_error": 0.0201}, OPEN),
    ({**TRUNCATED, "mass_error": 0.0199}, ["truncated sampling"]),
    ({**TRUNCATED, "context": fitted(1.049, 0.1)}, ["truncated sampling"]),
    ({**TRUNCATED, "context": fitted(1.051, 0.1)}, OPEN),
    ({**TRUNCATED, "context": fitted(1.051, 0.1, n=31)}, ["truncated sampling"]),
    # a temperature within contexts, and with too few of them over all tokens
    ({"context": fitted(1.051)}, ["temperature"]),
    ({"context": fitted(0.949)}, ["temperature"]),
    ({"context": fitted(1.049)}, OPEN),
    ({"context": fitted(1.8, 0.9751)}, ["temperature"]),
    ({"context": fitted(1.8, 0.9749)}, OPEN),
    ({"context": fitted(1.1, 0.98)}, OPEN),  # the slope is not known that exactly
    ({"context": fitted(1.8, n=31)}, OPEN),
    ({"line": fitted(1.051, 0.951)}, ["temperature"]),
    ({"line": fitted(0.949, 0.951)}, ["temperature"]),
    ({"line": fitted(1.049, 0.951)}, OPEN),
    ({"line": fitted(1.099, 0.949)}, OPEN),
    ({"line": fitted(1.101, 0.949)}, ["temperature"]),
    ({"line": fitted(0.899, 0.851)}, ["temperature"]),
    ({"line": fitted(1.101, 0.849)}, OPEN),
    ({"line": fitted(1.5), **TRUNCATED}, ["truncated sampling"]),
    ({"context": fitted(1.3), "mass": 0.979}, ["temperature", "truncated sampling"]),
    ({"context": fitted(1.3), "mass": 0.981}, ["temperature"]),
    ({"context": fitted(1.3), "mass": 0.97, "mass_error": 0.003}, ["temperature"]),
    # jumps, and whether the next token goes on
    (JUMPING, ["expert routing"]),
    ({**JUMPING, "jumps": 0.0039}, OPEN),
    ({**JUMPING, "jump_share": 0.4999}, OPEN),
    ({**JUMPING, "error": 1.05}, []),
    ({**JUMPING, "followed": 0.4}, ["tokenisation"]),
    ({**JUMPING, "followed": 0.3999}, ["expert routing"]),
    ({**JUMPING, "followed": 1.0, "falls": 0}, ["expert routing"]),
]  # fmt: skip


def test_a_cause_is_named_beyond_its_limit_only() -> None:
    for more, expected in CASES:
        assert names(**more) == expected, more


def test_the_limits_that_a_finding_states() -> None:
    def figures(**more: Any) -> list[tuple[float | None, float | None, str, int]]:
        findings, _ = verdict._judge(pairs(), GapShape(**{**QUIET, **more}), [(5, 0.1)])
        return [(f.value, f.limit, f.severity, f.tier) for f in findings]

    assert figures(**TRUNCATED) == [(0.9, 0.98, "warn", 2)]
    assert figures(context=fitted(1.3)) == [(1.3, 1.0, "critical", 0)]
    assert figures(line=fitted(1.3)) == [(1.3, 1.0, "warn", 2)]
    assert figures(**JUMPING) == [(0.004, 0.004, "warn", 2)]
    assert figures(**{**JUMPING, "followed": 0.5}) == [(0.004, 0.004, "warn", 2)]


BY_TIME: list[tuple[list[tuple[int, float]], list[str]]] = [
    ([(1, 0.1), (2, 0.41), (3, 0.41)], ["stale weights"]),
    ([(5, 0.1), (6, 0.41), (7, 0.41)], ["stale weights"]),
    ([(1, 0.1), (2, 0.39), (3, 0.39)], ["precision"]),
    ([(0, 0.1), (2, 0.1), (3, 0.1)], ["precision"]),
    ([(2, 0.1), (3, 0.1), (4, 0.1)], OPEN),
    ([(1, 0.1), (2, 9.0)], OPEN),
    ([(1, 0.1), (2, 0.1)], OPEN),
    ([(1, 0.1), (2, 0.1), (3, 0.1), (4, 9.0)], ["precision"]),
    ([(1, 0.1), (2, 0.1), (3, 9.0), (4, 9.0)], ["stale weights"]),
]


def test_a_gap_without_a_form_is_told_by_its_steps() -> None:
    for steps, expected in BY_TIME:
        assert names(steps) == expected, steps


def test_a_gap_without_a_form_is_told_by_the_age_of_the_weights() -> None:
    for ages, gaps, expected in [
        ((0, 1), (0.1, 0.41), ["stale weights"]),
        ((0, 1), (0.1, 0.39), OPEN),
        ((1, 2), (0.1, 0.41), OPEN),
        ((0, 0), (0.1, 9.0), OPEN),
    ]:
        made = pairs(2, lag=np.array(ages, dtype=float), trainer=np.array(gaps))
        assert names(found=made) == expected, (ages, gaps)


def test_sums_are_told_by_the_steps_alone() -> None:
    made = pairs(2, sums=True)
    for gaps, expected in [
        ((0.1, 0.41, 0.41), ["stale weights"]),
        ((0.1, 0.39, 0.39), []),
        ((0.1, 0.41), []),
        ((0.01, 0.01, 0.048), []),
        ((0.01, 0.05, 0.05), ["stale weights"]),
    ]:
        findings, _ = verdict._judge_sums(made, list(enumerate(gaps, start=1)))
        assert [f.name for f in findings] == expected, gaps
    for gap, open_ in [(0.048, True), (0.049, False)]:  # log(1.05)
        _, left = verdict._judge_sums(made, [(1, gap)])
        assert left["stale weights"].startswith("needs") is open_, gap
        assert ("agree on average" in verdict._sentence([], [], pairs(2, sums=True, trainer=np.full(2, gap)))) is open_


def test_how_many_pairs_a_report_needs() -> None:
    for size, sums, checked in [(499, False, False), (500, False, True), (63, True, False), (64, True, True)]:
        report = verdict.mismatch_report(pairs(size, sums=sums), run="r", source="s")
        assert report.verdict.startswith("Not checked") is not checked, (size, sums)
    few = verdict.mismatch_report(pairs(499, respelled=1, spelled=2), run="r", source="s")
    assert [(f.name, f.value, f.limit) for f in few.findings] == [("tokenisation", 0.5, 0.0)]
    assert (few.passed, few.meta["by_position"]) == (False, [])
    none = verdict.mismatch_report(pairs(0), run="r", source="s")
    assert none.verdict.endswith("there are none.")
    whole = verdict.mismatch_report(pairs(0, respelled=1, spelled=2), run="r", source="s")
    assert whole.meta["by_position"] == []


def test_a_jump_is_so_many_scales_away_and_not_less_than_so_many_nats() -> None:
    for gap, share in [(0.31, 0.1), (0.29, 0.0)]:
        assert shape_of(pairs(10, trainer=np.array([gap] + [0.0] * 9))).jumps == pytest.approx(share), gap
    spread = [-0.1, 0.0, 0.1] * 7
    limit = 8.0 * 1.4826 * 0.1
    for gap, share in [(limit + 0.01, 1 / 22), (limit - 0.01, 0.0)]:
        assert shape_of(pairs(22, trainer=np.array([*spread, gap]))).jumps == pytest.approx(share), gap


def test_clear_gaps_are_those_beyond_the_scatter() -> None:
    assert shape_of(pairs(4, trainer=np.array([0.021, -0.021, 0.02, -0.02]))).upper == 0.25
    tight = shape_of(pairs(5, trainer=np.array([-0.021, 0.0, 0.0, 0.0, 0.0])))
    assert (tight.lower, tight.scale) == (0.2, 0.0)
    assert shape_of(pairs(5, trainer=np.array([-0.019, 0.0, 0.0, 0.0, 0.0]))).lower == 0.0
    wide = np.array([-0.1, 0.1, 0.1, 0.0, -0.1] * 3)  # scale 0.148: clear is below -0.44
    for gap, share in [(-0.45, 1 / 16), (-0.44, 0.0)]:
        assert shape_of(pairs(16, trainer=np.array([*wide, gap]))).lower == pytest.approx(share), gap


def test_a_fall_of_more_than_two_nats_is_followed_within_its_row() -> None:
    jump = np.array([True, True, True, True])
    for fall, expected in [(-2.01, (1.0, 1)), (-2.0, (math.nan, 0))]:
        made = pairs(4, row=np.array([1, 1, 2, 2]), place=np.array([0, 1, 0, 1]))
        share, n = _followed(made, jump, np.array([fall, 0.0, 0.0, 0.0]))
        assert (n, share) == pytest.approx(expected[::-1], nan_ok=True)
    for row, place, n in [((1, 2), (0, 1), 0), ((1, 1), (0, 2), 0), ((1, 1), (0, 1), 1)]:
        made = pairs(2, row=np.array(row), place=np.array(place))
        assert _followed(made, jump[:2], np.array([-3.0, 0.0]))[1] == n


def test_lines_bands_and_errors_by_hand() -> None:
    x = np.array([0.0, 1.0, 2.0, 3.0])
    assert (line(x, 2 * x).slope, line(x, 2 * x).fit, line(x, 2 * x).n) == (2.0, 1.0, 4)
    assert math.isnan(line(x, x * 0).slope)
    assert FittedLine(slope=2.0, fit=0.8, n=4).slope_error == pytest.approx(2 * math.sqrt(0.25 / 4))
    assert FittedLine(slope=2.0, fit=0.0, n=4).slope_error == math.inf
    assert _mean_by_row(np.array([1.0, 3.0]), np.array([1, 2])) == pytest.approx((2.0, math.sqrt(2) / 2))
    assert _mean_by_row(np.array([1.0, 3.0]), np.array([1, 1])) == (2.0, math.inf)
    made = pairs(
        4, sampler=np.array([0.0, 0.002, 5.0, 5.0]), trainer=np.array([0.0, 0.004, 1.0, 2.0]),
        context=np.array([0, 0, 1, 1]),
    )  # fmt: skip
    assert (context_line(made).n, context_line(made).slope) == (0, pytest.approx(math.nan, nan_ok=True))
    apart = pairs(
        4, sampler=np.array([0.0, 0.004, 5.0, 5.0]), trainer=np.array([0.0, 0.008, 1.0, 2.0]), context=made.context
    )
    assert (context_line(apart).n, context_line(apart).slope) == (2, pytest.approx(2.0))
    sums = pairs(2, sums=True, trainer=np.array([4.0, 4.0]), length=np.array([2.0, 0.0]), step=np.array([1, 2]))
    assert gap_by_step(sums) == [(1, 2.0), (2, 4.0)]
    places = pairs(3, place=np.array([0, 1, 2]), trainer=np.array([1.0, 2.0, 3.0]))
    assert gap_by_place(places)[0] == (0, 0, 1.0)
    assert gap_by_place(places)[-1][:2] == (1, 2)
    assert gap_by_place(pairs(3)) == []
