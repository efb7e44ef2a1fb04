"""Rules on the reward: broken, missing, hacked, out of scale, no longer rising."""

from __future__ import annotations

import math

from rldk.core.algorithms import ACTOR_CRITIC, POLICY
from rldk.rules.evidence import CLASSIC, about_episodes, about_language, is_below_best, repeats_each
from rldk.rules.rule import Context, Frame, Signal, is_finite, rule

# parts of the names of reward components that are the task itself
TASK_WORDS = ("accura", "correct", "answer", "solution", "solve", "exact", "pass", "verif", "math", "code", "task")


UNENDED_ROWS = 50  # an episode that lasts longer than that is as bad
DIGITS, REPEATED = 4, 100  # decimals of a reward that is set by hand; rows of one episode
CHANCE = 1e-3  # expected runs of equal rewards so long, in a run as long, that coarse values make by themselves


def _running_mean(context: Context) -> str | None:
    if context.framework in CLASSIC:
        return "the return is a mean over finished episodes and repeats until the next one ends"
    return None


def _is_short(value: float) -> bool:
    """Whether a reward has so few decimals that somebody may have set it."""
    return round(value, DIGITS) == value


@rule(
    "REW001",
    "constant-reward",
    severity="critical",
    tier=0,
    needs=("reward_mean",),
    algorithms=POLICY,
    unless=_running_mean,
    causes=(
        "the verifier or parser matches no completion and returns a default value",
        "the reward function failed and its exception became a constant",
        "all completions of a prompt became identical",
        "the reward is clipped or saturated at a bound",
    ),
    fixes=(
        "run {reward_fn} on three known-right and three known-wrong answers",
        "print ten completions of the last batch beside their rewards",
        "check {reward_clip} and {reward_scale}",
        "roll back to the last checkpoint before the first step named here",
    ),
)
def constant_reward(f: Frame) -> Signal | None:
    """Fires when the reward is bitwise the same row after row although it is below its best, or has never moved.

    Why it matters: Equal rewards carry no learning signal. What still moves the policy is the KL term and noise.
    How it is computed: The rule fires on eight equal rows after at least ten others. These must be three times as many
    as the run ever had in a row before, and more than a tenth of the reward's range below its best. Three rows are
    enough with a reward std of exactly 0 on each of them; none may have one above 0. A coarse reward repeats itself by
    chance (a mean of 8 rewards of 0 or 1 moves in eighths): judged by the share of earlier rows that equal the one
    before, such a repetition must be one in a thousand. Without ten other rows, or when the reward never moved at all,
    ten equal rows are needed, and a hundred of a reward with more than four decimals and no std: a log with a row for
    each step of an environment repeats the return of the last episode so often. A reward that was always the same
    positive whole number is a warning, as the task may simply be solved. A best reward that was reached in one step,
    twice as large as any step before, and has not varied since is a warning, too: it is rather a bound or a broken
    verifier than a task that was learnt. So many decimals take a hundred rows here, too.
    When it is wrong: A sparse reward that is found late looks broken until then. The rule is quiet about a task that is
    solved at its best reward. Returns of environments are running means over episodes, so the rule is not defined for
    them.
    Source: Batches of variance 0 are the published identity, with five of them (trl#6966, trl#4202, open-r1#255). Eight
    where no variance is logged, because means of 64 rewards that are mostly 0 agree five times in a row by chance
    (seen). Ten where the run has no past of its own, three times the longest earlier repetition, and a tenth of the
    range are our own choice; no false alarm on 44 healthy runs of faultbench.
    """
    value, same, longest = f["reward_mean"], f.repeats("reward_mean"), f.longest_run("reward_mean")
    count, low = f.count("reward_mean"), is_below_best(f)
    left, stride = f.departed("reward_mean"), f.largest_step("reward_mean", before=5)
    flat, often = f.repeats("reward_std"), f.recurrence("reward_mean")
    no_spread = f["reward_std"] == 0.0 and flat >= same  # on all of these rows
    if about_episodes(f):
        return None
    if same == count and same >= 10 and (no_spread or same >= REPEATED or _is_short(value)):
        solved = value > 0 and value == int(value)
        message = f"the reward has been exactly {value:.6g} since the first row ({same:.0f} rows)"
        return Signal(value=value, message=message, severity="warn" if solved else "critical")
    varies = f["reward_std"] > 0.0  # batches that differ within may have equal means by chance
    usual = 3 if no_spread else 8
    held = repeats_each(f, "reward_mean")
    leapt = abs(value - left) > 2 * stride and not held
    rises = not low and not varies and leapt and same >= (3 if no_spread else 5) and count - same >= 10
    if rises and (no_spread or same >= REPEATED or _is_short(value)):
        message = f"the reward went from {left:.4g} to {value:.4g} in one step and has not varied for {same:.0f} rows"
        return Signal(value=value, limit=left, message=message, severity="warn")
    if low and not varies and same >= max(usual if count - same >= 10 else 10, 3 * longest):
        if not no_spread and count * often ** (same - 1) > CHANCE:
            return None
        best = f.highest("reward_mean", before=0)
        message = f"the reward has been exactly {value:.6g} for {same:.0f} rows; its best was {best:.4g}"
        return Signal(value=value, limit=best, message=message)
    return None


