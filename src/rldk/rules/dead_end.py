"""LEN, REW: agents that found one safe action, and rewards of the training's own making that vanish."""

from __future__ import annotations

from rldk.core.algorithms import POLICY, VALUE_BASED
from rldk.rules.rule import Context, Frame, Signal, rule
from rldk.rules.witness import about_episodes

LONGER, LONGER_THAN_PAST = 4.0, 3.0  # times
SAME = 0.15  # of the level: a return that has not risen
VANISHED, VANISHED_ROWS = 1e-6, 10  # of the largest
WORST_ROWS = 20
QUIET = 0.05  # of the entropy that the run began with


def _no_episodes(context: Context) -> str | None:
    key = context.names.get("response_length_mean", "")
    return None if "ep" in key.lower() else "the lengths of this log are not those of episodes"


@rule(
    "LEN010",
    "longer-episodes-for-nothing",
    severity="warn",
    tier=3,
    needs=("response_length_mean", "reward_mean"),
    rows=3,
    cooldown=100,
    algorithms=POLICY | VALUE_BASED,
    unless=_no_episodes,
    causes=(
        "the policy found one safe action and repeats it until the time limit",
        "exploration ended too early: entropy or the share of random actions is next to 0",
    ),
    fixes=(
        "watch an episode: does it stand still, hover or walk in a loop?",
        "raise {entropy_coef}, or let the share of random actions fall later",
        "make time cost something in the reward",
    ),
)
def longer_for_nothing(f: Frame) -> Signal | None:
    """Fires when episodes have become several times longer and pay no more than before.

    Why it matters: an agent that waits for the time limit learns nothing from most of its steps.
    How it is computed: the median length of 20 rows is four times that of rows 10 to 30, and the median return of 20
    rows is not above that of the same early rows by 15 % or twice its noise; or the length is three times its own past
    (the median of at most 200 rows), and the return is a tenth of its range, and three times its noise, below the best
    running mean. In tasks that pay for each step lengths and returns rise together.
    When it is wrong: tasks in which waiting is right, and nothing is paid for it.
    Source: ours: two signals that point against each other, as seen in public logs of A2C on Breakout (164 to 2952
    steps at a return of 3.7) and DQN on LunarLander (210 to 892 steps, return -44 to -92).
    """
    length, reward = "response_length_mean", "reward_mean"
    now, at_first, before = f.median(length, 20), f.early(length, 10, 30), f.past(length, least=40)
    paid, paid_first, noise = f.median(reward, 20), f.early(reward, 10, 30), f.noise(reward, 20)
    best, high, low = f.peak(reward, 0.1), f.highest(reward), f.lowest(reward)
    control = about_episodes(f)
    flat = now > LONGER * at_first and paid < paid_first + max(SAME * abs(paid_first), 2 * noise)
    lost = now > LONGER_THAN_PAST * before and paid < best - max(0.1 * (high - low), 3 * noise)
    if control and (flat or lost):
        once = at_first if flat else before
        message = f"episodes take {now:.4g} steps where they took {once:.4g}, and the return is no better: {paid:.4g}"
        return Signal(value=now, limit=once, message=message)
    return None


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

    Why it matters: the policy is trained on it; at 1e-12 there is nothing to learn from, whatever else is logged.
    How it is computed: the newest ten values are all below a millionth of the largest one so far.
    When it is wrong: a bonus that is switched off on purpose once a task is explored, where it does not become 0.
    Source: ours: a bonus that decays as it should (counts, RND) loses two or three orders of magnitude in public logs.
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

    Why it matters: a policy without entropy never sees that another action pays more.
    How it is computed: the return is bitwise the same on 20 rows running, it was higher before and never lower, and
    the entropy is below 5 % of the median of the first ten rows, which was above 0.
    When it is wrong: never seen on a run that goes on to learn.
    Source: ours: three conditions that hold together; a solved task stands at its best, not at its worst.
    """
    same, value, entropy = f.repeats("reward_mean"), f["reward_mean"], f["entropy"]
    high, low, first = f.highest("reward_mean"), f.lowest("reward_mean"), f.early("entropy", 0, 10)
    if same >= WORST_ROWS and value < high and value <= low and 0 <= entropy < QUIET * first:
        message = f"the return has stood at its lowest, {value:.4g}, for {WORST_ROWS} rows, and the policy is certain"
        return Signal(value=value, limit=high, message=message)
    return None
