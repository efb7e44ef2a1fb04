from __future__ import annotations

import math
from typing import Any

import pytest
from examples import each_of

from rldk.testing import scan_columns

Columns = dict[str, Any]

PPO: dict[str, Any] = {"algorithm": "ppo"}
SFT: dict[str, Any] = {"algorithm": "sft", "total_steps": 100}
N = 100


def noisy(level: float, share: float, fall: float = 0.0) -> list[Any]:
    return [level * (1 - fall * i / N) * (1 + share * (-1) ** i) for i in range(N)]


def still(**more: list[Any]) -> Columns:
    return {"kl_policy_update": [1e-7, -1e-9] * 10, "entropy": [0.6931, 0.6932] * 10, "clip_frac": [0.0] * 20, **more}


def test_a_policy_that_never_moved() -> None:
    report = scan_columns("OPT012", still(lr=[3e-4] * 20), **PPO)
    assert [(f.first_step, f.severity) for f in report.findings] == [(10, "warn")]


def test_a_policy_that_never_left_its_reference() -> None:
    columns = still(entropy=[3.6, 3.7] * 10, kl=[1e-8, -2e-8] * 10)
    assert [f.first_step for f in scan_columns("OPT012", columns, **PPO).findings] == [10]
    unpenalised = still(entropy=[3.6, 3.7] * 10, kl=[0.0] * 20)  # not computed
    assert scan_columns("OPT012", unpenalised, **PPO).findings == ()


@pytest.mark.parametrize(
    "beside",
    [
        {"reward_mean": [-100.0] * 20},  # nothing to move for
        {"value_explained_variance": [float("nan")] * 20},  # nor in batches whose returns are all the same
    ],
)
def test_nothing_to_move_for(beside: Columns) -> None:
    assert not scan_columns("OPT012", still(lr=[3e-4] * 20) | beside, **PPO).findings


NAN = float("nan")


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"grad_norm": [NAN] * 8, "loss": [0.0] * 8}, (5, "critical")),
        ({"grad_norm": [1e-7] * 12, "loss": [4e-7] * 12}, (10, "warn")),
    ],
)
def test_no_gradient_from_the_start(columns: Columns, expected: tuple[int, str]) -> None:
    report = scan_columns("GRAD013", columns)
    assert [(f.first_step, f.severity) for f in report.findings] == [expected]


@pytest.mark.parametrize(
    "columns",
    [
        {"grad_norm": [NAN] * 8, "loss": [1.5, 1.4] * 4},  # the norm is not measured
        {"grad_norm": [1e-7] * 9 + [0.1] * 5, "loss": [1.0] * 14},
        {"grad_norm": [0.0] * 14, "loss": [1.0] * 14},  # exact zeros are GRAD012's
    ],
)
def test_a_gradient_that_may_be_there(columns: Columns) -> None:
    assert scan_columns("GRAD013", columns).findings == ()


@each_of(
    "columns",
    [
        still(lr=[0.0] * 20),  # OPT011 speaks of that
        still(entropy=[0.69 - 0.001 * i for i in range(20)]),  # one pass over each batch
        still(kl_policy_update=[1e-4] + [1e-9] * 19),
        still(kl=[0.0, 1e-5] * 10),  # slowly away from its reference
    ],
)
def test_a_policy_that_moved(columns: Columns) -> None:
    report = scan_columns("OPT012", columns, **PPO)
    assert (report.findings, report.checked) == ((), ("OPT012",))


def test_a_loss_that_does_not_move() -> None:
    columns = {"loss": noisy(4.1, 0.02), "entropy": noisy(4.08, 0.001), "token_accuracy": noisy(0.03, 0.1)}
    report = scan_columns("OPT013", columns, **SFT)
    assert [(f.first_step, f.severity) for f in report.findings] == [(64, "warn")]