@rule(
    "REW002",
    "train-eval-divergence",
    severity="critical",
    tier=3,
    needs=("eval_reward_mean", "train_reward_mean"),
    phase="eval",
    rows=2,
    algorithms=POLICY,
    causes=(
        "the policy exploits a weakness of the reward model or verifier",
        "the policy has over-fitted the training prompts",
        "evaluation uses another template, temperature or length limit than training",
    ),
    fixes=(
        "read the twenty training completions with the highest reward",
        "stop at, or roll back to, the best evaluation",
        "raise {kl_coef}",
        "add a second verifier to {reward_fn}",
    ),
)
def train_eval_divergence(f: Frame) -> Signal | None:
    """Fires when the training reward still rises while the evaluation reward has lost half of what it had gained.

    Why it matters: The policy is being paid for something that is not the task (over-optimisation, leakage).
    How it is computed: The rule looks at evaluation rows, from the sixth on. The median of the last three evaluations
    lies below the best earlier one by half of the gain since the first, by a fifth of that best and by three times the
    noise of the evaluations. The training reward (a running mean over about ten rows) is higher than three and five
    evaluations before. It is only information in environments, where an evaluation is a few episodes of a policy
    without its noise.
    When it is wrong: The evaluation set may be tiny, or may have been changed during the run.
    Source: Training up and held-out down over at least six evaluations (open-r1#373, trl#6350; over-optimisation curves
    are known from the literature); the sizes of the fall are our own choice.
    """
    best, now = f.highest("eval_reward_mean", before=3), f.median("eval_reward_mean", 3)
    start, noise = f.first("eval_reward_mean"), f.noise("eval_reward_mean", 6)
    train, before, earlier = (
        f["train_reward_mean"],
        f.previous("train_reward_mean", 3),
        f.previous("train_reward_mean", 5),
    )
    fell, episodes = best - now > max(0.5 * (best - start), 0.2 * abs(best), 3 * noise), about_episodes(f)
    if fell and train > before and train > earlier:
        message = (
            f"the evaluation reward fell from {best:.4g} to {now:.4g} while the training reward rose to {train:.4g}"
        )
        return Signal(value=now, limit=best, message=message, severity="info" if episodes else None)
    return None


