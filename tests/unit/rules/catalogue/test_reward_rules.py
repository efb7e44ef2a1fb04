from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

from examples import each_of

from rldk.adapters.open import open_run
from rldk.engine.scan import scan
from rldk.rules.select import select_rules
from rldk.testing import scan_columns

FIXTURES = Path(__file__).parents[3] / "fixtures"

Columns = dict[str, Any]

NAN = math.nan
NOISY = [0.5 + 0.1 * (i % 3) for i in range(12)]
RISING = [0.02 * i for i in range(40)]
FALLEN = [*RISING, *[0.1] * 12]
DICE = random.Random(7)
COARSE = [sum(DICE.random() < 0.3 for _ in range(2)) / 2 for _ in range(60)]  # means of two rewards of 0 or 1
FALLING = [0.98**i for i in range(52)]
EVALS = [0.2, 0.4, 0.6, 0.8, 0.8, 0.3, 0.3, 0.3, 0.3]
TRAIN: dict[str, Any] = {"phase": ["train", "eval"] * 9}


def _evaluated(train: list[float], evals: list[float]) -> Columns:
    """Training and evaluation rows in turn."""
    reward: list[Any] = []
    for value in train:
        reward += [value, None]
    held: list[Any] = []
    for value in evals:
        held += [None, value]
    return {"reward_mean": reward, "eval_reward_mean": held}


@each_of(
    ("code", "columns", "options", "expected"),
    [
        ("REW001", {"reward_mean": [*NOISY, *[0.0] * 8]}, {}, (20, "critical")),
        ("REW001", {"reward_mean": [*NOISY, *[0.0] * 3], "reward_std": [0.2] * 12 + [0.0] * 3}, {}, (15, "critical")),
        ("REW001", {"reward_mean": [*COARSE, *[0.5] * 30]}, {}, (78, "critical")),
        ("REW001", {"reward_mean": [0.0] * 12, "reward_std": [0.0] * 12}, {}, (10, "critical")),
        ("REW001", {"reward_mean": [1.0] * 12}, {}, (10, "warn")),
        ("REW002", _evaluated([0.1 * i for i in range(9)], EVALS), TRAIN, (18, "critical")),
        ("REW003", {"reward_fn/accuracy/mean": FALLEN, "reward_mean": [0.03 * i for i in range(52)]}, {}, (49, "warn")),
        ("REW004", {"reward_fn/format/std": [0.2, *[0.0] * 22]}, {}, (21, "info")),
        ("REW007", {"value_loss": [5e3] * 25, "value_explained_variance": [0.0] * 25}, {}, (20, "warn")),
        ("REW009", {"reward_mean": RISING + [0.8 + 0.01 * (i % 2) for i in range(260)]}, {}, (235, "info")),
        ("REW010", {"reward_mean": [0.5, 0.4, NAN, 0.5]}, {}, (3, "critical")),
        ("REW010", {"reward_mean": [NAN] * 4, "kl": [0.1] * 4}, {}, (1, "critical")),
        ("REW010", {"reward_mean": [NAN] * 50}, {"framework": "rllib"}, (50, "critical")),
        ("REW010", {"reward_mean": [*NOISY, *[None] * 5], "kl": [0.1] * 17}, {}, (17, "warn")),
        ("REW012", {"reward_mean": FALLEN, "entropy": [2.0] * 40 + [1.0] * 12}, {}, (48, "warn")),
    ],
)
def test_fires(code: str, columns: Columns, options: dict[str, Any], expected: tuple[int, str]) -> None:
    report = scan_columns(code, columns, **options)
    assert [(f.code, f.first_step, f.severity) for f in report.findings] == [(code, *expected)]


