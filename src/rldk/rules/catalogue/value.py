"""Rules on the critic: it explains nothing or too much, is clipped, or its loss leaves its range."""

from __future__ import annotations

from rldk.core.algorithms import ACTOR_CRITIC, OFF_POLICY
from rldk.rules.evidence import CLASSIC, is_negligible, is_solved, is_still_learning
from rldk.rules.rule import Context, Frame, Signal, rule

SEEN = ("reward_mean", "value_mean")
EXPLAINED = "value_explained_variance"
FLAT = 0.01
FEWEST, SETTLED = 15, 25  # rows, the newest three among them
FAR, LEFT = 20.0, 4.0  # times
FADED = 0.5  # of the first losses: the critic does learn
EXPLODED, BEYOND, FIRST = 1e4, 100.0, 4  # times all before; times any value or return; rows before
TRIFLE = 1e-3  # of the first losses


@rule(
    "VAL001",
    "critic-explains-nothing",
    severity="info",
    tier=1,
    needs=(EXPLAINED,),
    rows=3,
    algorithms=ACTOR_CRITIC,
    causes=(
        "the reward scale does not suit the critic",
        "the critic learns too slowly or from wrong targets",
        "returns are nearly constant",
    ),
    fixes=("turn on {reward_scale}", "raise {lr_value}", "warm the critic up before the policy moves"),
)
def critic_useless(f: Frame) -> Signal | None:
    """Fires when the critic is worse than a constant on most of the last 50 updates.

    Why it matters: Its advantages are then noisier than rewards minus their mean.
    How it is computed: The explained variance is below 0 on more than 60 % of the last 50 rows, after the first fifth
    of a run of known length. A NaN (returns without variance) is right by definition and is not looked at.
    When it is wrong: Small healthy runs live around 0 or slightly below, so this is information, not a warning.
    Source: Below 0 is worse than a constant (openai/baselines#454), for 60 % of 50 rows after 20 % of the budget. We
    lowered it from a warning because 28 of 28 healthy runs with a critic in faultbench are like that.
    """
    share, usual = f.share(EXPLAINED, 50, below=0.0), f.median(EXPLAINED, 50)
    if share > 0.6 and not f.progress() < 0.2:
        message = f"the explained variance was below 0 on {share:.0%} of the last 50 rows (typically {usual:.2g})"
        return Signal(value=usual, limit=0.0, message=message)
    return None


def _not_classic(context: Context) -> str | None:
    if context.framework in CLASSIC:
        return None
    return "critics of small language models are often that bad, and harmless (see VAL001)"


@rule(
    "VAL011",
    "critic-far-worse-than-a-constant",
    severity="warn",
    tier=2,
    needs=(EXPLAINED,),
    algorithms=ACTOR_CRITIC - {"a2c"},
    unless=_not_classic,
    causes=(
        "the critic is not trained: its loss, its learning rate or its gradient is 0",
        "its targets are wrong: discount, bootstrapping, a normaliser of returns",
        "rewards are not scaled",
    ),
    fixes=("check that the critic's weights change", "look at {value_coef} and {gamma}", "turn on {reward_scale}"),
)
def critic_far_worse_than_a_constant(f: Frame) -> Signal | None:
    """Fires when the critic's errors have for long been one and a half times the spread of the returns.

    Why it matters: Advantages are then mostly the critic's errors.
    How it is computed: The median explained variance of 20 rows is below -0.5. Explained variance divides by the
    variance of the returns, so it says nothing where these hardly differ. The rule is therefore quiet while the task is
    solved (every step pays, and the return has stayed within a tenth of its best for 20 rows) and while the root of the
    value loss is below a hundredth of what one step pays. It is only information while the return has risen and stands
    at its best, or while the value loss is below half of what it began with, because a critic that is late is learning
    all the same.
    When it is wrong: The returns may hardly differ in a task that pays only at its end. A2C logs the explained variance
    of one batch of a few steps, which is mostly noise, so it is not looked at.
    Source: 0 is a constant (openai/baselines#454); -0.5 and 20 rows are our own choice. Measured on small trainings of
    Stable-Baselines3 and CleanRL: below -0.25 in 1 of 42 healthy runs, one that never finds its reward.
    """
    usual, loss = f.median(EXPLAINED, 20), f.median("value_loss", 20)
    solved, nothing, learns = is_solved(f), is_negligible(f, loss), is_still_learning(f)
    newest, first = f.median("value_loss", 10), f.early("value_loss", 0, 5)
    learns = learns or newest < FADED * first
    if usual < -0.5 and not (solved or nothing):
        message = f"the explained variance has typically been {usual:.2g} over 20 rows; a constant prediction has 0"
        return Signal(value=usual, limit=-0.5, message=message, severity="info" if learns else None)
    return None