@each_of(
    "columns",
    [
        {"loss": noisy(4.1, 0.02, fall=0.08)},
        {"loss": noisy(4.1, 0.02), "entropy": noisy(4.08, 0.001, fall=0.02)},
        {"loss": noisy(4.1, 0.02), "token_accuracy": noisy(0.03, 0.1, fall=-0.5)},
        {"loss": [4.1, *[0.1] * 39, *[4.1] * 60]},  # it had moved
    ],
)
def test_a_loss_that_moves_or_is_not_alone(columns: Columns) -> None:
    report = scan_columns("OPT013", columns, **SFT)
    assert (report.findings, report.checked) == ((), ("OPT013",))


@each_of(
    ("code", "options", "reason"),
    [
        ("OPT012", PPO, "needs kl_policy_update, entropy"),
        ("GRAD013", {}, "needs grad_norm or grad_norm_policy"),
        ("OPT013", SFT, "needs loss"),
        ("OPT013", {}, "defined for sft"),
    ],
)
def test_says_what_is_missing(code: str, options: dict[str, Any], reason: str) -> None:
    (check,) = scan_columns(code, {"lr": [1e-4] * 30}, **options).skipped
    assert check.reason.startswith(reason)


NORMS: list[Any] = [0.2 + 0.001 * (i * 7 % 11) for i in range(22)]


def test_the_same_update_again() -> None:
    columns = {"loss": [*NORMS, 0.1, 0.1, 0.1, 0.3], "grad_norm": [*NORMS, 0.5, 0.5, 0.5, 0.6]}
    (finding,) = scan_columns("OPT014", columns).findings
    assert (finding.first_step, finding.last_step, finding.severity) == (25, 25, "warn")


@each_of(
    "columns",
    [
        {"loss": [*NORMS, 0.1, 0.1, 0.3, 0.1], "grad_norm": [*NORMS, 0.5, 0.5, 0.5, 0.6]},
        {"loss": [*NORMS, 0.1, 0.1, 0.1], "grad_norm": [*NORMS, 1.0, 0.9, 1.0]},
        {"loss": [*NORMS, *[0.0] * 4], "grad_norm": [*NORMS, *[0.0] * 4]},
        {"loss": [0.1] * 30, "grad_norm": [0.5] * 30},
        {"loss": [0.4, 0.4, 0.4, *NORMS, 0.1, 0.1, 0.1], "grad_norm": [0.5, 0.5, 0.5, *NORMS, 0.5, 0.5, 0.5]},
    ],
)
def test_updates_that_are_not_the_same(columns: dict[str, Any]) -> None:
    report = scan_columns("OPT014", columns)
    assert (report.findings, report.checked) == ((), ("OPT014",))


def test_without_a_gradient_norm() -> None:
    (check,) = scan_columns("OPT014", {"loss": [0.1] * 30}).skipped
    assert check.reason == "needs grad_norm"


@each_of(
    ("norm", "rows", "fires"),
    [(0.99e-5, 10, True), (0.99e-5, 9, False), (1e-5, 12, False), (0.0, 12, False), (1.01e-5, 12, False)],
)
def test_a_norm_below_a_hundred_thousandth_on_ten_rows_is_next_to_nothing(norm: float, rows: int, fires: bool) -> None:
    report = scan_columns("GRAD013", {"grad_norm": [norm] * rows, "loss": [0.5] * rows})
    assert [f.severity for f in report.findings] == (["warn"] if fires else [])


@pytest.mark.parametrize(("rows", "loss", "fires"), [(5, 0.0, True), (4, 0.0, False), (9, 1e-9, False)])
def test_a_norm_that_was_never_a_number_needs_five_rows_of_a_loss_of_zero(rows: int, loss: float, fires: bool) -> None:
    report = scan_columns("GRAD013", {"grad_norm": [math.nan] * rows, "loss": [loss] * rows})
    assert [f.severity for f in report.findings] == (["critical"] if fires else [])
