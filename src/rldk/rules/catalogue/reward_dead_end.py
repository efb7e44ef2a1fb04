"""REW: agents that settled on the worst action, and rewards of the training's own making that vanish."""

from __future__ import annotations

from rldk.core.algorithms import POLICY, VALUE_BASED
from rldk.rules.rule import Frame, Signal, rule

VANISHED, VANISHED_ROWS = 1e-6, 10  # of the largest
WORST_ROWS = 20
QUIET = 0.05  # of the entropy that the run began with


@rule(
    "REW025",
    "own-reward-vanished",
    severity="warn",
    tier=1,
    metric="reward_intrinsic_mean",
    needs=("reward_intrinsic_mean",),
    rows=3,
    cooldown=100,
    algorithms=POLICY | VALUE_BASED,
    causes=(
        "the discriminator tells both sides apart at once: its loss or labels have the wrong sign",
        "the predictor of the curiosity bonus has learnt everything, or is trained on its own target",
    ),
    fixes=(
        "look at the accuracy of the discriminator on both sides: 1 and 0 teach the policy nothing",
        "normalise the bonus by its running deviation, and slow its model down",
    ),
)
def own_reward_vanished(f: Frame) -> Signal | None:
    """Fires when a reward that the training makes itself is a million times smaller than it was.

    Why it matters: The policy is trained on this reward. At 1e-12 there is nothing to learn from, whatever else is
    logged.
    How it is computed: The newest ten values are all below a millionth of the largest one so far.
    When it is wrong: A bonus may be switched off on purpose once a task is explored, without becoming exactly 0.
    Source: Our own choice: a bonus that decays as it should (counts, RND) loses two or three orders of magnitude in
    public logs.
    """
    name = f.metric
    now, top = f.max(name, VANISHED_ROWS), f.highest(name)
    if 0 < now < VANISHED * top:
        message = f"the reward that the training makes itself fell from {top:.3g} to {f[name]:.3g}"
        return Signal(value=f[name], limit=VANISHED * top, message=message)
    return None


@rule(
    "REW026",
    "settled-on-the-worst",
    severity="warn",
    tier=3,
    needs=("reward_mean", "entropy"),
    rows=3,
    cooldown=100,
    algorithms=POLICY,
    causes=(
        "the policy collapsed onto one action, and that one loses",
        "an update that was too large, or rewards that are not scaled, drove the policy to a corner",
    ),
    fixes=("raise {entropy_coef}, lower {lr}", "scale rewards to the order of 1"),
)
def settled_on_the_worst(f: Frame) -> Signal | None:
    """Fires when the return stands at the lowest value of the run and the policy no longer explores.

    Why it matters: A policy without entropy never sees that another action pays more.
    How it is computed: The return is bitwise the same on 20 rows in a row; it was higher before and never lower. The
    entropy is below 5 % of the median of the first ten rows, which was above 0.
    When it is wrong: It was never seen on a run that goes on to learn.
    Source: Our own choice: three conditions that hold together. A solved task stands at its best, not at its worst.
    """
    same, value, entropy = f.repeats("reward_mean"), f["reward_mean"], f["entropy"]
    high, low, first = f.highest("reward_mean"), f.lowest("reward_mean"), f.early("entropy", 0, 10)
    if same >= WORST_ROWS and value < high and value <= low and 0 <= entropy < QUIET * first:
        message = (
            f"the return has stood at its lowest, {value:.4g}, for {WORST_ROWS} rows, and the policy no longer explores"
        )
        return Signal(value=value, limit=high, message=message)
    return None