@rule(
    "VAL012",
    "critic-predicts-a-constant",
    severity="warn",
    tier=3,
    needs=(EXPLAINED, "value_loss"),
    rows=3,
    algorithms=ACTOR_CRITIC,
    causes=(
        "rewards, and with them the returns, are far too large for the critic to reach",
        "its targets are wrong, or noise was added to the reward",
        "the critic's learning rate or its loss is close to 0",
    ),
    fixes=(
        "turn on {reward_scale}",
        "raise {lr_value} or {value_coef}",
        "compare the targets of one batch with its returns",
    ),
)
def critic_predicts_a_constant(f: Frame) -> Signal | None:
    """Fires when the critic explains exactly nothing, row after row, and its loss is as high as at the start.

    Why it matters: Advantages are then returns minus a constant, and most of what a critic is for is missing.
    How it is computed: The explained variance of twenty rows lies within 0.01 of 0, and the median value loss of ten
    rows is above 80 % of that of the first five.
    When it is wrong: The reward of the task may be almost random.
    Source: An explained variance of 0 is that of a constant (openai/baselines#454); sb3#2240 (unscaled rewards); 0.01,
    twenty rows and 80 % are our own choice. Measured: 0 of 103 healthy small trainings with a critic; 14 of 22 with
    unscaled or rescaled rewards, reward noise or wrong targets.
    """
    high, low, count = f.max(EXPLAINED, 20), f.min(EXPLAINED, 20), f.count(EXPLAINED)
    now, start = f.median("value_loss", 10), f.early("value_loss", 0, 5)
    if count >= 20 and -FLAT < low <= high < FLAT and now > 0.8 * start > 0:
        message = f"the critic explains nothing ({low:.2g} to {high:.2g} on 20 rows) and its loss is {now:.3g}"
        return Signal(value=high, limit=FLAT, message=message + f"; it was {start:.3g} at the start")
    return None


@rule(
    "VAL002",
    "critic-too-good",
    severity="info",
    tier=1,
    needs=(EXPLAINED,),
    algorithms=ACTOR_CRITIC,
    causes=(
        "the answer or the reward leaks into what the critic sees",
        "returns are nearly constant",
        "the critic was trained before",
    ),
    fixes=("compare critic inputs with the reward function's inputs", "ignore this if the critic was pre-trained"),
)
def critic_too_good(f: Frame) -> Signal | None:
    """Fires when the critic explains more than 99 % of the returns from the first updates on.

    Why it matters: A fresh critic cannot know that, so something gives it the answer.
    How it is computed: The explained variance is above 0.99 on every row so far, for at least five rows.
    When it is wrong: The critic may be pre-trained, or returns may be nearly deterministic. This rule only gives
    information.
    Source: 0.99 from the first update comes from the catalogue of critic faults; five rows are our own choice.
    """
    least, count = f.lowest(EXPLAINED, before=0), f.count(EXPLAINED)
    if least > 0.99 and count >= 5:
        message = f"the explained variance has been above {least:.3f} since the first row"
        return Signal(value=f[EXPLAINED], limit=0.99, message=message)
    return None


@rule(
    "VAL006",
    "value-clip-saturation",
    severity="info",
    tier=1,
    needs=("value_clip_frac",),
    rows=3,
    algorithms=ACTOR_CRITIC,
    causes=("the value clip range is small for the scale of the returns", "the critic's learning rate is too high"),
    fixes=("raise {clip_value}", "turn on {reward_scale}", "lower {lr_value}"),
)
def value_clip_saturation(f: Frame) -> Signal | None:
    """Fires when typically more than half of the value predictions were clipped over the last 20 updates.

    Why it matters: The critic learns only from the other half and lags behind the policy.
    How it is computed: The median clipped share of 20 rows is above 0.5, on three rows in a row.
    When it is wrong: The first updates after a jump of the reward scale look like this.
    Source: The 20 updates are those of the rule for the policy's ratio; 0.5 is our own choice.
    """
    usual = f.median("value_clip_frac", 20)
    if usual > 0.5:
        return Signal(value=usual, limit=0.5, message=f"typically {usual:.0%} of the value predictions are clipped")
    return None


