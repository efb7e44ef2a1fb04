"""Rules on the entropy of the policy: collapse, explosion, never sharpening, impossible values."""

from __future__ import annotations

import math

from rldk.core.algorithms import LLM_POLICY, POLICY, POLICY_GRADIENT, PREFERENCE, SUPERVISED
from rldk.rules.departure import departure
from rldk.rules.evidence import (
    CLASSIC,
    CONTROL,
    GAUSSIAN,
    LANGUAGE,
    about_episodes,
    has_bounded_entropy,
    has_kept_gain,
    is_below_best,
    lost_share,
    reward_rises,
    starting_entropy,
)
from rldk.rules.knobs import number
from rldk.rules.rule import Context, Frame, Signal, rule

LARGEST_VOCABULARY = 1_200_000  # tokens; no tokenizer in use comes near
LONG_ROWS = 100
MILESTONES = (10, 25, 50, 100, 200, 400, 800, 1600, 3200)  # rows at which levels are remembered
UNMOVED_ROWS = 60
UNIFORM, ROUNDED = 0.998, 1e-4  # of the largest entropy possible; of a number of actions


@rule(
    "ENT001",
    "entropy-collapse",
    severity="critical",
    tier=3,
    needs=("entropy",),
    rows=3,
    algorithms=POLICY_GRADIENT | PREFERENCE,
    causes=(
        "the learning rate is too high",
        "the entropy coefficient has the wrong sign, or the reward pays for determinism",
        "one completion is rewarded whatever the prompt",
        "there are too many passes over each batch",
    ),
    fixes=(
        "lower {lr}",
        "raise {entropy_coef}, or raise {clip_high} above the lower clip range",
        "raise {kl_coef}",
        "roll back to a checkpoint before the first step named here",
    ),
)
def entropy_collapse(f: Frame) -> Signal | None:
    """Fires when entropy has fallen below 30 % of its start while the reward gained nothing by it, or fell.

    Why it matters: A policy that always says the same no longer explores. What it has not learnt by then it will not
    learn.
    How it is computed: The median of three rows is below 30 % of the start, which is the larger of the first value and
    of the median of rows 5 to 25. If half of the reward gained is lost, the finding is critical; it is a warning in a
    run of more than 200 rows whose entropy was as low at row 100, because then it is not what moved. It is also a
    warning if the reward of the last 20 rows has not risen and stands below its best by more than a tenth of its range.
    For agents in environments, whose batches may hold only a few steps, the median of 20 rows must then be as low, the
    entropy must not have been low for long, and the return must have lost half of what was gained. For preference
    training the second witness is the log-probability of the chosen answers: below twice its first value, it gives a
    warning.
    When it is wrong: A policy without entropy may solve an easy task. Its reward is then at its best and the rule is
    quiet. Entropy that falls while the reward rises is healthy, and so is entropy that has long been low in a task that
    needs none. The rule is therefore quiet while the reward is above where it stood when the entropy was first seen so
    low (at row 10, 25, 50, 100 ...), by a quarter of its gain and twice its noise. The entropy of continuous actions
    has no floor and is not judged.
    Source: 30 % of rows 5 to 25 was measured on faultbench (it fires on none of the healthy runs). The joint form
    follows verl docs/algo/entropy.md and verl#5953. An absolute limit ("below 1") fired on 20 of 20 simulated healthy
    runs.
    """
    now, start, lost = f.median("entropy", 3), starting_entropy(f), lost_share(f)
    gain, low, learnt = f.gain("reward_mean", 20), is_below_best(f), _learnt_without(f, 0.3 * start)
    chosen, chosen_first, bounded = f.median("logp_chosen", 3), f.first("logp_chosen"), has_bounded_entropy(f)
    rows, once = f.count("entropy"), f.milestone("entropy", LONG_ROWS)
    usual, agent, earned = f.median("entropy", 20), about_episodes(f), has_kept_gain(f)
    long_low = rows > 2 * LONG_ROWS and once < 0.3 * start
    if not (bounded and now < 0.3 * start) or learnt:
        return None
    fell = f"entropy fell from {start:.3g} to {now:.3g}"
    if lost > 0.5:
        message = f"{fell} and {min(lost, 1.0):.0%} of the reward gained is lost"
        return Signal(value=now, limit=0.3 * start, message=message, severity="warn" if long_low else None)
    if gain <= 0 and low and not (agent and (usual >= 0.3 * start or long_low or earned)):
        message = f"{fell} while the reward stayed below its best"
        return Signal(value=now, limit=0.3 * start, message=message, severity="warn")
    if chosen < 2 * chosen_first < 0:
        message = f"{fell} and the chosen answers became less likely (from {chosen_first:.4g} to {chosen:.4g})"
        return Signal(value=now, limit=0.3 * start, message=message, severity="warn")
    return None