@rule(
    "REW003",
    "auxiliary-reward-takes-over",
    severity="warn",
    tier=3,
    needs=("reward_mean",),
    each=("reward_fn/*/mean",),
    rows=5,
    algorithms=POLICY,
    causes=(
        "an easier component (format, length, style) pays more than the task",
        "the weights of the components are out of proportion",
    ),
    fixes=(
        "lower the weight of the rising component in {reward_weights}",
        "pay the auxiliary reward only for right answers",
    ),
)
def auxiliary_takes_over(f: Frame) -> Signal | None:
    """Fires when the reward component that is the task falls for good while the total reward is at its best.

    Why it matters: The total looks healthy, but the model is learning the format and forgetting the task.
    How it is computed: The rule takes components whose name says that they are the task (accuracy, correct, answer,
    solve, exact, pass, verifier, math, code, task). The running mean of the component is below its best by a quarter of
    its range and by five times its row-to-row noise, while the running mean of the total is within a twentieth of its
    range of its own best.
    When it is wrong: A component may have a misleading name, or a curriculum may just have become harder.
    Source: Opposite trends with a fall of more than a tenth of the range (open-r1#255, open-r1#373; shares of variance
    alone gave false alarms, jsboige/CoursIA#9583); a quarter and five times the noise are our own choice.
    """
    name = f.metric
    part, part_best = f.ewma(name, 0.1), f.peak(name, 0.1)
    part_range = f.highest(name, before=0) - f.lowest(name, before=0)
    noise = f.noise(name, 20)
    total, total_best = f.ewma("reward_mean", 0.1), f.peak("reward_mean", 0.1)
    total_range = f.highest("reward_mean", before=0) - f.lowest("reward_mean", before=0)
    fell = part_best - part > max(0.25 * part_range, 5 * noise)
    what = name.split("/")[1]
    task = any(word in what.lower() for word in TASK_WORDS)
    if task and fell and total > total_best - 0.05 * total_range:
        message = f"the reward component {what} fell from {part_best:.4g} to {part:.4g} while the total is at its best"
        return Signal(value=part, limit=part_best, message=message)
    return None


@rule(
    "REW004",
    "dead-reward-component",
    severity="info",
    tier=0,
    each=("reward_fn/*/std",),
    algorithms=POLICY,
    causes=("the component is solved by every completion", "the component matches no completion"),
    fixes=("drop the component or make it harder, or check its parser",),
)
def dead_component(f: Frame) -> Signal | None:
    """Fires when one reward component has had a spread of exactly 0 for 20 rows.

    Why it matters: It no longer tells completions apart. Whether it is solved or dead, it only shifts the total.
    How it is computed: The standard deviation of the component is bitwise 0 on 20 rows in a row.
    When it is wrong: The statement is never wrong; whether it matters depends on the component.
    Source: An exact zero (seen in trl#3857); 20 rows are our own choice.
    """
    same, name = f.repeats(f.metric), f.metric.split("/")[1]
    if f[f.metric] == 0.0 and same >= 20:
        level = f[f.metric.removesuffix("/std") + "/mean"]
        worth = f", always {level:.4g}" if level == level else ""
        return Signal(value=0.0, message=f"the reward component {name} has not varied for {same:.0f} rows{worth}")
    return None


@rule(
    "REW007",
    "return-scale-too-large",
    severity="warn",
    tier=1,
    needs=("value_loss", "value_explained_variance"),
    rows=20,
    algorithms=ACTOR_CRITIC,
    causes=("rewards are not scaled to the order of 1", "the reward scale changed in mid-run"),
    fixes=("turn on {reward_scale} (rescale, do not shift)", "lower {value_coef} or {lr_value}"),
)
def return_scale(f: Frame) -> Signal | None:
    """Fires when the value loss stays above 1000 while the critic explains less than a tenth of the returns.

    Why it matters: The value gradient drowns that of a shared trunk, and advantages are noise.
    How it is computed: Both conditions hold on 20 rows in a row.
    When it is wrong: An environment may have returns in the thousands while its critic is still at its start.
    Source: sb3#2240 (unscaled rewards, explained variance about 0). 1000, 0.1 and 20 updates are published there and in
    studies of reward scaling known from the literature.
    """
    loss, explained = f["value_loss"], f["value_explained_variance"]
    if loss > 1e3 and explained < 0.1:
        message = f"the value loss has stayed above 1000 (now {loss:.4g}) with an explained variance of {explained:.2g}"
        return Signal(value=loss, limit=1e3, message=message)
    return None


