from __future__ import annotations

from typing import Any

import pytest
from examples import each_of

from rldk.testing import scan_columns

Columns = dict[str, Any]

TWICE: dict[str, Any] = {"config": {"num_iterations": 2}}
SB3: dict[str, Any] = {"framework": "stable_baselines3", "algorithm": "ppo"}
UNMOVED: Columns = {
    "kl_policy_update": [9e-10, 0.0, -9e-10] * 5,
    "clip_frac": [0.0] * 15,
    "update_count": [4.0 * i for i in range(15)],
    "lr": [3e-4] * 15,
}
STILL: Columns = {"ratio_mean": [1.0] * 5, "kl_policy_update": [0.0] * 5}

LOWER: Columns = {"clip_frac_low": [0.02, 0.03] * 20, "clip_frac_high": [0.0, 0.001] * 20}
SPREAD: list[Any] = [0.001 * (1 + 0.1 * (i % 3)) for i in range(40)]
WIDER: Columns = {"ratio_var": SPREAD + [10 * v for v in SPREAD[:10] if v]}
TRL: dict[str, Any] = {"framework": "trl", "algorithm": "grpo"}


def _doubled(before: float) -> list[Any]:
    return [before] * 40 + [2.5 * before] * 10


@each_of(
    ("code", "columns", "options", "expected"),
    [
        ("CLIP001", {"ratio_first_minibatch_dev": [0.2, 0.2, 0.2]}, {}, (2, "critical")),
        ("CLIP001", {"ratio_first_minibatch_dev": [0.03, 0.03]}, {}, (2, "warn")),
        ("CLIP001", {"ratio_first_minibatch_dev": [0.0, 0.0, 0.03, None, 0.03]}, {}, (5, "critical")),
        ("CLIP002", STILL | {"lr": [1e-6] * 5}, TWICE, (3, "warn")),
        ("CLIP002", UNMOVED, SB3, (10, "warn")),
        ("CLIP003", {"clip_frac": [0.1] * 10 + [0.51] * 20}, {}, (22, "warn")),
        ("CLIP005", {"kl_policy_update": [0.01] * 5 + [0.2] * 6}, {}, (10, "warn")),
        ("CLIP005", {"kl_policy_update": [0.005] * 5 + [0.02] * 20}, {"config": {"target_kl": 0.01}}, (22, "warn")),
        ("CLIP004", LOWER, {}, (22, "info")),
        ("CLIP006", WIDER, {}, (43, "info")),
        ("CLIP006", WIDER | {"kl_policy_update": _doubled(0.002)}, {}, (43, "warn")),
    ],
)
def test_fires(code: str, columns: Columns, options: dict[str, Any], expected: tuple[int, str]) -> None:
    report = scan_columns(code, columns, **options)
    assert [(f.code, f.first_step, f.severity) for f in report.findings] == [(code, *expected)]


@each_of(
    ("code", "columns", "options"),
    [
        ("CLIP001", {"ratio_first_minibatch_dev": [0.0, 0.5, 0.0, 0.5]}, {}),
        ("CLIP001", {"ratio_first_minibatch_dev": [0.1] * 5, "staleness_mean": [1.0] * 5}, {}),
        ("CLIP002", {"ratio_mean": [1.0, 1.0001, 1.0, 1.0], "kl_policy_update": [0.0] * 4}, TWICE),
        ("CLIP002", STILL | {"lr": [0.0] * 5}, TWICE),
        ("CLIP002", UNMOVED | {"update_count": [float(i) for i in range(15)]}, SB3),  # one pass
        ("CLIP002", UNMOVED | {"kl_policy_update": [1e-7] * 15}, SB3),
        ("CLIP002", UNMOVED | {"ratio_mean": [1.001] * 15}, TWICE),
        ("CLIP003", {"clip_frac": [0.49, 0.1] * 20}, {}),
        ("CLIP003", {"clip_frac": [14 / 32, 0.5, 21 / 32, 0.0] * 8}, {}),  # shares of 32 sequences
        ("CLIP004", LOWER | {"clip_frac_high": [0.003] * 40}, {}),
        ("CLIP004", {"clip_frac_low": [0.009] * 40, "clip_frac_high": [0.0] * 40}, {}),
        ("CLIP005", {"kl_policy_update": [0.029] * 20}, {}),
        ("CLIP006", {"ratio_var": SPREAD + [2 * v for v in SPREAD[:10] if v], "kl_policy_update": _doubled(0.002)}, {}),
        ("CLIP006", {"ratio_var": [0.005 * v for v in WIDER["ratio_var"] if v]}, {}),
    ],
)
def test_stays_quiet_near_the_limit(code: str, columns: Columns, options: dict[str, Any]) -> None:
    report = scan_columns(code, columns, **options)
    assert (report.findings, report.checked) == ((), (code,))


