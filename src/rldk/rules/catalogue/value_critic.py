"""VAL: critics of agents in environments, above all of agents that learn from a replay buffer (DQN, SAC, TD3)."""

from __future__ import annotations

from rldk.core.algorithms import OFF_POLICY, VALUE_BASED
from rldk.rules.evidence import CLASSIC, CRITIC, CRITIC_GROWN, factor, is_solved, not_off_policy, runs_away
from rldk.rules.rule import Context, Frame, Signal, rule

NOTHING_LEFT, NOTHING_LEFT_ON_POLICY = 0.06, 0.002  # of the first losses
CHANGED = 1.5  # times the length of episodes
ONE_STEP = "the discount is 0 or nearly so: the critic predicts one reward, and nothing depends on what is done"
BY_HEART = "the target network is never updated, so that its guess is learnt by heart"
_AGENTS = OFF_POLICY | {"ppo", "a2c"}


def _no_agent(context: Context) -> str | None:
    if context.algorithm in _AGENTS and context.framework in CLASSIC:
        return None
    return "defined for agents of Stable-Baselines3, RLlib and CleanRL whose algorithm the log names"


def _has_risen(f: Frame) -> bool:
    """Whether the return is above its first ten rows by twice its noise; also true while there are too few rows."""
    now, start, noise = f.median("reward_mean", 10), f.early("reward_mean", 0, 10), f.noise("reward_mean", 20)
    noise = noise if noise == noise else 0.0
    return not now <= start + 2 * noise


@rule(
    "VAL009",
    "critic-done-agent-not",
    severity="warn",
    tier=3,
    each=CRITIC,
    also=("reward_mean",),
    rows=3,
    algorithms=_AGENTS,
    unless=_no_agent,
    causes=(
        ONE_STEP,
        BY_HEART,
        "the buffer holds too few different transitions",
        "the reward has not been found yet",
    ),
    fixes=("check {gamma}", "check that the target network follows: {target_update}", "enlarge {buffer_size}"),
)
def critic_done_agent_not(f: Frame) -> Signal | None:
    """Fires when the critic has nothing left to learn although the agent earns no more than at the start.

    Why it matters: A critic that bootstraps follows its own improving policy. If its loss fades while the return stands
    still, it predicts something that has nothing to do with the return.
    How it is computed: The median loss of 20 rows is below 6 % of that of the first ten, and the median return of ten
    rows is not above that of the first ten by twice its noise (24 rows at least). For PPO and A2C, whose critic sees
    only what the policy does, ten rows must be below 0.2 % of the first five (20 rows at least). The rule is quiet
    where the task is solved from the first row on (a resumed run): every step pays and the return stays within a tenth
    of its best. It is also quiet while episodes have become half as long again or as short, because the agent then does
    something else than at first.
    When it is wrong: The reward of the task may never be found. Such a run needs a change just as much.
    Source: Our own choice. Measured while the return had not risen: at least 22 % in 33 healthy small trainings of DQN,
    SAC and TD3, 0.04 to 4 % with a discount of 0 or a target that is never updated; for PPO and A2C at least 0.36 %
    (that one never found its reward), then 4.7 %, in the 28 of 64 healthy ones that stood still at some row, and 0.01
    to 0.17 % in eight broken ones.
    """
    name, earned = f.metric, f.last("reward_mean")
    now, first, count = f.median(name, 20), f.early(name, 0, 10), f.count(name)
    newest, start = f.median(name, 10), f.early(name, 0, 5)
    solved, risen = is_solved(f), _has_risen(f)
    steps, first_steps = f.median("response_length_mean", 10), f.early("response_length_mean", 0, 10)
    risen = risen or factor(steps, first_steps) > CHANGED
    on_policy, still = f.count("value_explained_variance") > 0, not (risen or solved)
    if on_policy:
        now, first, limit, least = newest, start, NOTHING_LEFT_ON_POLICY * start, 20
    else:
        limit, least = NOTHING_LEFT * first, 24
    if count >= least and earned == earned and 0 < now < limit and still:
        message = f"the critic's loss fell from {first:.3g} to {now:.2g} and the return has not risen"
        return Signal(value=now, limit=limit, message=message)
    return None


