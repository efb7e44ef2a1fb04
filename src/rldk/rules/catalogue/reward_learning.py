"""REW: rewards that never rose, that froze far below their best, or that fell below chance."""

from __future__ import annotations

from rldk.core.algorithms import POLICY, VALUE_BASED
from rldk.rules.evidence import is_rated, repeats_each, starting_entropy
from rldk.rules.rule import Context, Frame, Signal, rule

NEAR_ONE = 0.9  # of rewards between 0 and 1: as good as solved
SAID, LONG = 200, 400  # rows of a run that declares no end: an information, a warning
NEARLY_OVER, FEWEST = 0.7, 60  # share of the declared steps, with so many rows at least
SAME, TWICE = 0.6, 2.0  # standard deviations of a row, medians of 40 and 20 rows; the best running mean
LATEST, FIRST = 40, 20  # rows
ACTED = 150  # rows since fewer than a tenth of the actions were random
NARROW, NARROW_NATS, NARROW_ROWS = 0.3, 2.0, 100  # of the first entropy, and below it: the policy has decided; rows
SCORE_ROWS, SCORE_LOST = 10, 0.1  # rows of one and the same score; its distance from the best one
REPEATED, LONGER = 5, 3  # rows of one value; times the longest run of one value before
FROZEN_ROWS, FROZEN, HELD = 25, 0.01, 12  # of the range; rows that a level was held for


# beside a reward: a policy learns from it
TRAINED = frozenset({"entropy", "kl", "loss", "policy_loss", "value_loss", "lr", "exploration_rate", "generation_time"})


def _unknown(context: Context) -> str | None:
    if context.algorithm is not None or not TRAINED.isdisjoint(context.names):
        return None
    return "this log does not say which algorithm it is of"


@rule(
    "REW022",
    "never-learnt",
    severity="warn",
    tier=3,
    needs=("reward_mean",),
    rows=3,
    cooldown=100,
    provisional=True,
    algorithms=POLICY | VALUE_BASED,
    unless=_unknown,
    causes=(
        "the reward gives no signal: the task is too hard for the policy, or nearly all answers are paid alike",
        "the policy hardly moves: a learning rate that is far too small, an optimiser that holds other weights",
        "the policy was as good as it can get from the start",
    ),
    fixes=(
        "look at the spread of the reward within a batch, and at ten answers beside their rewards",
        "raise {lr}; begin with easier tasks",
    ),
)
def never_learnt(f: Frame) -> Signal | None:
    """Fires when the reward has not risen although a long budget, or most of the declared one, is spent.

    Why it matters: The trained policy is the one that went in.
    How it is computed: The median of the newest 40 rows is not above that of the first 20 by 0.6 of the standard
    deviation between rows, which is twice the standard error of their difference, or by a twentieth of the level. Nor
    is the mean of those rows, which sees the small steps of a reward that is right or wrong for a few answers. No
    running mean was ever above it by twice as much. It is a warning after 70 % of the declared steps and 60 rows, after
    400 rows where the end is not declared, or once fewer than a tenth of the actions have been random for 150 rows. It
    is information from 200 rows on. The rule is quiet where the task
    looks solved: the reward is 0.9 or more and has never been above 1, or the newest 40 rows are typically within 2 %
    of the largest so far. It is also quiet about a reward that is always the same (REW001 and REW015 report that), and
    while more than a tenth of the actions are random and their share still falls, because the return is then that of
    chance; where the log repeats each value until the next one is known; and in self-play with an Elo rating, where the
    reward stays level while both sides learn. Once the rule has been silent for ten rows the finding is information:
    the reward has risen late.
    When it is wrong: A policy may be good from the start, on a reward whose top is not known, or a run may resume at
    its plateau.
    Source: Our own choice, after F01 and F09 of the rule catalogue; 200 rows are those of REW009. That a learning
    rate, a rate of exploration or the time of a rollout is enough to be judged rests on three public logs that never
    learnt. Only two healthy logs of that kind have more than 400 rows; none of them is warned of.
    """
    name, progress = "reward_mean", f.progress()
    now, start, best = f.median(name, LATEST), f.early(name, 0, FIRST), f.peak(name, 0.1)
    mean, first_mean = f.mean(name, LATEST), f.early_mean(name, 0, FIRST)
    spread, count, first_step = f.std(name, LATEST), f.count(name), f.first("step")
    same, top, held = f.repeats(name), f.highest(name, before=0), repeats_each(f, name)
    chance, most_chance = f.ewma("exploration_rate", 1.0), f.highest("exploration_rate")
    explores = chance > 0.1 and most_chance > chance
    acted, rated = f.previous("exploration_rate", ACTED), is_rated(f)
    late = count >= FEWEST and progress >= NEARLY_OVER
    slack = max(SAME * spread, 0.05 * abs(start))
    resumed = first_step > 0.2 * f["step"]
    flat = now < start + slack and mean < first_mean + slack
    risen = not (flat and best < start + TWICE * slack)
    if not (late or count >= SAID) or resumed or risen or same == count or explores or rated or held:
        return None
    if NEAR_ONE <= now <= top <= 1.0 or now > top - 0.02 * abs(top):
        return None
    spent = f" ({progress:.0%} of the declared steps)" if progress == progress else ""
    message = f"the reward has not risen in {count:.0f} rows{spent}: it was {start:.4g} at first and is {now:.4g} now"
    loud = late or (count > LONG and progress != progress) or acted <= 0.1
    return Signal(value=now, limit=start, message=message, severity="warn" if loud else "info")