@each_of(
    ("code", "columns", "options", "reason"),
    [
        ("CLIP001", {"ratio_mean": [1.0] * 5}, {}, "needs ratio_first_minibatch_dev"),
        ("CLIP002", STILL, {}, "needs the number of passes"),
        ("CLIP002", STILL, {"config": {"num_iterations": 1}}, "one pass over each batch"),
        ("CLIP002", {"ratio_mean": [1.0] * 5}, TWICE, "needs kl_policy_update"),
        ("CLIP002", UNMOVED, {"framework": "cleanrl"}, "needs the number of passes"),
        ("CLIP003", {"clip_frac": [0.5] * 30}, {"algorithm": "rloo"}, "the ratio is that of whole sequences"),
        ("CLIP003", {"ratio_mean": [1.0] * 5}, {}, "needs clip_frac"),
        ("CLIP004", {"clip_frac_low": [0.02] * 30}, {}, "needs clip_frac_high"),
        ("CLIP005", {"ratio_mean": [1.0] * 5}, {}, "needs kl_policy_update"),
        ("CLIP006", {"ratio_mean": [1.0] * 5}, {}, "needs ratio_var"),
        ("CLIP007", {"clip_frac": [0.5] * 30}, TRL, "needs reward_mean"),
    ],
)
def test_says_what_is_missing(code: str, columns: Columns, options: dict[str, Any], reason: str) -> None:
    (check,) = scan_columns(code, columns, **options).skipped
    assert check.reason.startswith(reason)


def fresh(clipped: float, later: float, *, times: int = 2) -> Columns:
    """Rollouts that are used so many times, with rewards on the first step that sees them."""
    uses = range(times)
    rewards: list[Any] = [0.5 if use == 0 else None for use in uses] * 8
    return {"clip_frac": [clipped if use == 0 else later for use in uses] * 8, "reward_mean": rewards}


def test_ratios_are_clipped_before_any_update() -> None:
    (finding,) = scan_columns("CLIP007", fresh(0.01, 0.05), **TRL).findings
    assert (finding.first_step, finding.severity) == (11, "warn")


@pytest.mark.parametrize(
    ("columns", "options"),
    [
        (fresh(0.0, 0.2), {}),
        (fresh(0.05, 0.05, times=1), {}),  # every row has rewards: it may be of several steps
        (fresh(0.05, 0.05), {"step": list(range(2, 34, 2))}),  # each row is a mean over two steps
    ],
)
def test_what_is_clipped_after_the_first_step_is_quiet(columns: Columns, options: dict[str, Any]) -> None:
    report = scan_columns("CLIP007", columns, **TRL, **options)
    assert (report.findings, report.checked) == ((), ("CLIP007",))


def test_only_trl_logs_rewards_where_they_are_new() -> None:
    (check,) = scan_columns("CLIP007", fresh(0.01, 0.05), framework="verl", algorithm="grpo").skipped
    assert check.status == "not_applicable"


def test_rollouts_that_begin_in_the_middle_of_a_step() -> None:
    rewards: list[Any] = [0.5, 0.5, None] * 8
    assert not scan_columns("CLIP007", {"clip_frac": [0.02] * 24, "reward_mean": rewards}, **TRL).findings


LEAPS = {"kl_policy_update": [0.2] * 40, "clip_frac": [0.517] * 40}


@each_of(("slope", "worst"), [(30.0, "info"), (0.0, "warn")])
@each_of("code", ["CLIP003", "CLIP005"])
def test_an_agent_that_learns_by_large_updates(code: str, slope: float, worst: str) -> None:
    columns = LEAPS | {"reward_mean": [slope * i + 5.0 * (i % 3) for i in range(40)]}
    found = scan_columns(code, columns, framework="sb3", algorithm="ppo").findings
    assert found[-1].severity == worst


def test_one_bump_over_a_published_limit() -> None:
    columns: Columns = {"kl_policy_update": [0.01] * 20 + [0.05] * 8 + [0.01] * 20}
    assert not scan_columns("CLIP005", columns).findings


@pytest.mark.parametrize(("kl", "worst"), [(0.3, "warn"), (0.1, "info")])
def test_an_agent_that_large_updates_begin_to_undo(kl: float, worst: str) -> None:
    rewards = [10.0 * i + 5.0 * (i % 3) for i in range(100)] + [990.0 - 4 * i + 5.0 * (i % 3) for i in range(50)]
    columns: Columns = {"kl_policy_update": [0.05] * 100 + [kl] * 50, "reward_mean": [*rewards]}
    assert scan_columns("CLIP005", columns, framework="spinup", algorithm="ppo").worst() == worst