@rule(
    "VAL010",
    "values-one-step-deep",
    severity="warn",
    tier=3,
    needs=("value_mean",),
    also=("reward_per_step", "response_length_mean"),
    rows=3,
    algorithms=VALUE_BASED,
    unless=not_off_policy,
    causes=(ONE_STEP, BY_HEART),
    fixes=("check {gamma}", "check that the target network follows: {target_update}"),
)
def values_one_step_deep(f: Frame) -> Signal | None:
    """Fires when the values have settled at what one or two steps pay, in episodes of many steps.

    Why it matters: Such values know nothing of the later consequences of an action.
    How it is computed: After 40 rows, the last 20 values lie within 10 % of their median. The median is below twice the
    pay of one step (return divided by the length of the episodes), while episodes have more than ten steps.
    When it is wrong: Tasks that pay only at the end of an episode are not looked at before they pay.
    Source: The value of a state that pays r a step is r / (1 - gamma), 100 r at the usual discount; 40 rows, 10 % and
    twice are our own choice. Measured on small DQN: 0 of 9 healthy runs, 2 of 2 whose target is never updated.
    """
    name, pay, steps = "value_mean", f.last("reward_per_step"), f.last("response_length_mean")
    now, high, low, count = f.median(name, 20), f.max(name, 20), f.min(name, 20), f.count(name)
    if count >= 40 and steps > 10 and abs(now) < 2 * abs(pay) and high - low < 0.1 * abs(now):
        message = f"the values have settled at {now:.3g} where one step pays {pay:.3g} and episodes have {steps:.0f}"
        return Signal(value=now, limit=2 * pay, message=message)
    return None


@rule(
    "VAL013",
    "values-diverge",
    severity="critical",
    tier=3,
    each=CRITIC,
    also=("reward_mean",),
    rows=3,
    cooldown=100,
    algorithms=OFF_POLICY,
    unless=not_off_policy,
    causes=(
        "values bootstrap from themselves and run away: a target network that follows too fast, no twin critics",
        "the learning rate is too high, or gradients are not clipped",
        "the buffer holds hardly anything except the newest behaviour",
    ),
    fixes=("slow the target network down: {target_update}", "lower {lr}", "clip gradients: {max_grad_norm}"),
)
def values_diverge(f: Frame) -> Signal | None:
    """Fires when the critic's loss has grown a hundredfold while the return is below what it was at first.

    Why it matters: Values that run away say nothing about what is worth doing, so the agent follows the largest error.
    How it is computed: The smallest of the newest three losses is above a hundred times the median of the first ten,
    above the square of the first returns (the errors are then larger than anything there was to predict), and twice
    that of ten rows before. The median return of five rows is below the median of its first five rows by a tenth. The
    rule looks from the 18th loss on, at three rows in a row.
    When it is wrong: A large reward may be found late.
    Source: Our own choice, after a public log of DQN on CartPole (loss 0.5 to 5e8, return at its floor). Losses of
    healthy DQN grow by such factors from close to 0, which the square of the returns excludes.
    """
    name = f.metric
    loss, first, before, count = f.min(name, 3), f.early(name, 0, 10), f.median(name, 5, before=10), f.count(name)
    now, start, known = f.median("reward_mean", 5), f.early("reward_mean", 0, 5), f.last("reward_mean")
    away, fell = runs_away(f, name), now < start - 0.1 * abs(start) and known == known
    if count >= 18 and away and loss > 2 * before and fell:
        message = (
            f"the critic's loss grew from {first:.3g} to {loss:.3g} and the return fell from {start:.4g} to {now:.4g}"
        )
        return Signal(value=loss, limit=CRITIC_GROWN * first, message=message)
    return None


@rule(
    "VAL014",
    "values-beyond-all-returns",
    severity="warn",
    tier=3,
    needs=("value_mean",),
    also=("reward_mean",),
    rows=5,
    cooldown=100,
    algorithms=OFF_POLICY,
    causes=(
        "values are overestimated: the maximum of noisy estimates, a single critic, a target that follows too fast",
        "the rewards that the critic sees are scaled, or episodes that run out of time are bootstrapped",
    ),
    fixes=("use the smaller of two critics, or a slower target: {target_update}", "check {gamma} and {reward_scale}"),
)
def values_beyond_returns(f: Frame) -> Signal | None:
    """Fires when the critic has long expected three times more than any stretch of episodes has earned.

    Why it matters: An agent that believes it is doing well does not look for better.
    How it is computed: All of the newest 40 mean values are positive and above three times the size of the best running
    mean of the return and of the worst return, and the values do not fall.
    When it is wrong: Rewards may be scaled up for the critic alone, or very short episodes may end by a time limit.
    Source: Our own choice: the discounted value of a state is at most the return that is left, except for bootstrapping
    at time limits.
    """
    low, gain = f.min("value_mean", 40), f.gain("value_mean", 40)
    best, worst, known = f.peak("reward_mean", 0.1), f.lowest("reward_mean", before=0), f.last("reward_mean")
    if known == known and low > 3 * max(abs(best), abs(worst)) > 0 and gain > -0.2 * low:
        message = f"the critic has expected at least {low:.4g} for 40 rows; the best return so far is {best:.4g}"
        return Signal(value=low, limit=3 * best, message=message)
    return None