@rule(
    "REW027",
    "decided-for-nothing",
    severity="warn",
    tier=3,
    needs=("reward_mean", "entropy"),
    rows=3,
    cooldown=100,
    algorithms=POLICY,
    causes=(
        "the policy settled on what the first episodes happened to pay: too little exploration",
        "the reward varies more by chance than by what the policy does",
        "a curiosity or auxiliary reward drives the policy away from the task",
    ),
    fixes=("raise {entropy_coef}, or lower {lr}", "larger batches, or a denser reward"),
)
def decided_for_nothing(f: Frame) -> Signal | None:
    """Fires when the policy has given up most of its entropy and the reward has gained less than it varies.

    Why it matters: What is no longer tried is no longer learnt. The entropy was spent and bought nothing.
    How it is computed: After 100 rows with a reward, the entropy is below 30 % of its start (the larger of the first
    value and of the median of rows 5 to 25) and 2 nats below it. The median of the newest 40 rewards is not above that
    of the first 20 by the standard deviation between rows, and no running mean was ever above it by twice as much.
    When it is wrong: A policy may be good from the start and become certain of it, or the spread between rows may be
    far larger than any gain.
    Source: Our own choice: ENT001 for policies whose entropy may have no floor, and REW022 with a second witness. 30 %
    and 40 rows are as there. 2 nats are asked for so that a Gaussian policy whose entropy passes 0 in small steps does
    not count.
    """
    now, start, best = f.median("reward_mean", LATEST), f.early("reward_mean", 0, FIRST), f.peak("reward_mean", 0.1)
    spread, count = f.std("reward_mean", LATEST), f.count("reward_mean")
    entropy, sure, rated = f["entropy"], starting_entropy(f), is_rated(f)
    narrow = 0 < entropy < NARROW * sure and sure - entropy > NARROW_NATS
    flat = now < start + spread and best < start + TWICE * spread
    if narrow and count >= NARROW_ROWS and flat and not rated:
        message = f"the entropy fell from {sure:.3g} to {entropy:.3g}, but the reward was {start:.4g} and is {now:.4g}"
        return Signal(value=now, limit=start + spread, message=message)
    return None


