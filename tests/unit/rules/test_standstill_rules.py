from __future__ import annotations

from typing import Any

import pytest

from rldk.testing import scan_columns

Columns = dict[str, list[float | None]]

PPO: dict[str, Any] = {"algorithm": "ppo"}
SFT: dict[str, Any] = {"algorithm": "sft", "total_steps": 100}
N = 100


def noisy(level: float, share: float, fall: float = 0.0) -> list[float | None]:
    return [level * (1 - fall * i / N) * (1 + share * (-1) ** i) for i in range(N)]


def still(**more: list[float | None]) -> Columns:
    return {"kl_policy_update": [1e-7, -1e-9] * 10, "entropy": [0.6931, 0.6932] * 10, "clip_frac": [0.0] * 20, **more}


def test_a_policy_that_never_moved() -> None:
    report = scan_columns("OPT012", still(lr=[3e-4] * 20), **PPO)
    assert [(f.first_step, f.severity) for f in report.findings] == [(10, "warn")]


@pytest.mark.parametrize(
    "columns",
    [
        still(lr=[0.0] * 20),  # OPT011 speaks of that
        still(entropy=[0.69 - 0.001 * i for i in range(20)]),  # one pass over each batch
        still(kl_policy_update=[1e-4] + [1e-9] * 19),
    ],
)
def test_a_policy_that_moved(columns: Columns) -> None:
    report = scan_columns("OPT012", columns, **PPO)
    assert (report.findings, report.checked) == ((), ("OPT012",))


def test_a_loss_that_does_not_move() -> None:
    columns = {"loss": noisy(4.1, 0.02), "entropy": noisy(4.08, 0.001), "token_accuracy": noisy(0.03, 0.1)}
    report = scan_columns("OPT013", columns, **SFT)
    assert [(f.first_step, f.severity) for f in report.findings] == [(64, "warn")]


@pytest.mark.parametrize(
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


@pytest.mark.parametrize(
    ("code", "options", "reason"),
    [
        ("OPT012", PPO, "needs kl_policy_update, entropy"),
        ("OPT013", SFT, "needs loss"),
        ("OPT013", {}, "defined for sft"),
    ],
)
def test_says_what_is_missing(code: str, options: dict[str, Any], reason: str) -> None:
    (check,) = scan_columns(code, {"lr": [1e-4] * 30}, **options).skipped
    assert check.reason.startswith(reason)