@each_of(
    ("code", "columns", "options"),
    [
        ("REW001", {"reward_mean": [*NOISY, *[0.0] * 4]}, {}),
        ("REW001", {"reward_mean": [*NOISY, *[1.0] * 20]}, {}),
        ("REW001", {"reward_mean": [*[0.0] * 3, 0.1] * 3 + [0.0] * 8}, {}),
        ("REW001", {"reward_mean": [*NOISY, 0.0, 0.0, 0.0], "reward_std": [0.2] * 12 + [0.3, 0.0, 0.0]}, {}),
        ("REW001", {"reward_mean": [*COARSE, *[0.5] * 9]}, {}),
        ("REW001", {"reward_mean": [*NOISY, *[0.0] * 8]}, {"names": {"reward_mean": "episode_reward"}}),
        ("REW002", _evaluated([0.8 - 0.05 * i for i in range(9)], EVALS), TRAIN),
        ("REW003", {"reward_fn/format/mean": FALLEN, "reward_mean": [0.03 * i for i in range(52)]}, {}),
        ("REW003", {"reward_fn/accuracy/mean": FALLEN, "reward_mean": FALLEN}, {}),
        ("REW004", {"reward_fn/format/std": [0.2, *[0.0] * 19]}, {}),
        ("REW007", {"value_loss": [5e3] * 25, "value_explained_variance": [0.5] * 25}, {}),
        ("REW009", {"reward_mean": [0.02 * i for i in range(260)]}, {}),
        ("REW010", {"reward_mean": [*NOISY, *[None] * 4], "kl": [0.1] * 16}, {}),
        ("REW010", {"reward_mean": [0.5, None] * 6 + [None] * 6, "kl": [0.1] * 18}, {}),
        ("REW010", {"reward_mean": [NAN] * 20 + [-21.0] * 5}, {"framework": "rllib"}),
        ("REW010", {"reward_mean": [NAN, NAN, 1.0, NAN, 1.5]}, {"names": {"reward_mean": "EpRet"}}),
        ("REW010", {"reward_mean": [NAN, NAN, 0.3, 0.4]}, {}),  # nothing says what the rows are about
        ("REW012", {"reward_mean": FALLEN, "entropy": [2.0] * 52}, {}),
        ("REW012", {"reward_mean": FALLEN, "entropy": [2.0] * 40 + [1.0] * 12, "exploration_rate": FALLING}, {}),
    ],
)
def test_stays_quiet_near_the_limit(code: str, columns: Columns, options: dict[str, Any]) -> None:
    report = scan_columns(code, columns, **options)
    assert (report.findings, report.checked) == ((), (code,))


@each_of(
    ("code", "columns", "options", "reason"),
    [
        ("REW001", {"kl": [1.0] * 9}, {}, "needs reward_mean"),
        ("REW001", {"reward_mean": [1.0] * 30}, {"framework": "stable_baselines3"}, "the return is a mean"),
        ("REW001", {"reward_mean": [1.0] * 30}, {"algorithm": "dpo"}, "defined for"),
        ("REW002", {"reward_mean": [1.0] * 30}, {}, "needs eval_reward_mean, train_reward_mean"),
        ("REW003", {"reward_mean": [1.0] * 30}, {}, "needs reward_fn/*/mean"),
        ("REW004", {"reward_mean": [1.0] * 30}, {}, "needs reward_fn/*/std"),
        ("REW007", {"value_loss": [1.0] * 30}, {}, "needs value_explained_variance"),
        ("REW009", {"kl": [1.0] * 30}, {}, "needs reward_mean"),
        ("REW010", {"kl": [1.0] * 30}, {}, "needs reward_mean"),
        ("REW012", {"kl": [1.0] * 30}, {}, "needs reward_mean"),
    ],
)
def test_says_what_is_missing(code: str, columns: Columns, options: dict[str, Any], reason: str) -> None:
    (check,) = scan_columns(code, columns, **options).skipped
    assert check.reason.startswith(reason)


def test_a_genuine_collapse_is_told_by_reward_length_groups_and_entropy() -> None:
    run = open_run(FIXTURES / "trl-grpo-collapse" / "trainer_state.json")
    report = scan(run, select_rules(["KL", "ENT", "CLIP", "REW", "LEN", "ADV", "VAL"]))
    loud = {f.code: (f.first_step, f.severity) for f in report.findings if f.severity != "info"}
    first = {"LEN009": (31, "warn"), "REW001": (37, "critical"), "LEN004": (37, "critical"), "ADV001": (41, "critical")}
    assert loud == first | {"ENT001": (61, "warn"), "LEN002": (63, "warn")}


def test_equal_means_of_batches_that_vary_are_chance() -> None:
    columns = {"reward_mean": [*NOISY, *[0.0] * 12], "reward_std": [0.3] * (len(NOISY) + 12)}
    assert scan_columns("REW001", columns).findings == ()


def test_a_leap_to_a_constant_is_no_solved_task() -> None:
    columns = {"reward_mean": [*NOISY, *[9.0] * 6], "reward_std": [0.3] * len(NOISY) + [0.0] * 6}
    (finding,) = scan_columns("REW001", columns).findings
    assert (finding.severity, finding.first_step) == ("warn", len(NOISY) + 3)


def test_evaluations_of_an_agent_are_information() -> None:
    columns = _evaluated([0.1 * i for i in range(9)], EVALS)
    assert scan_columns("REW002", columns, framework="sb3", **TRAIN).worst() == "info"
