"""REW: goals that never rise above their first level, or fall below it."""

from __future__ import annotations

from rldk.core.algorithms import POLICY, VALUE_BASED
from rldk.rules.catalogue.reward_learning import TRAINED
from rldk.rules.evidence import exploration_falls, repeats_each, repeats_most
from rldk.rules.rule import Context, Frame, Signal, rule

SCORES = ("reward_mean", "pass_at_k", "*success*")
EXPLORED = 0.3  # of the largest share of random actions: from there on the policy acts
LOST = 0.2  # of the first level: a loss that matters
FEW, AT_FIRST, NEWEST, CLEAR = 15, 5, 5, 3.0  # rows; the last one in noises of a row
LONG, LEVEL_ROWS, APART, FLAT = 400, 100, 0.6, 0.3  # rows, rows of a level, deviations between rows
HARDLY_EVER, TRIED = 0.1, 100  # of the episodes; rows
STILL_LOST = 0.3  # of the lowest level before: a return that hardly varied has no range to speak of
STILL_ROWS, FALL_ROWS, STILL_AFTER, STILL = 5, 8, 15, 0.05  # rows, rows with the fall, rows before; of their range
ENDLESS = 800  # rows of a log that names neither its algorithm nor its end


def _named(context: Context) -> str | None:
    if context.algorithm is None and TRAINED.isdisjoint(context.names):
        return None
    return "this log says which algorithm it is of, or what it trains: REW022 judges it"


@rule(
    "REW036",
    "score-below-chance",
    severity="warn",
    tier=3,
    each=SCORES,
    rows=3,
    cooldown=20,
    provisional=True,
    algorithms=POLICY | VALUE_BASED,
    causes=(
        "the sign of the reward, or of the error that the critic learns from, is turned",
        "the values overrate one action, and the agent repeats it as soon as it no longer acts at random",
        "the agent is evaluated against an opponent, or on tasks, that became harder",
    ),
    fixes=(
        "compare the policy with a random one on the same task",
        "check the target of the critic: terminal states, {gamma}, {target_update}",
        "lower {lr}",
    ),
)
def score_below_chance(f: Frame) -> Signal | None:
    """Fires when a return or a success rate is lower than it was at random, for good, and was never higher.

    Why it matters: What the policy has learnt is worse than nothing, and waiting does not mend it.
    How it is computed: There are two forms. Where the share of random actions is logged, it must be below 30 % of its
    largest value, after 15 rows: the newest five rows are then all below the median of the first five, by a fifth of
    that level and three times the row-to-row noise. Without it, or with rows that are single episodes, from 400 rows
    on: the mean of the newest 100 rows is below the median of the first 100 by a fifth and by 0.6 of the standard
    deviation between rows (four standard errors). In both forms the running mean was never clearly above the first
    level. A log of responses is left to REW016.
    When it is wrong: A curriculum may begin easy, and an opponent that is trained, too, becomes stronger. Agents of
    value-based algorithms may unlearn before they learn: after 20 rows above the limit the finding is information.
    Source: Our own choice, REW016 for agents that begin at random. Seen in public logs of a DQN for draughts (0.57 to
    0.26 wins as its actions became its own) and of a robot arm that lost a third of its return within 800 episodes.
    """
    name = f.metric
    rate, most = f.ewma("exploration_rate", 1.0), f.highest("exploration_rate", before=0)
    count, start, best, noise = f.count(name), f.early(name, 0, AT_FIRST), f.peak(name, 0.1), f.noise(name, 20)
    high, level, first = f.max(name, NEWEST), f.mean(name, LEVEL_ROWS), f.early(name, 0, LEVEL_ROWS)
    spread, top = f.std(name, LEVEL_ROWS), f.top(name, LEVEL_ROWS)
    words = [f.gap(other) >= 0 for other in ("kl", "truncation_frac", "reward_std")]
    goal = f.gap("reward_mean")
    if any(words) or (name != "reward_mean" and goal >= 0) or rate > EXPLORED * most:
        return None
    acts = rate <= EXPLORED * most
    if acts and count >= FEW and high < start - max(LOST * abs(start), CLEAR * noise) and best < start + 2 * noise:
        message = f"{name} was {start:.4g} when actions were random, and is at most {high:.4g} now that they are not"
        return Signal(value=high, limit=start, message=message)
    if count >= LONG and level < first - max(LOST * abs(first), APART * spread) and top < first + FLAT * spread:
        message = f"{name} began at {first:.4g} and is {level:.4g} over {LEVEL_ROWS} rows; it was never clearly better"
        return Signal(value=level, limit=first, message=message)
    return None


