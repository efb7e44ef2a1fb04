from __future__ import annotations

import math
from typing import Any

from examples import each_of

from rldk.testing import noisy_column, scan_columns

Columns = dict[str, Any]

BLOWN = [0.1] * 40 + [3.0] * 10  # rows 41-50 are thirty times the rest
FELL = [1.0 + 0.02 * i for i in range(40)] + [0.2] * 10
SAGGED = [1.0] * 20 + [0.9, 0.8] * 15
MOVING = [0.1 * 0.98**i for i in range(30)]
LEFT = [0.1] * 24 + [0.1 * 0.9**i for i in range(1, 12)]
SUMMED: dict[str, Any] = {"estimators": {"kl": "k1 seq_sum"}}
TOKENS: dict[str, Any] = {"estimators": {"kl": "k3 tok_mean"}}
JUMP = noisy_column(1.0, 40) + noisy_column(4.0, 20)
CREEP = [math.exp(0.05 * i) * x for i, x in enumerate(noisy_column(1.0, 60))]
STEADY = {"reward_mean": noisy_column(0.5, 60, 2)}
LEARNT = noisy_column(0.2, 40) + noisy_column(0.6, 20)


def _implied(coefficients: list[float]) -> Columns:
    """Losses of a trainer that adds coefficient * KL to its policy loss and does not log the coefficient."""
    kl, policy = [0.5] * len(coefficients), [0.1] * len(coefficients)
    return {"kl": kl, "policy_loss": policy, "loss": [0.1 + c * 0.5 for c in coefficients]}


@each_of(
    ("code", "columns", "options", "expected"),
    [
        ("KL002", {"kl": BLOWN, "reward_mean": FELL}, {}, (47, "critical")),
        ("KL002", {"kl": BLOWN, "entropy": [2.0] * 40 + [1.0] * 10, "reward_mean": SAGGED}, {}, (45, "warn")),
        ("KL002", {"kl": [0.0] * 5 + [30.0] * 9, "entropy": [4.0] * 5 + [1.0] * 9}, SUMMED, (10, "warn")),
        ("KL003", {"kl": [0.0] * 35, "kl_coef": [0.05] * 35}, {}, (30, "warn")),
        ("KL003", {"kl": [0.0] * 35}, {"config": {"beta": 0.04}}, (30, "warn")),
        ("KL003", {"kl": [0.0] * 35, "entropy": [4 - 0.01 * i for i in range(35)]}, {"framework": "trl"}, (30, "info")),
        ("KL003", {"kl": [0.0] * 30, "lr": [1e-6] * 30}, {"framework": "trl"}, (20, "info")),
        ("KL004", {"kl": [0.3, 0.3]}, {"estimators": {"kl": "k3 tok_mean"}}, (1, "warn")),
        ("KL004", {"kl": [30.0], "response_length_mean": [200.0]}, SUMMED, (1, "warn")),
        ("KL005", {"kl": [0.5] * 20 + [0.0] * 5}, {}, (23, "critical")),
        ("KL007", {"kl_coef": [0.1, 0.1, -0.4]}, {}, (3, "critical")),
        ("KL007", _implied([0.04] * 32 + [-0.04] * 3), {}, (34, "critical")),
        ("KL007", _implied([-0.04] * 31), {}, (30, "critical")),
        ("KL009", {"kl": [0.0] * 10 + [5.0] * 100}, {"config": {"kl_target": 1.0}}, (102, "warn")),
        ("KL018", {"kl_coef": [10.0] * 30}, {}, (10, "warn")),
        ("KL013", {"kl_coef": [0.1, 0.1, 0.0, 0.0, 0.0]}, {}, (4, "warn")),
        ("KL013", {"kl_coef": LEFT}, {}, (31, "warn")),
        ("KL013", {"kl_coef": [0.1] * 20 + [0.4] * 3}, {}, (21, "warn")),
        ("KL013", {"kl_coef": [*MOVING, 0.001, 0.00098]}, {}, (31, "warn")),
        ("KL013", {"kl_coef": MOVING + [0.05] * 12, "kl": [1.0] * 30 + [2.0] * 12}, {}, (39, "warn")),
        ("KL013", _implied([0.04] * 32 + [0.0] * 3), {}, (34, "warn")),
        ("KL001", {"kl": JUMP, **STEADY}, {}, (43, "warn")),
        ("KL017", {"kl": [0.0, 1.9, 2.4, 2.7, 1.9, 2.0]}, TOKENS, (5, "warn")),
        ("KL017", {"kl": [0.0, 9.0, 9.0, 9.0, 9.0]}, SUMMED, (5, "warn")),
    ],
)
def test_fires(code: str, columns: Columns, options: dict[str, Any], expected: tuple[int, str]) -> None:
    report = scan_columns(code, columns, **options)
    assert [(f.code, f.first_step, f.severity) for f in report.findings] == [(code, *expected)]


