"""Rules for agents in environments (Stable-Baselines3, CleanRL, RLlib), mostly on faults there from the first row.

Such a run has no healthy past of its own, so only what must never be, or what no healthy run does for so long, counts.
"""

from __future__ import annotations

from rldk.core.algorithms import OFF_POLICY, VALUE_BASED
from rldk.rules.rule import Context, Frame, Signal, rule
from rldk.rules.witness import CLASSIC, not_episodic

UNROUNDED = CLASSIC | {"transformers", "trl"}  # their logs never print a small learning rate as 0
ON_POLICY = frozenset({"ppo", "a2c"})
RUNAWAY = 5.0
LATE_STEPS = 100_000  # `learning_starts` of Stable-Baselines3's DQN was 50,000 by default, and is 100,000 for Atari


def _rounded(context: Context) -> str | None:
    if context.framework in UNROUNDED:
        return None
    return "a learning rate of 0 may be a rounded one in this format"


@rule(
    "OPT011",
    "learning-rate-zero-from-the-start",
    severity="warn",
    tier=0,
    each=("lr", "lr_value"),
    unless=_rounded,
    causes=(
        "the rate was configured as 0, or a schedule function returns 0",
        "the schedule ended before the run began: made for 0 steps, or resumed past its end",
        "the optimiser never steps, so that its warm-up never leaves 0 (fp16 overflow on every step)",
    ),
    fixes=("check {lr}, {lr_schedule}, {warmup} and {total_steps}",),
)
def learning_rate_zero_from_the_start(f: Frame) -> Signal | None:
    """Fires when the learning rate has been exactly 0 on every row so far, ten at least.

    Why it matters: nothing is learnt at full cost; every other curve looks like a hard task.
    How it is computed: OPT004 for runs that never had a rate: the largest value so far is 0 after 10 rows. Where the
    update KL is logged too OPT004 says so with that witness, and may be critical.
    When it is wrong: a warm-up of many rows that is logged before its first step; a trainer that writes 0 for a rate it
    does not know.
    Source: an identity. Only for frameworks whose logs print small rates in full (in verl's console 1e-6 is 0.000).
    Measured on small trainings of Stable-Baselines3 with a rate of 0 (PPO, A2C, DQN): named by the tenth row with a
    rate.
    """
    name = f.metric
    top, count = f.highest(name, before=0), f.count(name)
    if f[name] == top == 0.0 and count >= 10:
        return Signal(value=0.0, message=f"{name} has been exactly 0 on all {count:.0f} rows")
    return None


def _not_off_policy(context: Context) -> str | None:
    """A log of episodes alone never has a loss, so the trainer must be known."""
    if context.algorithm in OFF_POLICY:
        return None
    return "defined for ddpg, dqn, sac, td3; this log does not say that it is one"


@rule(
    "OPT010",
    "agent-never-trains",
    severity="warn",
    tier=0,
    needs=("reward_mean", "samples_per_sec"),
    algorithms=OFF_POLICY,
    unless=_not_off_policy,
    causes=(
        "training is to begin after more steps than the run has",
        "the replay buffer never holds a batch, or the training frequency is counted in other units",
    ),
    fixes=("compare `learning_starts`, `train_freq` and {batch} with {total_steps}",),
)
def agent_never_trains(f: Frame) -> Signal | None:
    """Fires when an off-policy agent has collected for long and not one update has been logged.

    Why it matters: the agent acts at random, or by an untrained network, to the end.
    How it is computed: OPT001 for agents whose trainer logs nothing until it trains: no row so far had a loss, a value
    loss or an update count, on 20 rows once exploration has come down to its floor (unchanged on 10 rows); else on 100
    rows, past half of a run of known length or 100,000 steps, as training often begins after 50,000 random ones.
    When it is wrong: a warm-up of random steps that is meant to be longer than that; a logger without losses. A log of
    episodes alone (Monitor's csv) is not looked at: it lacks the trainer's speed.
    Source: an identity (F01 of the rule catalogue); the row counts are ours. Measured on two DQN
    of Stable-Baselines3 whose training never began.
    """
    rows, floor = f.count("reward_mean"), f.repeats("exploration_rate") >= 10
    trained = any(f.gap(name) >= 0 for name in ("loss", "value_loss", "policy_loss", "update_count"))
    late = f.step >= LATE_STEPS or f.progress() > 0.5
    if not trained and rows >= (20 if floor else 100) and (floor or late):
        return Signal(value=rows, message=f"no update has been logged on {rows:.0f} rows of episodes")
    return None


