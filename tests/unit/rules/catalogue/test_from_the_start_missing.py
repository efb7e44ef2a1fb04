"""What rules for faults that are there from the first row say when their inputs are missing."""

from __future__ import annotations

from typing import Any

import pytest

from rldk.testing import scan_columns

ROWS: list[float | None] = [0.5] * 30
CLASSIC: dict[str, Any] = {"framework": "sb3", "algorithm": "ppo"}
DPO: dict[str, Any] = {"algorithm": "dpo"}
TRL: dict[str, Any] = {"framework": "trl", "algorithm": "grpo"}


@pytest.mark.parametrize(
    ("code", "columns", "options", "reason"),
    [
        ("OPT015", ("loss",), CLASSIC, "needs lr"),
        ("KL018", ("kl",), {}, "needs kl_coef or kl_coef_paid"),
        ("CLIP007", ("clip_frac",), TRL, "needs reward_mean"),
        ("DATA013", ("loss",), {}, "needs response_length_mean or eos_count"),
        ("LEN008", ("truncation_frac",), {}, "needs eos_count"),
        ("PREF009", ("loss",), DPO, "needs pref_accuracy"),
        ("PREF010", ("loss",), DPO, "needs pref_margin"),
        ("VAL011", ("value_loss",), CLASSIC, "needs value_explained_variance"),
        ("VAL011", ("value_explained_variance",), {"algorithm": "ppo"}, "critics of small language models"),
        ("VAL012", ("value_explained_variance",), CLASSIC, "needs value_loss"),
    ],
)
def test_says_what_is_missing(code: str, columns: tuple[str, ...], options: dict[str, Any], reason: str) -> None:
    (check,) = scan_columns(code, dict.fromkeys(columns, ROWS), **options).skipped
    assert check.reason.startswith(reason)
