from __future__ import annotations

import itertools
import random
from typing import Any

import pytest
from examples import each_of

from rldk.core.table import Row
from rldk.engine.live import Engine
from rldk.rules.rule import Context, rules
from rldk.testing import scan_columns

N = 120
RAMP = [1.0 + 0.01 * i for i in range(N)]
FLAT = [1.0] * N
LEAK = [10.0] * 30 + [10.0 + 0.1 * i for i in range(90)]
PACE = [5.0] * 30


def times(share: float) -> dict[str, list[float]]:
    return {"step_time": [10.0] * 25, "generation_time": [10.0 * share] * 25}


def clock(gaps: list[float]) -> dict[str, Any]:
    return {"time": list(itertools.accumulate(gaps, initial=1.7e9))}


def test_fires_when_a_step_is_nearly_all_generation() -> None:
    report = scan_columns("SYS007", times(0.95))
    assert [(f.code, f.first_step, f.severity) for f in report.findings] == [("SYS007", 22, "info")]


def test_stays_quiet_at_the_usual_share_and_where_the_step_leaves_generation_out() -> None:
    usual, apart = scan_columns("SYS007", times(0.8)), scan_columns("SYS007", times(4.0))
    assert (usual.findings, apart.findings) == ((), ())
    assert usual.checked == apart.checked == ("SYS007",)


@each_of(
    ("code", "missing"),
    [
        ("SYS001", "needs row_interval_s"),
        ("SYS002", "needs step_time"),
        ("SYS005", "needs memory_cpu_gb"),
        ("SYS007", "needs generation_time"),
    ],
)
def test_says_what_is_missing(code: str, missing: str) -> None:
    columns = {"step_time": [1.0] * 30} if code == "SYS007" else {"loss": [1.0] * 30}
    (check,) = scan_columns(code, columns).skipped
    assert check.reason.startswith(missing)


@pytest.mark.parametrize("gap", [900.0, 2000.0])
def test_a_stall_is_a_row_that_comes_far_too_late(gap: float) -> None:
    report = scan_columns("SYS001", {"loss": [1.0] * 41}, **clock([*PACE, gap, *[5.0] * 9]))
    assert [(f.first_step, f.value, f.severity) for f in report.findings] == [(32, gap, "info")]


@pytest.mark.parametrize(("second", "severity"), [(2000.0, "warn"), (1700.0, "info")])
def test_a_second_stall_is_no_accident(second: float, severity: str) -> None:
    gaps = [*PACE, 2000.0, *[5.0] * 8, second, *[5.0] * 9]
    report = scan_columns("SYS001", {"loss": [1.0] * 50}, **clock(gaps))
    assert [f.severity for f in report.findings] == [severity]


def test_a_row_of_a_hundred_steps_may_take_a_hundred_times_as_long() -> None:
    steps = [*range(1, 32), 1000]
    report = scan_columns("SYS001", {"loss": [1.0] * 32}, step=steps, **clock([*PACE, 700.0]))
    assert report.findings == ()


@each_of(
    ("gaps", "step"),
    [
        ([*PACE, 590.0], list(range(1, 33))),  # below ten minutes
        ([200.0] * 30 + [900.0], list(range(1, 33))),  # slow steps
        ([*PACE, 9000.0], [*range(1, 32), 20]),  # resumed
        ([5.0] * 10 + [9000.0] + [5.0] * 20, list(range(1, 33))),  # too early to know the pace
    ],
)
def test_an_interval_that_has_its_reason_is_no_stall(gaps: list[float], step: list[int]) -> None:
    report = scan_columns("SYS001", {"loss": [1.0] * 32}, step=step, **clock(gaps))
    assert (report.findings, report.checked) == ((), ("SYS001",))


def test_a_long_evaluation_is_no_stall() -> None:
    phase = ["train"] * 31 + ["eval"] + ["train"] * 5
    report = scan_columns("SYS001", {"loss": [1.0] * 37}, phase=phase, **clock([*PACE, 2000.0, *[5.0] * 5]))
    assert (report.findings, report.checked) == ((), ("SYS001",))


