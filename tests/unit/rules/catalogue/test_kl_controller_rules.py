from __future__ import annotations

import math
from typing import Any

import pytest
from examples import each_of

from rldk.testing import scan_columns

Columns = dict[str, Any]
TARGET: dict[str, Any] = {"config": {"kl_target": 1.0}}
NOISE = [0.1 * math.sin(7.0 * i * i) for i in range(400)]


def _controlled(kl: list[float], coef: list[float]) -> Columns:
    return {"kl": list(kl), "kl_coef": list(coef)}


FALLING = [0.2 * 0.99**i for i in range(60)]
RISING = [0.2 * 1.01**i for i in range(60)]
BEYOND = [0.2 + 0.05 * i for i in range(20)] + [2.5] * 40
CYCLE = [1 + 0.9 * math.sin(i / 3) for i in range(160)]
CYCLING = [0.2 * math.exp(0.5 * math.sin(i / 3 - 1.5)) for i in range(160)]
LOUD = [1 + x for x in NOISE[:80]] + [1 + 6 * x for x in NOISE[80:120]]


@each_of(
    ("code", "columns", "options", "first_step"),
    [
        ("KL006", {"kl": [0.1] * 10 + [-0.1] * 30}, {}, 29),
        ("KL010", _controlled([0.5] * 10 + [3.0] * 50, FALLING), TARGET, 31),
        ("KL010", _controlled([0.1] * 60, RISING), TARGET, 21),
        ("KL011", _controlled(BEYOND, RISING), TARGET, 32),
        ("KL012", _controlled(CYCLE, CYCLING), TARGET, 80),
        ("KL015", {"kl": LOUD}, {}, 101),
    ],
)
def test_fires(code: str, columns: Columns, options: dict[str, Any], first_step: int) -> None:
    report = scan_columns(code, columns, **options)
    assert [(f.code, f.first_step) for f in report.findings] == [(code, first_step)]


@each_of(
    ("code", "columns", "options"),
    [
        ("KL006", {"kl": ([0.1] + [-0.1] * 9) * 4}, {}),
        ("KL010", _controlled([0.5] * 10 + [3.0] * 50, RISING), TARGET),
        ("KL010", _controlled([1.9] * 60, FALLING), TARGET),
        ("KL010", _controlled([3.0] * 60, [0.2] * 60), TARGET),
        ("KL011", _controlled([2.5] * 60, RISING), TARGET),
        ("KL011", _controlled(BEYOND[:29] + [0.9] * 31, RISING), TARGET),
        ("KL012", _controlled(CYCLE, [0.2 + 0.0001 * i for i in range(160)]), TARGET),
        ("KL012", _controlled([1 + 9 * x for x in NOISE[:160]], CYCLING), TARGET),
        ("KL015", {"kl": [(1 + 0.02 * i) * (1 + x) for i, x in enumerate(NOISE[:120])]}, {}),
    ],
)
def test_stays_quiet_near_the_limit(code: str, columns: Columns, options: dict[str, Any]) -> None:
    report = scan_columns(code, columns, **options)
    assert (report.findings, report.checked) == ((), (code,))


@each_of(
    ("code", "columns", "options", "reason"),
    [
        ("KL006", {"kl_coef": [0.1] * 30}, {}, "needs kl"),
        *[(c, _controlled([1.0] * 60, RISING), {}, "needs the KL target") for c in ("KL010", "KL011", "KL012")],
        *[(c, {"kl": [1.0] * 60}, TARGET, "needs kl_coef") for c in ("KL010", "KL011", "KL012")],
        ("KL010", _controlled([3.0] * 60, FALLING), {"config": {"algorithm.kl_ctrl.type": "fixed"}}, "the KL coeff"),
        ("KL015", {"kl_coef": [0.1] * 30}, {}, "needs kl"),
    ],
)
def test_says_what_is_missing(code: str, columns: Columns, options: dict[str, Any], reason: str) -> None:
    (check,) = scan_columns(code, columns, **options).skipped
    assert check.reason.startswith(reason)


TARGET = {"config": {"kl_target": 0.1}}
CLIMBS: list[Any] = [0.1 + 0.002 * i for i in range(150)]


def test_growth_past_the_target_is_said_soon_after_it_is_twice_of_it() -> None:
    (finding,) = scan_columns("KL019", {"kl": CLIMBS}, **TARGET).findings
    assert (finding.first_step, finding.severity) == (56, "warn")  # 0.2 on row 51


@pytest.mark.parametrize("kl", [CLIMBS[:49], [0.1] * 20 + [0.5] * 2 + [0.1] * 20])
def test_below_twice_the_target_or_for_a_moment_is_quiet(kl: list[Any]) -> None:
    assert scan_columns("KL019", {"kl": kl}, **TARGET).findings == ()


def test_a_target_is_needed() -> None:
    (check,) = scan_columns("KL019", {"kl": CLIMBS}).skipped
    assert check.reason.startswith("needs the KL target")


@pytest.mark.parametrize(("factor", "found"), [(6.0, 1), (1.0, 0)])
def test_a_coefficient_that_swings_with_the_kl(factor: float, found: int) -> None:
    high = [bool((i // 8) % 2) for i in range(90)]
    columns = {"kl": [0.16 if h else 0.03 for h in high], "kl_coef": [factor if h else 1.0 for h in high]}
    assert len(scan_columns("KL012", columns, **TARGET).findings) == found


@pytest.mark.parametrize(("kl", "ongoing"), [(0.25, True), (0.19, None)])
def test_a_kl_that_stays_beyond_twice_its_target_is_still_found_at_the_end(kl: float, ongoing: bool | None) -> None:
    findings = scan_columns("KL019", {"kl": [0.1] * 30 + [kl] * 90}, **TARGET).findings
    assert [f.ongoing for f in findings] == ([] if ongoing is None else [ongoing])
    assert [f.last_step for f in findings] == ([] if ongoing is None else [120])