@rule(
    "ENT011",
    "exploration-runs-away",
    severity="warn",
    tier=3,
    each=("train/std", "entropy_coef"),
    needs=("reward_mean",),
    algorithms=ON_POLICY | {"sac"},
    rows=5,
    causes=(
        "an entropy coefficient that outweighs the reward",
        "a target entropy that the policy cannot reach (SAC)",
        "advantages next to 0, so that only the entropy bonus is left",
    ),
    fixes=("lower {entropy_coef}, or set it to 0", "scale rewards to the order of 1: {reward_scale}"),
)
def exploration_runs_away(f: Frame) -> Signal | None:
    """Fires when the noise of continuous actions, or SAC's entropy coefficient, grows without end and earns nothing.

    Why it matters: actions are then noise that the environment clips to its bounds; nothing can be learnt from them.
    How it is computed: ENT002 for policies whose entropy has no bounds. The standard deviation of the actions (SB3's
    `train/std`) or the entropy coefficient is above 5 times its first value, is the largest so far within 2 %, and the
    median reward of 10 rows is not above that of the first 10 by twice its noise; at least 20 rows.
    When it is wrong: sparse rewards not found yet; a coefficient on a rising schedule.
    Source: ours; a unit Gaussian is the usual start, and 5 of its standard deviations leave any action bounds.
    """
    name = f.metric
    value, first, top = f[name], f.first(name), f.highest(name, before=0)
    now, start, noise = f.median("reward_mean", 10), f.early("reward_mean", 0, 10), f.noise("reward_mean", 20)
    if value > RUNAWAY * first > 0 and value > 0.98 * top and now <= start + 2 * noise:
        what = "the noise of the actions" if name == "train/std" else "the entropy coefficient"
        message = f"{what} grew from {first:.3g} to {value:.3g} and the reward has not risen"
        return Signal(value=value, limit=RUNAWAY * first, message=message)
    return None


@rule(
    "ENT009",
    "exploration-never-comes-down",
    severity="warn",
    tier=0,
    needs=("exploration_rate",),
    algorithms=VALUE_BASED,
    causes=("the exploration schedule is never updated, or is made for far more steps than the run has",),
    fixes=("check `exploration_fraction`, `exploration_final_eps` and {total_steps}",),
)
def exploration_never_comes_down(f: Frame) -> Signal | None:
    """Fires when a value-based agent has acted mostly at random, at exactly the same rate, since its first row.

    Why it matters: what it learns is never tried; its returns stay those of chance.
    How it is computed: ENT003 for epsilon-greedy agents. The exploration rate is above one half and bitwise the same on
    all of at least 30 rows; a schedule that works falls with every step.
    When it is wrong: runs that collect data at random on purpose.
    Source: an identity of a falling schedule; one half and 30 rows: ours. Measured on one DQN of Stable-Baselines3
    whose exploration is stuck at 1, and none of 8 healthy ones.
    """
    rate, same, count = f["exploration_rate"], f.repeats("exploration_rate"), f.count("exploration_rate")
    if rate > 0.5 and same == count >= 30:
        return Signal(value=rate, limit=0.5, message=f"the exploration rate has been {rate:g} on all {count:.0f} rows")
    return None


@rule(
    "REW015",
    "return-never-varies",
    severity="warn",
    tier=0,
    needs=("reward_mean", "response_length_mean"),
    unless=not_episodic,
    causes=(
        "the reward is replaced by a constant: a wrapper, a normaliser, a failed reward function",
        "a sparse reward that has not been found yet",
    ),
    fixes=("step the environment by hand with random actions and print its rewards", "check {reward_clip}"),
)
def return_never_varies(f: Frame) -> Signal | None:
    """Fires when the return of episodes has been exactly the same since the first row and is no count of their steps.

    Why it matters: REW001 for environments: without differences in return there is nothing to learn.
    How it is computed: the mean return is bitwise the same on all of at least 20 rows, and is not plus or minus the
    mean episode length: a reward of 1 or -1 a step is constant in tasks that always, or never, run to their limit.
    When it is wrong: sparse rewards not found yet; they are as much in need of a change.
    Source: variance of exactly 0 (F03 of the rule catalogue); 20 rows: ours. Measured on two PPO of Stable-Baselines3
    with a reward of 0 or a constant, and none of 62 healthy trainings in environments.
    """
    value, same, count = f["reward_mean"], f.repeats("reward_mean"), f.count("reward_mean")
    steps = f["response_length_mean"]
    if same == count >= 20 and abs(abs(value) - steps) > 1e-6 * steps:
        return Signal(value=value, message=f"the mean return has been exactly {value:.6g} on all {count:.0f} rows")
    return None
