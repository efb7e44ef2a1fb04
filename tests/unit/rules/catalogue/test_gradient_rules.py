from __future__ import annotations

import math
from typing import Any

from examples import each_of

from rldk.testing import noisy_column, scan_columns

NAN, INF = math.nan, math.inf
CLIP = {"config": {"max_grad_norm": 1.0}}
EXPLODED = [1.5] * 30 + [60.0] * 60
GRPO = {"algorithm": "grpo"}
NOISE = noisy_column(1.0, 60)
JUMP = noisy_column(1.0, 40) + noisy_column(4.0, 20)
EXPONENTIAL = [x * (1 if i < 30 else 1.15 ** (i - 30)) for i, x in enumerate(NOISE)]


@each_of(
    ("code", "columns", "options", "first_step"),
    [
        ("GRAD001", {"loss": [1.0, 0.9, NAN, NAN]}, {}, 3),
        ("GRAD001", {"grad_norm": [1.0, None, INF]}, {}, 3),
        ("GRAD001", {"loss": [NAN] * 5}, {}, 5),
        ("GRAD001", {"kl": [INF] * 5, "loss": [0.5] * 5}, {}, 5),
        ("GRAD001", {"entropy": [NAN] * 20, "loss": [0.5] * 20}, {}, 20),
        ("GRAD003", {"grad_norm": EXPLODED}, CLIP, 57),
        ("GRAD012", {"grad_norm": [0.5] * 20 + [0.0] * 10}, {}, 27),
        ("GRAD012", {"grad_norm": [0.5] * 20 + [0.0] * 10, "zero_std_group_frac": [0.2] * 30}, {}, 27),
        ("GRAD002", {"grad_norm": JUMP}, {}, 43),
        ("GRAD002", {"grad_norm": EXPONENTIAL}, {}, 49),
        ("GRAD014", {"grad_norm": [700.0 + i for i in range(12)]}, GRPO, 10),
    ],
)
def test_fires(code: str, columns: dict[str, Any], options: dict[str, Any], first_step: int) -> None:
    report = scan_columns(code, columns, **options)
    assert [(f.code, f.first_step) for f in report.findings] == [(code, first_step)]


def test_a_metric_that_never_was_a_number_is_graver_when_it_is_infinite() -> None:
    infinite, unmeasured = (scan_columns("GRAD001", {"kl": [x] * 30, "loss": [0.5] * 30}) for x in (INF, NAN))
    assert [f.severity for f in infinite.findings] == ["warn"]
    assert [f.severity for f in unmeasured.findings] == ["info"]


@each_of(
    ("code", "columns", "options"),
    [
        ("GRAD001", {"loss": [1.0, None, 0.9], "grad_norm": [NAN, NAN, 1.0]}, {}),
        ("GRAD001", {"value_loss": [1.0, 1.0], "value_explained_variance": [0.1, NAN]}, {}),
        ("GRAD001", {"kl": [INF] * 4}, {}),
        ("GRAD001", {"entropy": [NAN] * 19}, {}),
        ("GRAD003", {"grad_norm": [1.5] * 30 + [9.0] * 60}, CLIP),
        ("GRAD012", {"grad_norm": [0.5] * 24 + [0.0] * 6}, {}),
        ("GRAD012", {"grad_norm": [0.5] * 20 + [0.0] * 9, "zero_std_group_frac": [0.2] * 20 + [1.0] * 9}, {}),
        ("GRAD012", {"grad_norm": [0.0] * 30}, {}),
        (  # a batch of two groups: zero where all of its rewards are one
            "GRAD012",
            {"grad_norm": [0.5, 0.4, 0.0, 0.6, 0.0] * 8, "reward_std": [0.3, 0.2, 0.0, 0.3, 0.0] * 8},
            {},
        ),
        ("GRAD002", {"grad_norm": [math.exp(0.05 * i) * x for i, x in enumerate(NOISE)]}, {}),
        ("GRAD002", {"grad_norm": [*NOISE[:40], 90.0, *noisy_column(1.0, 19)]}, {}),
        ("GRAD002", {"grad_norm": noisy_column(1.0, 40) + noisy_column(2.5, 20)}, {}),
        ("GRAD014", {"grad_norm": [90.0] * 10 + [700.0] * 9}, GRPO),
    ],
)
def test_stays_quiet_near_the_limit(code: str, columns: dict[str, Any], options: dict[str, Any]) -> None:
    report = scan_columns(code, columns, **options)
    assert (report.findings, report.checked) == ((), (code,))


@each_of(
    ("code", "columns", "options", "reason"),
    [
        ("GRAD001", {"reward_mean": [1.0, 1.0]}, {}, "needs loss or policy_loss"),
        ("GRAD003", {"loss": [1.0] * 60}, CLIP, "needs grad_norm"),
        ("GRAD003", {"grad_norm": EXPLODED}, {}, "needs the gradient clipping norm"),
        ("GRAD012", {"loss": [1.0] * 30}, {}, "needs grad_norm"),
        ("GRAD002", {"loss": JUMP}, {}, "needs grad_norm"),
        ("GRAD014", {"loss": [1.0] * 9}, GRPO, "needs grad_norm"),
        ("GRAD014", {"grad_norm": [700.0] * 20}, {"algorithm": "dqn"}, "defined for"),
    ],
)
def test_says_what_is_missing(code: str, columns: dict[str, Any], options: dict[str, Any], reason: str) -> None:
    (check,) = scan_columns(code, columns, **options).skipped
    assert check.reason.startswith(reason)


@each_of(
    ("norm", "loss", "worst"),
    [
        ([1.0, NAN, 1.1, 0.9, NAN, 1.0], [0.7, 0.6, 0.6, 0.5, 0.5, 0.4], "info"),  # steps that a loss scaler skipped
        ([1.0, INF, INF, 0.9], [0.7, 0.6, 0.6, 0.5], "info"),
        ([1.0, NAN, NAN, NAN], [0.7, 0.6, 0.6, 0.5], "critical"),  # it does not come back
        ([1.0, INF, INF, INF], [0.7, 0.6, 0.6, 0.5], "warn"),
        ([1.0, NAN, 1.0, 1.0], [0.7, 0.0, 0.6, 0.5], "critical"),  # transformers writes 0 for a loss that is NaN
        ([1.0, INF], [1.0, NAN], "critical"),
    ],
)
def test_a_skipped_step_is_information(norm: list[float], loss: list[float], worst: str) -> None:
    assert scan_columns("GRAD001", {"grad_norm": norm, "loss": loss}).worst() == worst


def test_clipping_by_a_wide_margin_from_the_start_is_an_info() -> None:
    (finding,) = scan_columns("GRAD003", {"grad_norm": [40.0] * 60}, **CLIP).findings
    assert finding.severity == "info"


def test_evaluation_rows_are_not_looked_at() -> None:
    report = scan_columns("GRAD001", {"loss": [1.0, NAN]}, phase=["train", "eval"])
    assert report.findings == ()
