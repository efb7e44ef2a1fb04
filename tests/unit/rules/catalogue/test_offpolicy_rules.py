from __future__ import annotations

from typing import Any

from examples import each_of

from rldk.testing import scan_columns

SEQUENCE = {"config": {"vllm_importance_sampling_mode": "sequence_mask"}}
BOUND = {"config": {"rollout.max_head_offpolicyness": 4}}
TOP_P = {"config": {"top_p": 0.8}}


@each_of(
    ("code", "columns", "options", "first_step"),
    [
        ("OFF001", {"rollout_prob_diff_mean": [0.004, 0.012, 0.013, 0.02]}, {}, 4),
        ("OFF001", {"rollout_kl": [0.0, -0.2, -0.2, -0.2]}, {}, 4),
        ("OFF003", {"rollout_logprob_diff_mean": [0.010, 0.018, 0.201, 0.2, 0.2]}, {}, 4),  # the table of trl#5312
        ("OFF003", {"rollout_logprob_diff_mean": [0.0] * 20 + [0.1] * 4}, {}, 22),
        ("OFF004", {"rollout_is_ratio_mean": [0.896] * 20}, TOP_P, 14),
        (
            "OFF006",
            {"rollout_logprob_diff_mean": [0.012] * 5, "response_length_mean": [50.0, 100.0, 100.0, 100.0, 100.0]},
            SEQUENCE,
            4,
        ),
        ("OFF009", {"staleness_max": [2.0, 4.0, 5.0]}, BOUND, 3),
        ("OFF012", {"rollout_is_ess": [0.9, 0.2, 0.2, 0.2]}, {}, 4),
        ("OFF013", {"rollout_is_clip_frac": [0.1, 0.4, 0.4, 0.4]}, {}, 4),
        ("OFF014", {"rollout_prob_corr": [0.999, 0.95, 0.95, 0.95]}, {}, 4),
        ("OFF015", {"rollout_chi2_token": [0.1, 2.0, 2.0, 2.0]}, {}, 4),
    ],
)
def test_fires(code: str, columns: dict[str, Any], options: dict[str, Any], first_step: int) -> None:
    report = scan_columns(code, columns, **options)
    assert [(f.code, f.first_step) for f in report.findings] == [(code, first_step)]


@each_of(
    ("code", "columns", "options"),
    [
        ("OFF001", {"rollout_prob_diff_mean": [0.012, 0.012, 0.009, 0.012, 0.012]}, {}),
        ("OFF001", {"rollout_is_ratio_mean": [0.6, 1.9, 1.0, 1.0]}, {}),
        ("OFF003", {"rollout_logprob_diff_mean": [0.010, 0.018, 0.015, 0.04, 0.04] * 4}, {}),
        ("OFF004", {"rollout_is_ratio_mean": [0.985] * 20}, TOP_P),
        ("OFF004", {"rollout_is_ratio_mean": [0.896] * 20}, {"config": {"top_p": 1.0, "top_k": 0}}),
        (
            "OFF006",
            {"rollout_logprob_diff_mean": [0.010] * 5, "response_length_mean": [100.0] * 5},
            SEQUENCE,
        ),
        ("OFF009", {"staleness_max": [2.0, 4.0]}, BOUND),
        ("OFF012", {"rollout_is_ess": [0.2, 0.2, 0.3, 0.2]}, {}),
        ("OFF013", {"rollout_is_clip_frac": [0.4, 0.4, 0.3, 0.4]}, {}),
        ("OFF014", {"rollout_prob_corr": [0.991] * 4}, {}),
        ("OFF015", {"rollout_chi2_token": [0.9] * 4}, {}),
    ],
)
def test_stays_quiet_near_the_limit(code: str, columns: dict[str, Any], options: dict[str, Any]) -> None:
    report = scan_columns(code, columns, **options)
    assert (report.findings, report.checked) == ((), (code,))


@each_of(
    ("code", "columns", "options", "reason"),
    [
        ("OFF001", {"loss": [1.0]}, {}, "needs rollout_prob_diff_mean"),
        ("OFF003", {"loss": [1.0]}, {}, "needs rollout_logprob_diff_mean"),
        ("OFF004", {"loss": [1.0]}, {}, "needs rollout_is_ratio_mean"),
        ("OFF006", {"loss": [1.0]}, SEQUENCE, "needs rollout_logprob_diff_mean"),
        ("OFF006", {"loss": [1.0]}, {}, "defined for importance weights of whole sequences"),
        ("OFF009", {"loss": [1.0]}, BOUND, "needs staleness_max"),
        ("OFF009", {"staleness_max": [9.0]}, {}, "needs the bound on policy lag"),
        ("OFF012", {"loss": [1.0]}, {}, "needs rollout_is_ess"),
        ("OFF013", {"loss": [1.0]}, {}, "needs rollout_is_clip_frac"),
        ("OFF014", {"loss": [1.0]}, {}, "needs rollout_prob_corr"),
        ("OFF015", {"loss": [1.0]}, {}, "needs rollout_chi2_token"),
    ],
)
def test_says_what_is_missing(code: str, columns: dict[str, Any], options: dict[str, Any], reason: str) -> None:
    (check,) = scan_columns(code, columns, **options).skipped
    assert check.reason.startswith(reason)


def test_a_low_weight_is_an_info_where_the_sampling_is_unknown() -> None:
    columns = {"rollout_is_ratio_mean": [0.896] * 20}
    known, unknown = scan_columns("OFF004", columns, **TOP_P), scan_columns("OFF004", columns)
    assert (known.worst(), unknown.worst()) == ("warn", "info")