@rule(
    "REW037",
    "rewards-without-gain",
    severity="warn",
    tier=3,
    needs=("reward_mean",),
    rows=3,
    cooldown=100,
    provisional=True,
    unless=_named,
    causes=(
        "the reward is found too rarely, or nearly all behaviour is paid alike",
        "the policy hardly moves: a rate that is far too small, actions that do not reach the environment",
        "the policy was as good as it can get from the start",
    ),
    fixes=(
        "compare the policy with a random one on the same task",
        "look at how far apart the returns of good and bad episodes are: begin with an easier task",
    ),
)
def rewards_without_gain(f: Frame) -> Signal | None:
    """Fires when a log of nothing but rewards has not risen in eight hundred rows.

    Why it matters: This is REW022 for logs that do not say what was trained, such as a list of episode returns. The
    policy that comes out is the one that went in.
    How it is computed: From row 800 on, the mean of the newest 100 rows is not above that of the first
    100 by 0.3 of the standard deviation between rows (two standard errors of the difference) or by a twentieth of the
    level. Nor is the median by 0.3 of their robust deviation, and no 100 rows ever were by twice as much. The rule is
    quiet where the task looks solved: the newest 100 rows hardly vary, or they lie within 5 % of the largest reward so
    far. A finding is lowered to information once the reward has risen, as it does when exploration ends late.
    When it is wrong: The rows may be those of a fixed policy that is only evaluated.
    Source: Our own choice. A row is one episode in nearly all such logs, so that levels need a hundred rows. Set on
    seven public logs that never learnt and nineteen that did, of home-made loops and of Stable-Baselines3's monitor.
    """
    name = "reward_mean"
    now, start, spread = f.mean(name, LEVEL_ROWS), f.early_mean(name, 0, LEVEL_ROWS), f.std(name, LEVEL_ROWS)
    first, best, top, count = (
        f.early(name, 0, LEVEL_ROWS),
        f.top(name, LEVEL_ROWS),
        f.highest(name, before=0),
        f.count(name),
    )
    usual, scale, held = f.median(name, LEVEL_ROWS), f.mad(name, LEVEL_ROWS), repeats_each(f, name)
    slack = max(FLAT * spread, 0.05 * abs(start))
    flat = now < start + slack and usual < first + max(FLAT * scale, 0.05 * abs(first))
    solved = spread < 0.02 * abs(now) or now > top - 0.05 * abs(top)
    if count >= ENDLESS and flat and best < start + 2 * slack and not solved and not held:
        message = f"the reward has not risen in {count:.0f} rows: it was {start:.4g} at first and is {now:.4g} now"
        return Signal(value=now, limit=start, message=message)
    return None


@rule(
    "REW038",
    "never-succeeded",
    severity="warn",
    tier=3,
    each=("pass_at_k", "*success*"),
    rows=3,
    cooldown=100,
    provisional=True,
    algorithms=POLICY | VALUE_BASED,
    causes=("success is too rare to be found by chance", "the test of success never passes: check it by hand"),
    fixes=(
        "begin with easier tasks, or reward steps on the way",
        "run the test on a solution that is known to be right",
    ),
)
def never_succeeded(f: Frame) -> Signal | None:
    """Fires when a success rate has hardly ever left 0 in a hundred rows, and no reward says more.

    Why it matters: A policy that never succeeds has nothing to learn from.
    How it is computed: On at least 100 rows the rate has never been above 0.1, and its mean over the newest 100 is
    below a hundredth. The rule does not look where a reward is logged beside the rate (REW022 does).
    When it is wrong: Successes may be as rare as they should be.
    Source: Our own choice, REW022 for logs without a reward; seen in a public table of a SAC agent on a hand that never
    turned its pen in two million steps.
    """
    name = f.metric
    count, most, now, other = f.count(name), f.highest(name, before=0), f.mean(name, TRIED), f.gap("reward_mean")
    if count >= TRIED and most <= HARDLY_EVER and now < 0.1 * HARDLY_EVER and not other >= 0:
        return Signal(value=now, limit=HARDLY_EVER, message=f"{name} was at most {most:.2g} on all {count:.0f} rows")
    return None


@rule(
    "REW040",
    "frozen-below-all-before",
    severity="warn",
    tier=3,
    needs=("reward_mean",),
    rows=1,
    cooldown=100,
    algorithms=POLICY | VALUE_BASED,
    causes=(
        "the policy collapsed onto one action, and that one loses",
        "the values of the critic ran away, and the policy followed them",
    ),
    fixes=(
        "roll back to the last checkpoint before the fall, and lower {lr}",
        "look at the value loss and at Q values",
    ),
)
def frozen_below_all_before(f: Frame) -> Signal | None:
    """Fires when the return stands still far below everything that it was before.

    Why it matters: A return that never rose cannot lose a gain, but it can still be lost: the policy is then worse than
    the random one that the run began with.
    How it is computed: The newest five rows lie within 5 % of the range of all rows up to eight rows ago. The highest
    of the five is below the lowest of those rows by half of that range and 30 % of its level. There were at least 15.
    The rule is quiet while the share of random actions still falls, and where more than half of the rows before repeat
    the value of the row before them.
    When it is wrong: An environment may become harder on purpose, or its reward may be changed in mid-run.
    Source: Our own choice. Healthy returns that fall below their start go on varying: none of the healthy logs at hand
    stands still below its own range. Seen in a public log of SAC for a racing car (-370 to 17, then -678 on each row).
    """
    name = "reward_mean"
    high, low = f.max(name, STILL_ROWS), f.min(name, STILL_ROWS)
    top, bottom = f.highest(name, before=FALL_ROWS), f.lowest(name, before=FALL_ROWS)
    span, known = top - bottom, f.count(name) - FALL_ROWS
    held, explores = repeats_most(f, name), exploration_falls(f)
    still = high - low < STILL * span and not held
    far = high < bottom - max(0.5 * span, STILL_LOST * abs(bottom))
    if known >= STILL_AFTER and still and far and not explores:
        message = f"the reward stands at {f[name]:.4g}; before it was never below {bottom:.4g}"
        return Signal(value=f[name], limit=bottom - 0.5 * span, message=message)
    return None