@each_of(
    ("code", "columns", "options"),
    [
        ("KL002", {"kl": BLOWN, "entropy": [2.0] * 40 + [1.0] * 10, "reward_mean": [0.02 * i for i in range(50)]}, {}),
        ("KL002", {"kl": BLOWN, "entropy": [2.0] * 40 + [1.5] * 10, "reward_mean": [1.0] * 50}, {}),
        ("KL003", {"kl": [0.0] * 29, "kl_coef": [0.05] * 29}, {}),
        ("KL003", {"kl": [0.0] * 40}, {"config": {"beta": 0.0}}),
        ("KL003", {"kl": [0.0] * 40, "entropy": [4.0, 4.01] * 20}, {"framework": "trl"}),
        ("KL003", {"kl": [0.0] * 19, "lr": [1e-6] * 19}, {"framework": "trl"}),
        ("KL003", {"kl": [0.0, 1e-8] * 20, "lr": [1e-6] * 40}, {"framework": "trl"}),
        ("KL003", {"kl": [0.0] * 40, "entropy": [4 - 0.01 * i for i in range(40)]}, {}),
        ("KL004", {"kl": [0.04]}, {"estimators": {"kl": "k3 tok_mean"}}),
        ("KL004", {"kl": [0.3]}, {"step": [500]}),
        ("KL005", {"kl": [0.5] * 30 + [0.0, 0.0, 0.4]}, {}),
        ("KL005", {"kl": [0.001] * 20 + [0.0] * 5}, {}),
        ("KL007", {"kl_coef": [0.1, 0.0]}, {}),
        ("KL007", _implied([0.04 + 0.01 * (i % 2) for i in range(32)] + [-0.04] * 3), {}),
        ("KL009", {"kl": [1.9] * 110}, {"config": {"kl_target": 1.0}}),
        ("KL018", {"kl_coef": [1.9] * 30}, {}),
        ("KL018", {"kl_coef": [0.2 * 1.2**i for i in range(30)]}, {}),  # an adaptive one that is driven up
        ("KL013", {"kl_coef": [0.1 * (30 - i) / 30 for i in range(31)] + [0.0] * 5}, {}),
        ("KL013", {"kl_coef": [0.2 * 2.0 ** (i % 3) for i in range(40)]}, {}),
        ("KL013", {"kl_coef": MOVING + [0.05] * 12, "kl": [1.0] * 42}, {}),
        ("KL001", {"kl": JUMP, "reward_mean": LEARNT}, {}),
        ("KL001", {"kl": CREEP, **STEADY}, {}),
        ("KL017", {"kl": [0.0, 0.4, 0.4, 0.4, 0.4, 9.0, 9.0]}, TOKENS),
        ("KL017", {"kl": [0.0, 4.0, 4.0, 4.0, 4.0]}, SUMMED),
    ],
)
def test_stays_quiet_near_the_limit(code: str, columns: Columns, options: dict[str, Any]) -> None:
    report = scan_columns(code, columns, **options)
    assert (report.findings, report.checked) == ((), (code,))


