from __future__ import annotations

from typing import Any

from examples import each_of

from rldk.testing import scan_columns

Columns = dict[str, Any]

SB3: dict[str, Any] = {"framework": "stable_baselines3"}
DQN: dict[str, Any] = {**SB3, "algorithm": "dqn"}
SAC: dict[str, Any] = {**SB3, "algorithm": "sac"}
PPO: dict[str, Any] = {**SB3, "algorithm": "ppo"}
N = 60
FLAT: list[Any] = [20.0 + i % 2 for i in range(N)]
RISES: list[Any] = [20.0 + 2.0 * i for i in range(N)]
FAST: list[Any] = [0.7**i for i in range(N)]
FADES: list[Any] = [0.9**i for i in range(N)]
LEVEL: list[Any] = [1.0 - 0.5 * (i % 2) for i in range(N)]


def pays(reward: float, steps: float, values: float) -> Columns:
    return {"reward_mean": [reward] * N, "response_length_mean": [steps] * N, "value_mean": [values] * N}


@each_of(
    ("code", "columns", "options", "first_step"),
    [
        ("VAL009", {"loss": FADES, "reward_mean": FLAT}, DQN, 44),
        ("VAL009", {"value_loss": FADES, "reward_mean": FLAT}, SAC, 44),
        ("VAL009", {"value_loss": FAST, "reward_mean": FLAT, "value_explained_variance": LEVEL}, PPO, 27),
        ("VAL010", pays(-500.0, 500.0, -0.9), DQN, 42),
        ("REW018", {"loss": [2e4] * N}, DQN, 15),
        ("REW018", {"value_loss": [2e4] * N}, SAC, 15),
    ],
)
def test_fires(code: str, columns: Columns, options: dict[str, Any], first_step: int) -> None:
    report = scan_columns(code, columns, **options)
    assert [(f.code, f.first_step, f.severity) for f in report.findings] == [(code, first_step, "warn")]


@each_of(
    ("code", "columns", "options"),
    [
        ("VAL009", {"loss": FADES, "reward_mean": RISES}, DQN),  # it learns
        ("VAL009", {"loss": LEVEL, "reward_mean": FLAT}, DQN),
        ("VAL009", {"loss": [50.0, *LEVEL[1:]], "reward_mean": FLAT}, DQN),  # one spike at the start
        ("VAL009", {"value_loss": FADES, "reward_mean": FLAT, "value_explained_variance": LEVEL}, PPO),
        ("VAL010", pays(-500.0, 500.0, -3.0), DQN),
        ("VAL010", pays(5.0, 5.0, 1.0), DQN),  # episodes of a few steps
        ("REW018", {"loss": [9e3] * N}, DQN),
        ("REW018", {"loss": [2e4, 2e4, 10.0] * 20}, DQN),
    ],
)
def test_stays_quiet_near_the_limit(code: str, columns: Columns, options: dict[str, Any]) -> None:
    report = scan_columns(code, columns, **options)
    assert (report.findings, report.checked) == ((), (code,))


@each_of(
    ("code", "columns", "options", "reason"),
    [
        ("VAL009", {"loss": FADES}, DQN, "needs reward_mean"),
        ("VAL009", {"loss": FADES, "reward_mean": FLAT}, SB3, "whose algorithm the log names"),
        ("VAL010", {"value_mean": FADES}, SB3, "the log does not say that it is one"),
        ("VAL010", {"reward_mean": FLAT}, DQN, "needs value_mean"),
        ("REW018", {"loss": FLAT}, PPO, "defined for ddpg, dqn, sac, td3"),
    ],
)
def test_says_what_is_missing(code: str, columns: Columns, options: dict[str, Any], reason: str) -> None:
    (check,) = scan_columns(code, columns, **options).skipped
    assert reason in check.reason


AWAY: list[Any] = [5.0 * 2.5 ** max(0, i - 10) for i in range(30)]
FELL: list[Any] = [20.0] * 10 + [9.5] * 20
BELIEVES: Columns = {"value_mean": [1800.0 + i % 7 for i in range(N)], "reward_mean": [300.0 + i % 9 for i in range(N)]}


@each_of(
    ("code", "columns", "expected"),
    [
        ("VAL013", {"loss": AWAY, "reward_mean": FELL}, [(21, "critical")]),
        (
            "VAL013",
            {"loss": [min(1e-4 * x, 300.0) for x in AWAY if x], "reward_mean": FELL},
            [],
        ),  # from next to nothing
        ("VAL013", {"loss": AWAY, "reward_mean": [20.0 + i for i in range(30)]}, []),
        ("REW024", {"loss": AWAY, "reward_mean": FELL}, [(24, "warn")]),
        ("REW024", {"loss": [5.0] * 30, "reward_mean": FELL}, []),
        ("VAL014", BELIEVES, [(44, "warn")]),
        ("VAL014", BELIEVES | {"value_mean": [800.0] * N}, []),
    ],
)
def test_values_that_run_away(code: str, columns: Columns, expected: list[tuple[int, str]]) -> None:
    assert [(f.first_step, f.severity) for f in scan_columns(code, columns, **DQN).findings] == expected


@each_of(
    ("code", "options", "reason"),
    [
        ("VAL013", DQN, "needs reward_mean"),
        ("VAL013", PPO, "defined for"),
        ("REW024", DQN, "needs reward_mean"),
        ("VAL014", DQN, "needs value_mean"),
    ],
)
def test_what_values_need(code: str, options: dict[str, Any], reason: str) -> None:
    (check,) = scan_columns(code, {"kl": [1.0] * 30}, **options).skipped
    assert check.reason.startswith(reason)
