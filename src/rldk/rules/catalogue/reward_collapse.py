"""REW: a return that had risen and is lost again, which needs no second witness; agents that settled on the worst
action; rewards of the training's own making that vanish."""

from __future__ import annotations

from rldk.core.algorithms import OFF_POLICY, POLICY, VALUE_BASED
from rldk.core.model import COUNTED
from rldk.rules.evidence import exploration_falls, factor, lost_share, repeats_each
from rldk.rules.rule import Context, Frame, Signal, rule

GOALS = ("reward_mean", "return_mean", "eval_reward_mean", "pass_at_k", "*success*", "elo")
ROWS, TOP = 27, 12  # a loss must last so many rows; a level must have been held for so many
SB3 = frozenset({"sb3", "stable_baselines3"})
CLEAR = 2.5  # times the row-to-row noise: of means over twelve rows, pure noise spans 1.6
MOST, ALL = 0.55, 0.95  # of the gain
GREAT = 0.3  # of the level: a smaller gain that is lost is a warning, no proof
RATE_GAIN = 0.03  # of a success rate: three standard errors of a rate of 0.01 over a hundred episodes
LASTS = 50  # rows at the start or below it, after which all is taken for lost
EARLY = 20  # rows: a peak that was over before is a lucky start
PLUNGE_ROWS, PLUNGE = 5, 0.2  # of the gain, below the start
SHEER, LEAST = 6.0, 0.15  # times the noise, and of the level: a gain that a few rows prove
SHORT, SHORT_ROWS, SHORT_LOSS = 20, 4, 0.8
EPISODE_ROWS, EPISODE_TOP, EPISODE_CLEAR = 100, 40, 4.0
SINGLE_CLEAR = 5.5  # times the noise, in which a sudden fall counts: a gain that even single episodes prove
CAUSES = (
    "an update that was too large destroyed the policy",
    "the critic or the advantages went wrong first, and the policy followed",
    "the reward, the environment or the data changed in mid-run",
)
FIXES = (
    "roll back to the last checkpoint before the first step named here, and lower {lr}",
    "compare {reward_fn} on the same behaviour before and after that step",
    "look at what moved first: value loss, update KL, entropy",
)

VANISHED, VANISHED_ROWS = 1e-6, 10  # of the largest
WORST_ROWS = 20
QUIET = 0.05  # of the entropy that the run began with


def _few_episodes(context: Context) -> bool:
    """Whether a row is one episode (monitor.csv, a list of rewards and nothing else), or adds only four episodes to
    the mean of a hundred (off-policy agents of Stable-Baselines3): 27 rows are then hardly one sample."""
    own = context.names.get("reward_mean") == "r"
    bare = context.clock == COUNTED and context.names.keys() == {"reward_mean"}
    return own or bare or (context.framework in SB3 and context.algorithm in OFF_POLICY)


def _of_batches(context: Context) -> str | None:
    return "each row is one episode or a few; REW020 judges such logs" if _few_episodes(context) else None


def _of_episodes(context: Context) -> str | None:
    return None if _few_episodes(context) else "defined for logs whose rows are one episode or a few"


def _second_name(f: Frame) -> bool:
    """Whether the metric is the target of a critic while the reward itself is logged beside it."""
    return f.metric == "return_mean" and f.gap("reward_mean") >= 0


Moves = tuple[tuple[float, float, float], ...]


def _moves(f: Frame) -> Moves:
    """The values of entropy, KL and length now and in the run's own past, and the factor by which they may differ."""
    return (
        (f.median("entropy", 3), f.past("entropy", least=20), 1.25),
        (f.median("kl", 5), f.past("kl", least=20), 2.0),
        (f.median("response_length_mean", 3), f.past("response_length_mean", least=20), 1 / 0.6),
    )


def _left(moves: Moves) -> bool:
    return any(factor(now, past) > limit for now, past, limit in moves)