def _learnt_without(f: Frame, low: float) -> bool:
    """Whether the reward is well above its level at the first milestone at which the entropy was below `low`."""
    now, noise = f.median("reward_mean", 20), f.noise("reward_mean", 20)
    best, start = f.peak("reward_mean", 0.1), f.early("reward_mean", 0, 10)
    stages = [(f.milestone("entropy", row), f.milestone("reward_mean", row)) for row in MILESTONES]
    for entropy, reward in stages:
        if entropy < low:
            return now > reward + max(2 * noise, 0.25 * (best - start))
    return False


@rule(
    "ENT002",
    "entropy-explosion",
    severity="warn",
    tier=3,
    needs=("entropy", "reward_mean"),
    rows=3,
    algorithms=POLICY_GRADIENT,
    causes=(
        "the entropy bonus is larger than the signal of the task",
        "rollout engine and trainer disagree on log-probabilities",
        "most responses are truncated, so that the reward is noise",
    ),
    fixes=("lower {entropy_coef}, or set it to 0", "turn on {is_correction}", "lower {lr}"),
)
def entropy_explosion(f: Frame) -> Signal | None:
    """Fires when entropy is half as high again as its settled level and reward is lost with it.

    Why it matters: The policy falls apart into noise: its text is garbled and its length grows.
    How it is computed: The median of five rows is above 1 nat, above 1.5 times the start and above 1.5 times the past
    median of the run, and half of the reward gained is lost. The rule also fires on a slow rise: entropy has doubled
    since the start, the truncated share has grown by 0.3 with it, and the reward has not risen over 40 rows.
    When it is wrong: The sampling temperature may have been raised on purpose.
    Source: Rising entropy is acceptable below 1 (rllm#116); verl PR#781, verl#2738; 1.5 times is our own choice.
    """
    now, start, past, lost = f.median("entropy", 5), starting_entropy(f), f.past("entropy", least=20), lost_share(f)
    bounded, gain = has_bounded_entropy(f), f.gain("reward_mean", 40)
    cut, cut_first = f.median("truncation_frac", 5), f.early("truncation_frac", 0, 10)
    if bounded and now > max(1.0, 1.5 * start) and now > 1.5 * past and lost > 0.5:
        message = f"entropy rose from {past:.3g} to {now:.3g} and {min(lost, 1.0):.0%} of the reward gained is lost"
        return Signal(value=now, limit=1.5 * past, message=message)
    if bounded and now > 2 * start and cut > cut_first + 0.3 and gain <= 0:
        message = f"entropy has grown from {start:.3g} to {now:.3g}, and truncation with it to {cut:.0%}"
        return Signal(value=now, limit=2 * start, message=message)
    return None


@rule(
    "ENT012",
    "entropy-at-its-ceiling",
    severity="warn",
    tier=3,
    needs=("entropy", "reward_mean"),
    rows=5,
    algorithms=LLM_POLICY,
    causes=(
        "the entropy bonus outweighs the signal of the task",
        "updates have the wrong sign: what is rewarded becomes less likely",
    ),
    fixes=("lower {entropy_coef}, or set it to 0", "check the sign of advantages and of the entropy term"),
)
def entropy_at_its_ceiling(f: Frame) -> Signal | None:
    """Fires when the entropy has risen to a level that it never leaves, and the reward has not risen with it.

    Why it matters: A policy that chooses all tokens alike has forgotten its language, and nothing can be learnt from
    it.
    How it is computed: This is ENT003 for runs whose largest possible entropy is not known. Over twenty rows the
    entropy has stayed within 0.03 % of its largest value so far, which is above the first value, and the median reward
    of ten rows is not above that of the first ten by its noise.
    When it is wrong: A toy vocabulary may begin with a uniform policy and have a hard task.
    Source: Measured on small trainings: entropies of healthy policies move by more than 0.04 % in twenty rows, those at
    ln V by 0.007 to 0.03 %.
    """
    high, low, top, first = f.max("entropy", 20), f.min("entropy", 20), f.highest("entropy"), f.first("entropy")
    now, start, noise = f.median("reward_mean", 10), f.early("reward_mean", 0, 10), f.noise("reward_mean", 20)
    if low > 0.9997 * max(high, top) and low > first > 0 and now <= start + noise:
        message = f"the entropy rose to {high:.4g} and has stood there for 20 rows, and the reward has not risen"
        return Signal(value=low, limit=high, message=message)
    return None