def test_the_trainers_own_clock_serves_where_rows_have_no_time() -> None:
    elapsed = list(itertools.accumulate([*PACE, 900.0, 5.0]))
    assert [f.first_step for f in scan_columns("SYS001", {"wall_time": elapsed}).findings] == [31]


def test_two_clocks_are_never_mixed() -> None:
    engine = Engine([rules.get("SYS001")], Context())
    rows = [
        Row(step=i, values={"wall_time": 5.0 * i}, time=1.7e9 + 5.0 * i if i % 3 else float("nan")) for i in range(90)
    ]
    assert [engine.feed(row) for row in rows] == [[]] * 90


@each_of(
    ("more", "severity"),
    [
        ({}, "info"),
        ({"tokens_step": FLAT}, "info"),
        ({"memory_cpu_gb": RAMP}, "info"),  # what the step did is not known
        ({"tokens_step": FLAT, "memory_cpu_gb": RAMP}, "warn"),
    ],
)
def test_rot_is_a_warning_only_with_a_second_witness(more: dict[str, Any], severity: str) -> None:
    report = scan_columns("SYS002", {"step_time": RAMP, **more})
    assert [(f.first_step, f.severity) for f in report.findings] == [(84, severity)]


@pytest.mark.parametrize(
    "columns",
    [
        {"step_time": RAMP, "tokens_step": RAMP},  # more work
        {"step_time": [1.0] * 60 + [2.5] * 60},  # a neighbour came
        {"step_time": [1.0 + 0.002 * i for i in range(N)]},
    ],
)
def test_rot_is_not_more_work_nor_a_neighbour(columns: dict[str, Any]) -> None:
    report = scan_columns("SYS002", columns)
    assert (report.findings, report.checked) == ((), ("SYS002",))


def test_a_leak_rises_row_after_row() -> None:
    report = scan_columns("SYS005", {"memory_cpu_gb": LEAK}, config={"memory_total_gb": 20.0})
    (finding,) = report.findings
    assert (finding.first_step, finding.severity) == (43, "warn")
    assert "20 GB are full in about 88 steps" in finding.message


def test_a_slow_leak_is_seen_through_its_noise() -> None:
    rng = random.Random(0)
    slow = [10.0 + 0.04 * i + rng.uniform(0, 0.01) for i in range(N)]
    assert [f.first_step for f in scan_columns("SYS005", {"memory_peak_gb": slow}).findings] == [47]


@each_of(
    "columns",
    [
        {"memory_cpu_gb": [10.0 - 4.0 * 0.935**i for i in range(N)]},  # a cache that fills
        {"memory_cpu_gb": [10.0 + 0.02 * (i % 12) for i in range(N)]},  # collected now and then
        {"memory_peak_gb": LEAK, "response_length_mean": LEAK},  # longer responses
        {"memory_peak_gb": [10.0 + 0.01 * i for i in range(N)]},
    ],
)
def test_memory_that_levels_off_or_has_its_reason_is_no_leak(columns: dict[str, Any]) -> None:
    report = scan_columns("SYS005", columns)
    assert (report.findings, report.checked) == ((), ("SYS005",))


USUAL: list[Any] = [1.0 + 0.05 * (i % 3) for i in range(40)]
SLOW: list[Any] = [4.0 + 0.1 * (i % 3) for i in range(45)]


@each_of(
    ("columns", "expected"),
    [
        ({"step_time": USUAL + SLOW}, [82]),
        ({"tokens_per_sec": [1000 / x for x in USUAL + SLOW if x]}, [82]),
        ({"step_time": USUAL + SLOW[:30] + USUAL[:15]}, []),
        ({"step_time": USUAL + SLOW, "response_length_mean": [100.0] * 40 + [300.0] * 45}, []),
        ({"step_time": USUAL + [0.6 * x for x in SLOW if x]}, []),
    ],
)
def test_a_pace_that_stays_worse(columns: dict[str, Any], expected: list[int]) -> None:
    assert [f.first_step for f in scan_columns("SYS008", columns).findings] == expected


def test_a_pace_needs_a_clock() -> None:
    (check,) = scan_columns("SYS008", {"kl": [1.0] * 9}).skipped
    assert check.reason == "needs step_time or tokens_per_sec"