def _collapse(f: Frame, rows: int, top: int, clear: float, *, seen: int = 0) -> Signal | None:
    """The signal of a loss over `rows` rows. `seen`: the rows of the stated mean, where it is not all of them."""
    name, stated = f.metric, seen or rows
    lost = f.drawdown(name, rows, top, clear=clear, after=EARLY)
    level, best = f.mean(name, stated), f.top(name, top, after=EARLY)
    lasting, start, held = f.mean(name, LASTS), f.early(name, 0, 10), repeats_each(f, name)
    if held or not lost > MOST:
        return None
    gone = "all" if lost > ALL else f"{lost:.0%}"
    great = best - start > GREAT * max(abs(best), abs(start)) and not _is_small_rate(name, best - start)
    all_gone = lost > ALL and lasting < best - ALL * (best - start) and great
    message = (
        f"{name} had risen to {best:.4g}, and {gone} of the gain is lost: its mean over {stated} rows is {level:.4g}"
    )
    return Signal(value=level, limit=best, before=best, message=message, severity="critical" if all_gone else "warn")


def _is_small_rate(name: str, gain: float) -> bool:
    """Whether the gain is a few successes more of a hundred, which is as much as a rate errs by."""
    return ("success" in name or name == "pass_at_k") and gain < RATE_GAIN


def _plunge(f: Frame) -> Signal | None:
    """The signal of a sudden fall: all of the newest rows are below the start."""
    name = f.metric
    now, best, start = f.max(name, PLUNGE_ROWS), f.top(name, TOP, after=EARLY), f.early(name, 0, 10)
    noise, gain, held = f.noise(name, 20), best - start, repeats_each(f, name)
    if held:
        return None
    if now < start - PLUNGE * gain and gain > SHEER * noise and gain > LEAST * abs(best):
        message = f"{name} fell from {best:.4g} to {f[name]:.4g}, below its level when the run began"
        return Signal(value=f[name], limit=best, before=best, message=message, severity="warn")
    return None


def _short(f: Frame) -> Signal | None:
    """The signal of the first rows: the four newest have all lost what the four before them held."""
    name, rows = f.metric, SHORT_ROWS
    now, held, start = f.max(name, rows), f.median(name, rows, before=rows), f.early(name, 0, 2)
    noise, count, gain = max(f.noise(name, rows, before=rows), f.noise(name, rows)), f.count(name), held - start
    lost = held - now
    if count < SHORT and gain > SHEER * noise and lost > SHORT_LOSS * gain and lost > LEAST * abs(held):
        message = f"{name} had reached {held:.4g} and is back at {f[name]:.4g}"
        return Signal(value=f[name], limit=held, before=held, message=message, severity="warn")
    return None


