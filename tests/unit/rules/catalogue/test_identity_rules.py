"""Rules over what a hook measures: each fires on its fault, is quiet beside it, and says what it lacks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pytest

from rldk.testing import scan_columns

Columns = Mapping[str, Sequence[float | None]]
N = 12
RATE = {"lr_largest_group": [1e-3] * N, "lr_smallest_group": [1e-3] * N, "grad_norm_update": [0.5] * N}
MOVES = {**RATE, "weights_changed_frac": [0.9] * N}


def _later(value: float, *, usual: float, at: int = 5) -> list[float]:
    return [usual] * at + [value] * (N - at)


# code, columns, the first step at which it must fire
FAULTS: list[tuple[str, Columns, int]] = [
    ("OPT001", {**RATE, "weights_changed_frac": [0.0] * N}, 2),
    ("OPT001", {**RATE, "weights_changed_frac": _later(0.0, usual=0.9)}, 7),
    ("OPT006", {"trainable_params": [0.0] * N}, 1),
    ("OPT006", {"optimizer_coverage": [0.0] * N}, 1),
    ("OPT006", {"optimizer_coverage": [0.97] * N}, 1),
    ("OPT016", {**RATE, "lr_smallest_group": [0.0] * N}, 3),
    ("OPT017", {"weights_undone_frac": _later(1.0, usual=0.0)}, 7),
    ("OFF005", {"sampled_surprise_z": [-6.1] * N, "sampled_surprise_excess": [-0.2] * N}, 3),
    ("GRAD010", {**RATE, "weights_changed_frac": [0.04] * N}, 5),
    ("GRAD015", {"grad_norm_update": [0.0] * N, "reward_std": [0.4] * N}, 3),
    ("GRAD016", {**RATE, "grad_dead_frac": [0.75] * N}, 3),
    ("KL005", {"reference_drift": _later(1e-6, usual=0.0)}, 8),
    ("KL005", {"reference_shared_frac": [1.0] * N}, 3),
    ("OFF003", {"sampler_weight_dev": _later(1e-4, usual=0.0)}, 7),
    ("OFF003", {"probe_logprob_dev": _later(0.4, usual=0.001)}, 7),
    ("OFF005", {"rollout_logprob_slope": [0.6] * N, "rollout_logprob_corr": [0.97] * N}, 3),
    ("LEN004", {"valid_token_frac": _later(0.01, usual=1.0)}, 8),
    ("SYS003", {"ranks_with_other_weights": _later(1.0, usual=0.0)}, 7),
    ("SYS004", {"ranks_with_same_random_state": [1.0] * N, "ranks_with_same_prompts": [1.0] * N}, 2),
    ("DATA016", {"ranks_with_same_prompts": [1.0] * N}, 3),
]
NEAR: list[tuple[str, Columns]] = [
    ("OPT001", MOVES),
    ("OPT001", {**MOVES, "weights_changed_frac": [0.9, 0.0] * (N // 2)}),
    ("OPT001", {**RATE, "lr_largest_group": [0.0] * N, "weights_changed_frac": [0.0] * N}),
    ("OPT001", {**RATE, "grad_norm_update": [0.0] * N, "weights_changed_frac": [0.0] * N}),
    ("OPT006", {"trainable_params": [100.0] * N, "optimizer_coverage": [1.0] * N}),
    ("OPT016", RATE),
    ("OPT016", {**RATE, "lr_smallest_group": [0.0] * N, "lr_largest_group": [0.0] * N}),
    ("OPT017", {"weights_undone_frac": [0.5] * N}),
    ("OFF005", {"sampled_surprise_z": [5.9] * N, "sampled_surprise_excess": [0.2] * N}),
    ("GRAD010", {**RATE, "weights_changed_frac": [0.1] * N}),
    ("GRAD010", {**RATE, "weights_changed_frac": [0.0] * N}),
    ("GRAD015", {"grad_norm_update": [0.0] * N, "zero_std_group_frac": [1.0] * N}),
    ("GRAD015", {"grad_norm_update": [0.0] * N, "reward_std": [0.0] * N}),
    ("GRAD015", {"grad_norm_update": [1e-12] * N, "reward_std": [0.4] * N}),
    ("GRAD016", {**RATE, "grad_dead_frac": [0.49] * N}),
    ("KL005", {"reference_drift": [0.0] * N, "reference_shared_frac": [0.0] * N}),
    ("OFF003", {"sampler_weight_dev": [0.0] * N, "probe_logprob_dev": [0.019] * N}),
    ("OFF003", {"sampler_weight_dev": [0.0, 0.1] * (N // 2)}),
    ("OFF005", {"rollout_logprob_slope": [1.04] * N, "rollout_logprob_corr": [0.99] * N}),
    ("OFF005", {"rollout_logprob_slope": [0.6] * N, "rollout_logprob_corr": [0.5] * N}),
    ("LEN004", {"valid_token_frac": [0.06] * N}),
    ("SYS003", {"ranks_with_other_weights": [0.0, 1.0] * (N // 2)}),
    ("SYS004", {"ranks_with_same_random_state": [1.0] * N, "ranks_with_same_prompts": [0.0] * N}),
    ("DATA016", {"ranks_with_same_prompts": [0.0] * N}),
]
WITHOUT = {
    "OPT006": "trainable_params", "OPT016": "lr_smallest_group", "OPT017": "weights_undone_frac",
    "GRAD010": "weights_changed_frac",
    "GRAD015": "grad_norm_update", "GRAD016": "grad_dead_frac", "SYS003": "ranks_with_other_weights",
    "SYS004": "ranks_with_same_random_state", "DATA016": "ranks_with_same_prompts",
}  # fmt: skip


def test_each_fault_is_named_at_its_step() -> None:
    for code, columns, step in FAULTS:
        found = scan_columns(code, columns, algorithm="grpo").findings
        assert [(f.code, f.first_step) for f in found] == [(code, step)], (code, list(columns))


def test_what_is_beside_a_fault_is_quiet() -> None:
    for code, columns in NEAR:
        assert not scan_columns(code, columns, algorithm="grpo").findings, (code, columns)


def test_a_rule_without_its_measurement_says_what_it_needs() -> None:
    for code, metric in WITHOUT.items():
        (skipped,) = scan_columns(code, {"loss": [1.0] * N}, algorithm="grpo").skipped
        assert metric in skipped.reason, code


def test_a_missing_part_of_the_model_is_a_warning_and_none_at_all_is_critical() -> None:
    graded = {x: scan_columns("OPT006", {"optimizer_coverage": [x] * N}).findings[0].severity for x in (0.0, 0.5)}
    assert graded == {0.0: "critical", 0.5: "warn"}


def test_the_scalar_form_of_stale_weights_stays_a_warning() -> None:
    gap = [0.01] * 11 + [0.2] * 4
    (finding,) = scan_columns("OFF003", {"rollout_logprob_diff_mean": gap}, algorithm="grpo").findings
    assert finding.severity == "warn"


def test_a_reference_that_is_synced_on_purpose_is_not_looked_at() -> None:
    report = scan_columns(
        "KL005", {"reference_drift": [0.1] * N}, algorithm="grpo", framework="trl", config={"sync_ref_model": True}
    )
    assert not report.findings
    assert report.skipped[0].status == "not_applicable"


@pytest.mark.parametrize("algorithm", ["dpo", "ppo", "grpo"])
def test_the_reference_is_looked_at_wherever_there_is_one(algorithm: str) -> None:
    assert scan_columns("KL005", {"reference_drift": [math.ulp(1.0)] * N}, algorithm=algorithm).findings
