from __future__ import annotations

from typing import Any

from examples import each_of

from rldk.testing import scan_columns

MOVING = [0.01, 0.012, 0.009, 0.011] * 8  # 32 rows
RATIO = [1.01, 0.99, 1.02, 1.0] * 8
GRPO = {"algorithm": "grpo"}


def still(rows: int, **more: list[Any]) -> dict[str, Any]:
    return {"kl_policy_update": MOVING + [0.0] * rows, "ratio_mean": RATIO + [1.0] * rows, **more}


EVERY_TENTH: dict[str, Any] = {"framework": "trl", "step": range(10, 240, 10)}
PRINTED = {
    "grad_norm": [round(0.3871 + 0.0137 * i, 3) for i in range(20)],
    "reward_mean": [round(0.1173 + 0.0131 * i, 3) for i in range(20)],
}


@each_of(
    ("code", "columns", "options", "first_step"),
    [
        ("OPT001", still(5), {}, 35),
        ("OPT001", still(5, lr=[1e-3] * 37), {}, 35),
        ("OPT002", {"grad_norm": [0.3, 0.0, 0.0, 0.0], "zero_std_group_frac": [0.1] * 4}, GRPO, 4),
        ("OPT003", {"lr": [1e-3] * 10 + [2e-2] * 5}, {}, 11),
        ("OPT003", {"lr": [1e-3, 1e-3, 2e-3]}, {"config": {"learning_rate": 1e-3}}, 3),
        ("OPT002", {"grad_norm": [0.3, *[0.0] * 22], "zero_std_group_frac": [0.4] * 23}, GRPO | EVERY_TENTH, 230),
        ("OPT004", {"lr": [1e-3] * 10 + [0.0] * 5}, {}, 12),
        ("OPT004", {"lr": [1e-6] * 10 + [0.0] * 5}, {}, 12),
        ("OPT004", {"lr": [0.3, 0.2, 0.1] + [0.0] * 12}, {}, 13),
        ("OPT004", {"lr": [0.0] * 12, "kl_policy_update": [1e-10, 0.0] * 6}, {}, 10),  # from the first row on
        ("OPT007", {"loss_scale": [65536.0, 2048.0, 1.0, 1.0, 1.0]}, {}, 5),
        (
            "OPT008",
            {"grad_norm": [0.5] * 42, "kl_policy_update": MOVING + [1e-6] * 10, "lr": [1e-3] * 42},
            {},
            37,
        ),
        ("OPT009", {"loss": [2.0, 1.9, 1.8] * 10 + [3.0, 3.1] * 10}, {"algorithm": "sft"}, 39),
    ],
)
def test_fires(code: str, columns: dict[str, Any], options: dict[str, Any], first_step: int) -> None:
    report = scan_columns(code, columns, **options)
    assert [(f.code, f.first_step) for f in report.findings] == [(code, first_step)]