@rule(
    "REW012",
    "reward-collapse",
    severity="critical",
    tier=3,
    each=GOALS,
    rows=2,
    cooldown=100,
    algorithms=POLICY | VALUE_BASED,
    unless=_of_batches,
    causes=CAUSES,
    fixes=FIXES,
)
def reward_collapse(f: Frame) -> Signal | None:
    """Fires when a reward, return, success rate or Elo rating had clearly risen and has lost most of its gain for good.

    Why it matters: What the run had learnt is destroyed, and it rarely recovers by itself.
    How it is computed: The top is the highest level that two halves of twelve rows both held; a peak within the first
    20 rows does not count. The bottom is the lowest such level before it, or that of the first six rows. The gain lies
    between them and must be above two and a half times the row-to-row noise. It is a warning when the mean of the
    newest 27 rows has lost 55 % of the gain and 15 % of the level, and the first and last five of these rows have lost
    45 %. It is critical once they have lost all of it and 50 rows are back where the first ten rows were, if the gain
    was above 30 % of the level, and above 0.03 for a success rate. The rule warns sooner in three cases. First, the
    newest five rows are all below the first ten by a fifth of the gain. Second, in the first 20 rows, four rows have
    lost 80 % of what the four before them held. In these two cases the gain must be six times the noise (of the rows
    that lost it, too, in the second one). Third, a running mean has lost half of the gain while entropy, KL, length or
    truncation has left the run's own past (by 25 %, a factor of two, 40 %, 0.3), unless the rate of exploration still
    falls. Where each row is one episode (its number rises by one), only the form of REW020 counts, and that of 27 rows
    for a gain of five and a half times the noise. Each condition must hold on two rows in a row. The rule is quiet
    where the log repeats each value until the next one is known: four of five runs of equal values have three rows or
    more.
    When it is wrong: A curriculum or an environment may become harder on purpose. Agents of value-based algorithms may
    forget and learn again within a hundred rows.
    Source: The two-witness form was measured on labelled real trainings. The other forms are our own choice, set on 200
    synthetic falls and dips (`python -m benchmarks.collapse`) and on 536 public return curves of Stable-Baselines3
    agents. A collapse of the goal itself is proof; other metrics need a second witness, as healthy learning moves them,
    too.
    """
    name = f.metric
    said = [_collapse(f, ROWS, TOP, CLEAR), _plunge(f), _short(f)]
    single = f.rise("episode_count") == 1.0
    of_episodes = _collapse(f, EPISODE_ROWS, EPISODE_TOP, EPISODE_CLEAR, seen=LASTS)
    sheer = _collapse(f, ROWS, TOP, SINGLE_CLEAR)
    lost, level, best = lost_share(f), f.ewma(name, 0.1), f.peak(name, 0.1)
    moves, explores = _moves(f), exploration_falls(f)
    cut, cut_before = f.median("truncation_frac", 3), f.past("truncation_frac")
    if _second_name(f):
        return None
    if single:
        return of_episodes or sheer
    if name == "reward_mean" and lost > 0.5 and not explores and (_left(moves) or cut > cut_before + 0.3):
        message = f"{name} fell from {best:.4g} to {level:.4g} and the policy has changed with it"
        said.append(Signal(value=level, limit=best, before=best, message=message, severity="warn"))
    return next((signal for signal in said if signal is not None), None)


@rule(
    "REW020",
    "episode-return-collapse",
    severity="critical",
    tier=3,
    needs=("reward_mean",),
    rows=3,
    cooldown=100,
    algorithms=POLICY | VALUE_BASED,
    unless=_of_episodes,
    causes=CAUSES,
    fixes=FIXES,
)
def episode_return_collapse(f: Frame) -> Signal | None:
    """Fires when a return whose rows each add few episodes had clearly risen and has lost most of its gain for good.

    Why it matters: This is REW012 for logs with one row for each episode (monitor.csv), or one row for every four of
    the hundred episodes that are averaged (off-policy agents of Stable-Baselines3). There, 27 rows are one update or
    less.
    How it is computed: The rule works like REW012, over 100 rows, with a top that was held for 40 and a gain of four
    times the noise.
    When it is wrong: An agent may forget a task and learn it again over some hundred episodes.
    Source: Our own choice; 100 episodes are the window of Stable-Baselines3's own mean. It was set on 182 public
    monitor files.
    """
    return _collapse(f, EPISODE_ROWS, EPISODE_TOP, EPISODE_CLEAR)


@rule(
    "REW021",
    "evaluation-collapse",
    severity="critical",
    tier=3,
    each=("eval_reward_mean", "eval_*success*", "eval/*success*"),
    phase="eval",
    rows=2,
    cooldown=100,
    algorithms=POLICY | VALUE_BASED,
    causes=CAUSES,
    fixes=FIXES,
)
def evaluation_collapse(f: Frame) -> Signal | None:
    """Fires when the reward of evaluations had clearly risen and has lost most of its gain for good.

    Why it matters: This is REW012 for evaluations that write rows of their own.
    How it is computed: The rule works like REW012, over the newest 27 evaluations. It warns sooner when five
    evaluations are below the first ones, or when four of the first 20 have lost 80 % of what the four before them held.
    When it is wrong: An evaluation may have very few episodes, or the tasks may have been changed.
    Source: As for REW012.
    """
    said = [_collapse(f, ROWS, TOP, CLEAR), _plunge(f), _short(f)]
    return next((signal for signal in said if signal is not None), None)


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
