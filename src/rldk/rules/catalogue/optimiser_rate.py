"""OPT: learning rates that no published configuration has, and agents that never train."""

from __future__ import annotations

from rldk.core.algorithms import OFF_POLICY
from rldk.rules.evidence import CLASSIC
from rldk.rules.rule import Context, Frame, Signal, rule

HUGGING_FACE = frozenset({"trl", "transformers"})
LARGEST_CLASSIC, LARGEST_LANGUAGE, LARGEST_ANYWHERE = 0.01, 0.03, 10.0
LATE_STEPS = 100_000  # `learning_starts` of Stable-Baselines3's DQN was 50,000 by default, and is 100,000 for Atari
UNROUNDED = CLASSIC | {"transformers", "trl"}  # their logs never print a small learning rate as 0


@rule(
    "OPT015",
    "learning-rate-above-all-published",
    severity="warn",
    tier=1,
    needs=("lr",),
    rows=3,
    causes=(
        "the rate was chosen for another optimiser (SGD) or for a table instead of a network",
        "the exponent has a typing error, or the rate is multiplied by the number of workers",
    ),
    fixes=("lower {lr}: 3e-4 is usual for control tasks, 1e-6 to 5e-5 for language models (LoRA: 1e-4 to 2e-4)",),
)
def above_all_published(f: Frame) -> Signal | None:
    """Fires when the learning rate is larger than in any published configuration of such a trainer.

    Why it matters: Adam moves every weight by about the rate in every step. Above 0.01, a network is somewhere else
    after a hundred steps, and entropy, KL and critic follow.
    How it is computed: The rate is above its limit on three rows in a row. The limit is 0.01 in logs of
    Stable-Baselines3, RLlib and CleanRL. It is 0.03 in logs of TRL that hold `epoch`, as those of its own trainers do
    (loops that took over its names may train a table). It is 10 in any other log, which is no rate of any optimiser.
    When it is wrong: Plain SGD needs and tolerates larger rates, and so do optimisers without gradients (ARS: 0.03). A
    loop may print its rate in millionths.
    Source: The largest rate of a gradient method in RL Baselines3 Zoo is 0.004 (DQN on MountainCar). In TRL's examples
    and documentation it is 0.01 (IPO), and 0.01 to 0.03 for prompt tuning. The largest default of an optimiser of
    PyTorch is 1 (Adadelta, LBFGS). Measured: 0.0025 at most in 269 healthy runs of these trainers here.
    """
    lr, trainer, epoch = f["lr"], f.framework(), f.gap("epoch")
    limit = LARGEST_ANYWHERE
    if trainer in CLASSIC:
        limit = LARGEST_CLASSIC
    elif trainer in HUGGING_FACE and epoch >= 0:
        limit = LARGEST_LANGUAGE
    if lr > limit:
        message = f"the learning rate reached {lr:.3g} (published ones: at most {limit:g})"
        return Signal(value=lr, limit=limit, message=message)
    return None


def _not_off_policy(context: Context) -> str | None:
    """The reason to skip an unknown trainer: a log of episodes alone never has a loss."""
    if context.algorithm in OFF_POLICY:
        return None
    return "defined for ddpg, dqn, sac, td3; this log does not say that it is one of them"


@rule(
    "OPT010",
    "agent-never-trains",
    severity="warn",
    tier=0,
    needs=("reward_mean", "samples_per_sec"),
    algorithms=OFF_POLICY,
    unless=_not_off_policy,
    causes=(
        "training is set to begin after more steps than the run has",
        "the replay buffer never holds a batch, or the training frequency is counted in other units",
    ),
    fixes=("compare `learning_starts`, `train_freq` and {batch} with {total_steps}",),
)
def agent_never_trains(f: Frame) -> Signal | None:
    """Fires when an off-policy agent has collected data for long and not one update has been logged.

    Why it matters: The agent acts at random, or by an untrained network, to the end.
    How it is computed: This is OPT001 for agents whose trainer logs nothing until it trains. No row so far had a loss,
    a value loss or an update count. The rule waits for 20 rows once exploration has come down to its floor (unchanged
    on 10 rows). Otherwise it waits for 100 rows and for half of a run of known length or 100,000 steps, because
    training often begins after 50,000 random steps.
    When it is wrong: A warm-up of random steps may be longer than that on purpose, or a logger may not write losses. A
    log of episodes alone (Monitor's csv) is not looked at, because it lacks the trainer's speed.
    Source: An identity (F01 of the rule catalogue); the row counts are our own choice. Measured on two DQN runs of
    Stable-Baselines3 whose training never began.
    """
    rows, floor = f.count("reward_mean"), f.repeats("exploration_rate") >= 10
    trained = any(f.gap(name) >= 0 for name in ("loss", "value_loss", "policy_loss", "update_count"))
    late = f.step >= LATE_STEPS or f.progress() > 0.5
    if not trained and rows >= (20 if floor else 100) and (floor or late):
        return Signal(value=rows, message=f"no update has been logged on {rows:.0f} rows of episodes")
    return None


def _rounded(context: Context) -> str | None:
    if context.framework in UNROUNDED:
        return None
    return "a learning rate of 0 may be a rounded one in this format, so nothing can be concluded from it"


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
    """Fires when the learning rate has been exactly 0 on every row so far, for at least ten rows.

    Why it matters: Nothing is learnt at full cost, and every other curve looks like a hard task.
    How it is computed: This is OPT004 for runs that never had a rate: the largest value so far is 0 after 10 rows.
    Where the update KL is logged, too, OPT004 reports it with that witness and may be critical.
    When it is wrong: A warm-up may be logged for many rows before its first step, or a trainer may write 0 for a rate
    it does not know.
    Source: An identity. The rule is only for frameworks whose logs print small rates in full (in verl's console 1e-6 is
    0.000). Small trainings of Stable-Baselines3 with a rate of 0 (PPO, A2C, DQN) were named by the tenth row with a
    rate.
    """
    name = f.metric
    top, count = f.highest(name, before=0), f.count(name)
    if f[name] == top == 0.0 and count >= 10:
        return Signal(value=0.0, message=f"{name} has been exactly 0 on all {count:.0f} rows")
    return None