@rule(
    "REW023",
    "reward-frozen-below-its-best",
    severity="warn",
    tier=3,
    needs=("reward_mean",),
    rows=3,
    algorithms=POLICY | VALUE_BASED,
    causes=(
        "the policy found one safe action, or one answer, and repeats it",
        "exploration has ended: an entropy of 0, a rate of exploration that was reduced too soon",
    ),
    fixes=("raise {entropy_coef} or {temperature}", "roll back to the best checkpoint, and lower {lr}"),
)
def frozen_below_best(f: Frame) -> Signal | None:
    """Fires when the reward hardly varies any more, at a level in the lower half of its range.

    Why it matters: A policy that always does the same meets nothing to learn from.
    How it is computed: The top is the highest level that twelve rows held after the first 20. The newest 25 rows lie
    within 1 % of the range from the lowest value to the top. Their level is below the middle of that range and 30 %
    below the top, as the first ten rows were. There are at least as many rows before them. A value that is repeated
    does not count until it has stood three times as long as any before it: a mean is repeated until an episode ends.
    When it is wrong: An episode may no longer end, so that an old mean is repeated.
    Source: Our own choice; the form for bitwise equal rewards is REW001.
    """
    name = "reward_mean"
    high, low, count = f.max(name, FROZEN_ROWS), f.min(name, FROZEN_ROWS), f.count(name)
    top, bottom = f.top(name, HELD, after=FIRST), f.lowest(name, before=FROZEN_ROWS)
    least, start = min(bottom, low), f.early(name, 0, 10)
    far = high < 0.5 * (top + least) and top - high > 0.3 * abs(top) and top - start > 0.3 * abs(top)
    same, longest, held = f.repeats(name), f.longest_run(name), repeats_each(f, name)
    waits = (held or same > REPEATED) and same < LONGER * longest  # a mean that stands between two episodes
    if count >= 2 * FROZEN_ROWS and high - low < FROZEN * (top - least) and far and not waits:
        message = f"the reward has stood at {low:.4g} for {FROZEN_ROWS} rows; it was once {top:.4g}"
        return Signal(value=low, limit=top, message=message)
    return None


@rule(
    "REW028",
    "score-frozen-below-its-best",
    severity="info",
    tier=3,
    each=("pass_at_k", "*success*"),
    needs=("reward_mean",),
    cooldown=100,
    algorithms=POLICY | VALUE_BASED,
    causes=(
        "the policy gives one and the same answer to everything: it collapsed, and has no gradient left",
        "updates no longer reach the model that is evaluated",
    ),
    fixes=("roll back to the best checkpoint, and lower {lr}", "raise {entropy_coef}; look at ten answers"),
)
def score_frozen_below_best(f: Frame) -> Signal | None:
    """Fires when an accuracy or a success rate has been bitwise the same for ten rows, below its best, as rewards vary.

    Why it matters: the reward is noise from batch to batch; a score that is not, is that of a policy which no longer
    changes, and it stopped at a bad place.
    How it is computed: REW023 for scores that are evaluated on the same tasks each time: ten rows with one value that
    is neither 0 nor 1, at least 0.1 below the largest so far, three times as many as ever before (a score may be logged
    again on each row until the next evaluation), and a reward that is not the same as in the row before.
    When it is wrong: evaluations that are ever further apart, by three times at once.
    Source: Our own choice: an exact repetition on tens of tasks is no chance while the policy still moves. It rests on
    two public runs of one repository, and only four healthy logs at hand have such a score (none fires), so it is
    information until more have been seen.
    """
    name = f.metric
    value, same, best = f[name], f.repeats(name), f.highest(name, before=0)
    moves, longest = f.repeats("reward_mean"), f.longest_run(name)
    enough = max(SCORE_ROWS, 3 * longest)
    if same >= enough and moves < 2 and 0.0 < value < 1.0 and best - value >= SCORE_LOST:
        message = f"{name} has been {value:.4g} for {same:.0f} rows, and was {best:.4g}, while the reward still varies"
        return Signal(value=value, limit=best, message=message)
    return None