@rule(
    "VAL007",
    "value-bias",
    severity="warn",
    tier=2,
    needs=("value_mean", "return_mean"),
    rows=20,
    algorithms=ACTOR_CRITIC,
    causes=(
        "the critic's targets are wrong: time limits taken for ends, another discount, rewards scaled after the critic",
        "the critic is hardly trained: a small learning rate or coefficient, clipped values",
    ),
    fixes=("raise {lr_value} or {value_coef}", "raise {clip_value}", "check {gamma} and how truncated episodes end"),
)
def value_bias(f: Frame) -> Signal | None:
    """Fires when the critic's mean has been off the mean return, on one side, for 20 rows.

    Why it matters: A constant offset is the first thing a critic learns. One that keeps its offset makes every
    advantage too large or too small by that much.
    How it is computed: On each of 20 rows the offset has the sign of its median and is above a quarter of the median
    return and three times the row-to-row noise of the returns. The returns have not moved by half of it, because a
    critic lags behind a return that rises. It is a warning when the square of the offset is more than half of the value
    loss, so that the offset is most of what the critic gets wrong. Otherwise it is information.
    When it is wrong: Values and returns may be in different units (one of them normalised).
    Source: A sustained mean(V - R) comes from the catalogue; the factors are our own choice. Measured on faultbench
    with the reward as return: none of 22 healthy runs; 4 runs with a wrong sign, reward scale or learning rate.
    """
    value, target, loss = f.median("value_mean", 20), f.median("return_mean", 20), f.median("value_loss", 20)
    noise, moved = f.noise("return_mean", 20), f.gain("return_mean", 20)
    usual, now = value - target, f["value_mean"] - f["return_mean"]
    aside = now * usual > 0 and abs(now) > 3 * noise and abs(now) > 0.25 * abs(target)
    if aside and abs(moved) < 0.5 * abs(usual):
        message = f"the critic expects {value:.3g} on average and the returns are {target:.3g}"
        most = usual * usual > 0.5 * loss
        return Signal(value=value, limit=target, message=message, severity=None if most else "info")
    return None


@rule(
    "VAL008",
    "value-loss-leaves-its-range",
    severity="warn",
    tier=2,
    needs=("value_loss",),
    algorithms=ACTOR_CRITIC - {"a2c"},
    causes=(
        "the critic's targets changed: the discount, how ends of episodes count, a normaliser of returns",
        "the scale of the rewards changed",
        "the weights of the critic were replaced",
    ),
    fixes=(
        "compare the targets of one batch before and after",
        "keep the rewards at one scale: {reward_scale}, {gamma}",
    ),
)
def value_loss_leaves_its_range(f: Frame) -> Signal | None:
    """Fires when the value loss is suddenly four times above, or below, its whole range so far.

    Why it matters: The critic has to predict something else than before, and its advantages are wrong until it has
    learnt it.
    How it is computed: Three rows in a row are above twenty times the largest value before them (twelve rows at least),
    while the reward is not above its own largest. In runs that log a share of clipped ratios, four times is enough from
    the 25th row on. In such runs the rule also fires when the three rows are below a quarter of the smallest value but
    not 0, and that smallest value was above a tenth of the median of rows 5 to 25.
    When it is wrong: A restart may use another batch size. The rule is quiet when a sparse reward that is found for the
    first time raises both, when the loss fades in a task that is solved, and when its root is below a hundredth of what
    a step pays. A2C logs the loss of one small batch, which varies freely (seen on a healthy log), so it is not looked
    at.
    Source: The size that matters is that of VAL003 without its critic. Measured: in 68 healthy small trainings, three
    rows left the range before them by 1.2 times upwards and 2 times downwards at most; 27 to 3,700 times where
    discount, targets or the scale of rewards changed.
    """
    name, count = "value_loss", f.count("value_loss")
    least, most = f.min(name, 3), f.max(name, 3)
    high, low = f.highest(name, before=3), f.lowest(name, before=3)
    reward, best = f.median("reward_mean", 3), f.highest("reward_mean", before=3)
    early, clipped, nothing = f.early(name), f.count("clip_frac"), is_negligible(f, most)
    if count < FEWEST or not high > 0 or nothing:
        return None
    settled = count >= SETTLED and clipped > 0
    limit = (LEFT if settled else FAR) * high
    if least > limit and not reward > best:
        message = f"the value loss went from at most {high:.3g} to {least:.3g} within three rows"
        return Signal(value=least, limit=limit, message=message)
    if settled and 0 < most < low / LEFT and low > 0.1 * early:
        message = f"the value loss went from at least {low:.3g} to {most:.3g} within three rows"
        return Signal(value=most, limit=low / LEFT, message=message)
    return None