@each_of(
    ("code", "columns", "options", "reason"),
    [
        ("KL002", {"entropy": [1.0] * 50}, {}, "needs kl"),
        ("KL003", {"entropy": [1.0] * 50}, {}, "needs kl"),
        ("KL004", {"kl": [None, None]}, {}, "needs kl"),
        ("KL005", {"kl": [0.5] * 30}, {"config": {"sync_ref_model": True}}, "the reference is synced"),
        ("KL007", {"kl": [0.5] * 30}, {}, "needs kl_coef or kl_coef_implied"),
        ("KL009", {"kl": [0.5] * 30}, {}, "needs the KL target"),
        ("KL013", {"kl": [0.5] * 30}, {}, "needs kl_coef or kl_coef_implied"),
        ("KL001", {"loss": JUMP}, {}, "needs kl"),
        ("KL017", {"loss": [1.0] * 9}, {}, "needs kl"),
        ("KL018", {"kl": [0.5] * 30}, {}, "needs kl_coef or kl_coef_paid"),
    ],
)
def test_says_what_is_missing(code: str, columns: Columns, options: dict[str, Any], reason: str) -> None:
    (check,) = scan_columns(code, columns, **options).skipped
    assert check.reason.startswith(reason)


def test_a_coefficient_paid_inside_the_reward_is_followed() -> None:
    kl = [0.2 + 0.01 * (i % 7) for i in range(40)]
    gone = [-0.05 * x for x in kl[:24]] + [0.0] * 16
    (finding,) = scan_columns("KL013", {"kl": kl, "reward_kl_penalty": gone}).findings
    assert (finding.first_step, finding.metric) == (26, "kl_coef_paid")
    (finding,) = scan_columns("KL007", {"kl": kl, "reward_kl_penalty": [0.5 * x for x in kl]}).findings
    assert (finding.first_step, finding.severity) == (3, "critical")


def test_a_loss_that_is_the_kl_tells_its_coefficient() -> None:
    kl = [0.1 * 1.05**i for i in range(40)]
    wiggle = [1e-3 * (-1) ** i for i in range(40)]
    gone = [0.1 * x + w if i < 30 else 1e-8 for i, (x, w) in enumerate(zip(kl, wiggle, strict=True))]
    turned = [-0.1 * x for x in kl]
    assert [f.first_step for f in scan_columns("KL013", {"kl": kl, "loss": gone}).findings] == [35]
    assert [f.first_step for f in scan_columns("KL007", {"kl": kl, "loss": turned}).findings] == [20]
    assert not scan_columns(["KL007", "KL013"], {"kl": [0.1] * 40, "loss": [-0.27] * 40}).findings


def test_kl_of_rounding_is_kl_of_nothing() -> None:
    kl = [1e-8 * (-1) ** i for i in range(35)]
    columns = {"kl": kl, "reward_kl_penalty": [-0.05 * x for x in kl]}
    assert [f.first_step for f in scan_columns("KL003", columns).findings] == [30]


@each_of(
    ("limit", "columns", "options"),
    [
        (0.05, {}, {"estimators": {"kl": "k3 tok_mean"}}),
        (0.05, {"response_length_mean": [1.0]}, {}),
        (0.3, {"response_length_mean": [0.5]}, SUMMED),
        (1.0, {}, {}),
        (2.0, {}, {"step": [2]}),
        (2.0, {}, {"step": [3]}),
    ],
)
def test_the_kl_before_the_first_update_has_a_limit_for_each_thing_it_may_be(
    limit: float, columns: Columns, options: dict[str, Any]
) -> None:
    for kl, fires in ((limit, False), (1.001 * limit, True), (-1.001 * limit, True)):
        report = scan_columns("KL004", {"kl": [kl], **columns}, algorithm="grpo", **options)
        assert bool(report.findings) == fires, kl


@each_of(
    ("kl", "length", "gain", "found"),
    [
        (2.0, 120.0, 0.0, 1),
        (2.0, 20.0, 0.0, 0),  # 40 nats per response
        (0.9, 300.0, 0.0, 0),
        (2.0, 120.0, 0.3, 0),  # it gained more than answers differ by
    ],
    ids=["far", "short", "near", "gained"],
)
def test_a_policy_that_is_another_model(kl: float, length: float, gain: float, found: int) -> None:
    rows = 40
    columns = {
        "kl": [0.01 * i for i in range(10)] + [kl] * (rows - 10),
        "response_length_mean": [length] * rows,
        "reward_mean": [0.6] * 10 + [0.6 + gain] * (rows - 10),
        "reward_std": [0.1] * rows,
    }
    report = scan_columns("KL020", columns, algorithm="grpo", estimators={"kl": "k3, tok_mean"})
    assert len(report.findings) == found