@rule(
    "REW009",
    "reward-plateau",
    severity="info",
    tier=3,
    needs=("reward_mean",),
    rows=20,
    algorithms=POLICY,
    causes=("the task is as good as solved", "exploration has ended", "the learning rate has decayed"),
    fixes=("stop here, or continue from this checkpoint with harder tasks, or raise {temperature}",),
)
def plateau(f: Frame) -> Signal | None:
    """Fires when a reward that used to rise has not risen for 200 rows, whatever else moves.

    Why it matters: Costs go on without a gain.
    How it is computed: The median of the newest quarter of 200 rows is not above that of the oldest by half the
    row-to-row noise, although the run had gained three times the noise before. The rule does not look at the first
    tenth of a run of known length.
    When it is wrong: Slow gains in pass@k or length may not show in the mean reward. This rule only gives information.
    Source: 200 steps and a tenth of the budget are common practice; the sizes are our own choice.
    """
    gain, noise = f.gain("reward_mean", 200), f.noise("reward_mean", 200)
    start, best = f.early("reward_mean", 0, 10), f.peak("reward_mean", 0.1)
    learnt = best - start > 3 * noise
    if gain <= 0.5 * noise and learnt and not f.progress() < 0.1:
        return Signal(value=f["reward_mean"], limit=best, message="the reward has not risen for 200 rows")
    return None


@rule(
    "REW010",
    "reward-not-finite",
    severity="critical",
    tier=0,
    each=("reward_mean",),
    absent=True,
    algorithms=POLICY,
    causes=(
        "the reward function returned NaN or None for a completion, and the mean of the batch took it over",
        "an empty or truncated completion divides by zero in the reward",
        "the reward model overflowed in half precision",
    ),
    fixes=(
        "make {reward_fn} return a number for every completion, also for empty and truncated ones",
        "drop or mask completions without a reward before the mean is taken",
        "check {dtype} of the reward model",
    ),
)
def reward_not_finite(f: Frame) -> Signal | None:
    """Fires when the reward is NaN or infinite, or when a reward that was on every row is no longer there.

    Why it matters: One NaN poisons the advantages of its whole group or batch, and with them the weights.
    How it is computed: A NaN or infinity that the source states fires at once. Five rows without a value give a warning
    when the reward had been on each of at least ten rows before (several formats write NaN as null). This is the form
    for logged means; it cannot see a NaN that the trainer leaves out of the mean. In environments, a NaN is the mean of
    a row on which no episode ended. Where nothing says that the rows are about language, a NaN before the first number
    is read in the same way. Such a NaN is a missing value until there have been fifty in a row.
    When it is wrong: A log may go on after training with rows of another kind.
    Source: An identity (trl PR#5775, trl#1447, verl PR#6361); ten and five rows are our own choice.
    """
    value, count, gap, share = f["reward_mean"], f.count("reward_mean"), f.gap("reward_mean"), f.coverage("reward_mean")
    unended = about_episodes(f) or not (count > 0 or about_language(f))
    if unended and value != value and f.broken("reward_mean") < UNENDED_ROWS:
        return None
    if f.stated("reward_mean") and not is_finite(value):
        after = f" after {count:.0f} finite rows" if count else ""
        return Signal(value=value, message=f"the reward is {value}{after}")
    if gap >= 5 and count >= 10 and abs(count / share - count - gap) < 0.5:
        message = f"the reward was on all of the first {count:.0f} rows and has been missing for {gap:.0f}"
        return Signal(value=math.nan, message=message, severity="warn")
    return None