@rule(
    "VAL015",
    "value-loss-explodes",
    severity="warn",
    tier=2,
    needs=("value_loss",),
    algorithms=ACTOR_CRITIC | OFF_POLICY,
    causes=(
        "one transition has an enormous reward, or an observation is not finite or far out of range",
        "an update of the critic was too large: gradients are not clipped, or the learning rate is too high",
    ),
    fixes=(
        "look at the largest reward and observation of that batch: {reward_clip}",
        "clip gradients: {max_grad_norm}, and lower {lr_value}",
    ),
)
def value_loss_explodes(f: Frame) -> Signal | None:
    """Fires when one value loss is ten thousand times larger than all before it, and beyond any possible prediction
    error.

    Why it matters: That gradient also moved the weights that the critic shares with the policy.
    How it is computed: This is VAL008 for a single row, after four others. The loss is above ten thousand times the
    largest before it. Its root, the typical error, is above a hundred, and above a hundred times the largest return and
    the largest estimated value that the run has logged (with this row). A sparse reward that is found for the first
    time raises a loss close to 0 by as much, but no further than what it pays.
    When it is wrong: The rewards of an environment may grow a thousandfold during the run by design.
    Source: Our own choice. Measured on 49 healthy public logs with a critic: after four rows, the largest step above
    all before was 47-fold, and the largest root of a loss was 1.5 times the largest return.
    """
    loss, high, count = f["value_loss"], f.highest("value_loss"), f.count("value_loss")
    sizes = [1.0, *(f.highest(name, before=0) for name in SEEN), *(f.lowest(name, before=0) for name in SEEN)]
    if count > FIRST and loss > EXPLODED * high and not any(loss <= BEYOND * BEYOND * x * x for x in sizes):
        message = f"the value loss was at most {high:.3g} and is suddenly {loss:.3g}"
        return Signal(value=loss, limit=EXPLODED * high, message=message)
    return None


@rule(
    "VAL003",
    "value-loss-diverges",
    severity="warn",
    tier=2,
    needs=("value_loss", "value_explained_variance"),
    rows=3,
    algorithms=ACTOR_CRITIC - {"a2c"},
    causes=(
        "the critic is no longer updated, or from wrong targets",
        "the scale of the rewards changed",
        "the critic's learning rate is too high",
    ),
    fixes=(
        "check that the optimiser holds the critic's parameters and steps them",
        "lower {lr_value} or {value_coef}",
        "turn on {reward_scale}",
    ),
)
def value_loss_diverges(f: Frame) -> Signal | None:
    """Fires when the value loss is three times its own past and the critic has become worse than useless.

    Why it matters: The advantages of a critic that no longer follows are noise of growing size.
    How it is computed: On three rows in a row, the median value loss of three rows is above three times the median of
    the run's own past. The explained variance (median of three) is below -1 and by 1 below its own past, or below 0
    where it had typically been above one half. The rule is quiet for a loss close to nothing: below a thousandth of the
    first ten rows, or with a root below a hundredth of what one step pays. It is also quiet while the task is solved,
    because the critic then has almost nothing to explain (VAL011).
    When it is wrong: After a change of the reward's scale, the old critic is wrong without a fault of its own. A2C logs
    both metrics of one batch of a few steps, so it is not looked at.
    Source: The two-witness form was measured on labelled real trainings: small healthy critics explain nothing and vary
    in their loss, but never both together at that size.
    """
    loss, past = f.median("value_loss", 3), f.past("value_loss")
    explained, usual = f.median("value_explained_variance", 3), f.past("value_explained_variance")
    worse = explained < -1.0 and explained < usual - 1.0
    forgot = usual > 0.5 and explained < 0.0
    trifle, solved, nothing = loss < TRIFLE * f.early("value_loss", 0, 10), is_solved(f), is_negligible(f, loss)
    if past > 0 and loss > 3 * past and (worse or forgot) and not (trifle or solved or nothing):
        message = (
            f"the value loss rose from {past:.3g} to {loss:.3g} and the explained variance fell to {explained:.3g}"
        )
        return Signal(value=loss, limit=3 * past, message=message)
    return None