@rule(
    "ENT006",
    "entropy-heads-for-its-floor",
    severity="info",
    tier=2,
    needs=("entropy", "reward_mean"),
    rows=5,
    algorithms=POLICY_GRADIENT,
    causes=(
        "nothing in the loss holds entropy up",
        "there are too many passes over each batch, or the learning rate is too high",
    ),
    fixes=(
        "raise {clip_high} above the lower clip range, or {entropy_coef}",
        "end earlier: what will be learnt has been learnt by then",
    ),
)
def entropy_heads_for_its_floor(f: Frame) -> Signal | None:
    """Fires when entropy falls so fast that it will be below 30 % of its start before the run ends, for no gain.

    Why it matters: The rest of the budget would be spent on a policy that no longer explores.
    How it is computed: The rule extrapolates the logarithm of entropy (medians of 20 rows, 40 rows apart) over the rest
    of the declared steps, and the line crosses 30 % of the start. Entropy is already below 90 % of its start and fell
    by more than 5 % over those rows, a tenth of the run is over, and the reward has not risen over 40 rows. The rule
    needs the declared number of steps.
    When it is wrong: Entropy usually falls fast at first and slowly later. This rule only gives information.
    Source: A log-linear projection inside the remaining budget follows verl docs/algo/entropy.md; the floor is that of
    ENT001; 90 %, 5 % and a tenth are our own choice. Not measured: the corpus has no such fault.
    """
    now, before = f.median("entropy", 20), f.median("entropy", 20, before=40)
    if now >= 0.95 * before:  # nearly always so; never while there are too few rows
        return None
    start, gain, progress, count = starting_entropy(f), f.gain("reward_mean", 60), f.progress(), f.count("entropy")
    floor = 0.3 * start
    if not (has_bounded_entropy(f) and 0 < now < 0.95 * before and now < 0.9 * start and progress > 0.1 and gain <= 0):
        return None
    left = count * (1 - progress) / progress
    end = now * (now / before) ** (left / 40)
    if now > floor > end:
        rows = 40 * math.log(now / floor) / math.log(before / now)
        message = (
            f"entropy fell from {before:.3g} to {now:.3g} in 40 rows; {floor:.3g} is {rows:.0f} rows away at this rate"
        )
        return Signal(value=now, limit=floor, message=message)
    return None


def _not_classic(context: Context) -> str | None:
    if context.framework not in CLASSIC:
        return "defined for a few discrete actions (Stable-Baselines3, RLlib, CleanRL)"
    return None


@rule(
    "ENT003",
    "policy-stays-uniform",
    severity="warn",
    tier=3,
    needs=("entropy",),
    also=("reward_mean",),
    rows=3,
    algorithms=frozenset({"ppo", "a2c"}),
    unless=_not_classic,
    causes=(
        "the entropy coefficient is too high",
        "advantages are close to 0, or rewards are not scaled",
        "the learning rate is too low",
    ),
    fixes=("lower {entropy_coef}", "turn on {reward_scale}", "raise {lr}"),
)
def stays_uniform(f: Frame) -> Signal | None:
    """Fires when the policy has been nearly uniform on every row so far and earns no more than at the start.

    Why it matters: Nothing is being learnt, and waiting longer does not help.
    How it is computed: The rule recognises discrete actions by a first entropy of 99.8 % of log n or more, for a whole
    n. In at least 60 rows entropy has never been below 99.8 % of log n, and the median return of 10 rows is not above
    that of the first 10 by twice its noise.
    When it is wrong: Sparse rewards that have not been found yet look the same, and need a change just as much.
    Source: sb3#2240 (entropy stuck at 96 % of its maximum). That limit warned on 2 of 56 healthy small trainings and
    named no fault, hence 99.8 %: none of 32 healthy ones with discrete actions stayed so near for 40 rows. A public
    self-play training with a sparse reward did for 54, hence 60.
    """
    least, first, count = f.lowest("entropy", before=0), f.first("entropy"), f.count("entropy")
    now, start, noise = f.median("reward_mean", 10), f.early("reward_mean", 0, 10), f.noise("reward_mean", 20)
    level = f.last("reward_mean") - start  # NaN where there is no reward at all
    if count < UNMOVED_ROWS or level != level or not least > 0.99 * first or not now <= start + 2 * noise:
        return None
    if not _counts_actions(first):
        return None
    limit = UNIFORM * math.log(math.ceil(math.exp(first) * (1 - ROUNDED)))
    if least > limit:
        message = f"entropy has been {least:.4g} or more on all {count:.0f} rows, as for a uniform choice"
        return Signal(value=f["entropy"], limit=limit, message=message + ", and the return has not risen")
    return None


def _counts_actions(entropy: float) -> bool:
    """Whether the entropy is that of a uniform choice among 2 to 50 actions, and not that of unit Gaussians."""
    if not 0.6 < entropy < 4.0:
        return False
    actions, dimensions = math.ceil(math.exp(entropy) * (1 - ROUNDED)), entropy / GAUSSIAN
    uniform = entropy > UNIFORM * math.log(actions)
    return uniform and abs(dimensions - round(dimensions)) > 0.01