@each_of(
    ("code", "columns", "options"),
    [
        ("OPT001", {"kl_policy_update": [0.0] * 40, "ratio_mean": [1.0] * 40}, {}),  # on-policy from the start
        ("OPT001", still(2), {}),
        ("OPT001", still(5, lr=[1e-3] * 32 + [1e-5] * 5), {}),
        ("OPT001", still(5, zero_std_group_frac=[0.0] * 32 + [1.0] * 5), {}),
        ("OPT001", still(5, grad_norm=[0.5] * 32 + [0.0] * 5), {}),
        ("OPT002", {"grad_norm": [0.3, 0.0, 0.0, 0.0], "zero_std_group_frac": [0.1, 1.0, 1.0, 1.0]}, GRPO),
        ("OPT003", {"lr": [i * 1e-4 for i in range(1, 12)]}, {}),  # warm-up
        ("OPT003", {"lr": [0.5] * 10 + [1.5] * 5}, {}),  # three times as large, and not more
        ("OPT003", {"lr": [0.0] * 10 + [1.0] * 5}, {}),  # nothing to compare with
        ("OPT003", {"lr": [1.01] * 10}, {"config": {"learning_rate": 1.0}}),  # 1 % above
        ("OPT003", {"lr": [0.5] * 10}, {"config": {"learning_rate": 0.0}}),
        ("OPT003", {"lr": [0.0, 1e-5, 1e-4, 1e-3, 1e-3, 1e-3, 1e-3]}, {}),  # coarsely logged warm-up
        ("OPT003", {"lr": [1e-3, 5e-4, 1e-4, 1e-3, 5e-4, 1e-4, 1e-3]}, {"config": {"learning_rate": 1e-3}}),  # restarts
        # a fraction averaged over ten steps beside the norm of the last one
        (
            "OPT002",
            {"grad_norm": [0.3, *[0.0] * 19, *[0.3] * 3], "zero_std_group_frac": [0.4] * 23},
            GRPO | EVERY_TENTH,
        ),
        ("OPT004", {"lr": [0.0, 0.0, 0.1, 0.1, 0.0]}, {}),
        ("OPT004", {"lr": [0.0] * 20, "kl_policy_update": [0.0] * 20} | PRINTED, {}),
        ("OPT004", {"lr": [0.001] * 8 + [0.0] * 12} | PRINTED, {}),
        ("OPT004", {"lr": [0.0] * 12, "kl_policy_update": [1e-3] * 12}, {}),  # 1e-6 printed as 0.000
        ("OPT004", {"lr": [5e-8, 4e-8, 3e-8, 0.0, 0.0, 0.0]}, {}),  # eight decimals, of which one is left
        ("OPT004", {"lr": [3e-6, 2e-6, 1e-6, 2e-8, *[0.0] * 12]}, {}),  # below 5e-9 at the end of a cosine
        ("OPT004", {"lr": [0.4, 0.3, 0.2, 0.1, 0.0]}, {}),  # a linear schedule, logged coarsely
        ("OPT004", {"lr": [0.1, 0.1, 0.1, 0.0, 0.0]}, {"step": [1, 2, 3, 4, 4]}),  # last row twice
        ("OPT007", {"loss_scale": [1.0] * 6}, {}),
        (
            "OPT008",
            {
                "grad_norm": [0.5] * 42,
                "kl_policy_update": MOVING + [1e-6] * 10,
                "lr": [1e-3] * 32 + [1e-5] * 10,  # decayed
            },
            {},
        ),
        ("OPT009", {"loss": [2.0, 1.9, 1.8] * 10 + [2.3, 2.4] * 10}, {"algorithm": "sft"}),
        ("OPT009", {"loss": [0.7] * 10 + [0.3, 1.5] * 20}, {"algorithm": "dpo"}),  # noise
    ],
)
def test_stays_quiet_near_the_limit(code: str, columns: dict[str, Any], options: dict[str, Any]) -> None:
    report = scan_columns(code, columns, **options)
    assert (report.findings, report.checked) == ((), (code,))


@each_of(
    ("code", "columns", "missing"),
    [
        ("OPT001", {"kl_policy_update": MOVING}, "ratio_mean"),
        ("OPT002", {"grad_norm": MOVING}, "zero_std_group_frac"),
        ("OPT003", {"loss": MOVING}, "lr"),
        ("OPT004", {"loss": MOVING}, "lr"),
        ("OPT007", {"loss": MOVING}, "loss_scale"),
        ("OPT008", {"grad_norm": MOVING, "lr": MOVING}, "kl_policy_update"),
    ],
)
def test_says_what_is_missing(code: str, columns: dict[str, Any], missing: str) -> None:
    (check,) = scan_columns(code, columns).skipped
    assert check.reason.startswith(f"needs {missing}")


def test_a_schedule_that_ended_and_training_that_goes_on_is_a_warning() -> None:
    came_down = scan_columns("OPT004", {"lr": [0.3, 0.2, 0.1] + [0.0] * 12})
    fell = scan_columns("OPT004", {"lr": [0.3] * 3 + [0.0] * 12})
    assert (came_down.worst(), fell.worst()) == ("warn", "critical")


def test_missing_values_neither_break_nor_feed_a_streak() -> None:
    gaps: list[Any] = [*MOVING, 0.0, None, 0.0, None, 0.0]
    report = scan_columns("OPT001", {"kl_policy_update": gaps, "ratio_mean": [*RATIO, 1.0, None, 1.0, None, 1.0]})
    assert [f.first_step for f in report.findings] == [37]


def test_a_loss_is_judged_only_where_it_must_fall() -> None:
    unknown, supervised = (
        scan_columns("OPT009", {"lr": MOVING}),
        scan_columns("OPT009", {"lr": MOVING}, algorithm="sft"),
    )
    assert unknown.skipped[0].reason.startswith("defined for sft, dpo")
    assert supervised.skipped[0].reason == "needs loss"