def _maybe_continuous(context: Context) -> str | None:
    agent = context.algorithm is None and any(n in context.names for n in CONTROL)
    maybe = agent or context.algorithm in POLICY - {"grpo", "rloo", "reinforce"}
    if maybe and not any(n in context.names for n in LANGUAGE):
        return "actions may be continuous, and their entropy has no bounds"
    return None


@rule(
    "ENT007",
    "entropy-out-of-bounds",
    severity="critical",
    tier=0,
    needs=("entropy",),
    algorithms=POLICY | PREFERENCE | SUPERVISED,
    unless=_maybe_continuous,
    causes=(
        "log-probabilities are not normalised",
        "entropy is taken over masked or padded positions",
        "the metric has its sign turned",
    ),
    fixes=("compute entropy as -sum(p log p) of a log-softmax, over response tokens only",),
)
def entropy_out_of_bounds(f: Frame) -> Signal | None:
    """Fires when the entropy of a choice among tokens is negative or larger than the vocabulary allows.

    Why it matters: No distribution has such an entropy, so whatever uses it (bonus, controller, clipping) is wrong.
    How it is computed: The entropy is below 0 by more than 1e-6, or above the logarithm of the vocabulary size by 1 %.
    Without a size in the configuration, 1.2 million is taken. An entropy that was never positive is taken for a turned
    sign, which is information.
    When it is wrong: An entropy estimated from weighted samples may leave the bounds by its noise. Continuous actions
    have no such bounds, so the rule needs a language model.
    Source: 0 <= H <= log V; the largest published vocabularies have about 260 thousand tokens.
    """
    value, top = f["entropy"], f.highest("entropy", before=0)
    size = number(f.config("vocab_size"))
    limit = math.log(size if size > 1 else LARGEST_VOCABULARY)
    if value < -1e-6:
        if top <= 0:
            message = "entropy has only been negative: it is logged with its sign turned"
            return Signal(value=value, limit=0.0, message=message, severity="info")
        return Signal(value=value, limit=0.0, message=f"the entropy is negative ({value:.3g})")
    if value > 1.01 * limit:
        return Signal(
            value=value, limit=limit, message=f"the entropy is {value:.4g} nats; at most {limit:.4g} are possible"
        )
    return None


@rule(
    "ENT008",
    "entropy-leaves-its-course",
    severity="warn",
    tier=2,
    needs=("entropy", "reward_mean"),
    algorithms=POLICY_GRADIENT,
    causes=(
        "the entropy coefficient has the wrong sign or size",
        "the learning rate is too high, or was raised",
        "rollouts are not sampled as the trainer assumes (temperature, top-p, another template)",
    ),
    fixes=("check {entropy_coef} and its sign", "lower {lr}", "compare {temperature} of rollout engine and trainer"),
)
def entropy_leaves_its_course(f: Frame) -> Signal | None:
    """Fires when the entropy leaves its own line by a quarter within three rows and the reward does not rise.

    Why it matters: A policy changes its randomness step by step. A jump means that something else is sampled or
    optimised.
    How it is computed: The line test finds the entropy off its line (five scales, three rows) with a change of 25 %,
    and the reward of the newest three rows is not above that of the eight before by its noise. Where the entropy of an
    agent in an environment falls, the newest five rewards must also not have risen above the oldest five of twenty. The
    finding is only information for an agent that has kept most of what it had gained. The rule is quiet below a fifth
    of the entropy that the run began with, because a nearly deterministic policy moves by
    such shares for little.
    When it is wrong: The policy may be in a phase of learning that the reward does not show. Entropy of continuous
    actions has no zero and is not judged.
    Source: 25 % is the smallest change that healthy runs do not make (they move by 15 to 20 % in three rows at more
    than five scales); docs/detectors.md.
    """
    moved, learning, bounded, start = (
        departure(f, "entropy"),
        reward_rises(f),
        has_bounded_entropy(f),
        starting_entropy(f),
    )
    gain, noise, agent = f.gain("reward_mean", 20), f.noise("reward_mean", 20), about_episodes(f)
    kept = agent and has_kept_gain(f)
    if moved is None or not bounded or moved.level < 0.2 * start:
        return None
    learning = learning or (agent and not moved.up and gain > noise)
    if learning and not moved.reference:
        return None
    message = f"the entropy {moved.how}" + ("" if moved.reference else ", and the reward did not rise")
    return Signal(
        value=moved.now,
        limit=moved.level,
        message=message,
        severity="info" if kept and not moved.reference else None,
        evidence={"scales": moved.scales},
    )
