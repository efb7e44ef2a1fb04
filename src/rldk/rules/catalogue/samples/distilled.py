"""Rules on single samples: the shape of the advantages, and reward that is paid for length.

They read metrics that `engine.distil` computes from per-sample records; a log of scalars alone does not carry them.
"""

from __future__ import annotations

import math

from rldk.core.algorithms import ACTOR_CRITIC, GROUP, LLM_POLICY
from rldk.rules.departure import LATEST, RECENT, SCALES
from rldk.rules.knobs import number
from rldk.rules.rule import Context, Frame, Signal, rule

MANY, SOME = 512, 64  # advantages on a row: enough for a tail or a quartile by itself, and for a comparison
LENGTH_LIMIT = 0.35


@rule(
    "ADV007",
    "advantage-heavy-tails",
    severity="info",
    tier=2,
    data="P",
    subject="samples",
    needs=("advantage_kurtosis", "advantage_count"),
    algorithms=ACTOR_CRITIC,
    causes=(
        "single rewards have another scale: outliers of the reward model, a bonus, a penalty for a missing end token",
        "the value function is far off on a few states",
    ),
    fixes=(
        "look at the samples with the largest advantages",
        "clip rewards: {reward_clip}",
        "scale them: {reward_scale}",
    ),
)
def advantage_heavy_tails(f: Frame) -> Signal | None:
    """Fires when a few advantages are far larger than all others.

    Why it matters: The update follows those few samples, and clipping hides it.
    How it is computed: The excess kurtosis leaves its own line upwards (line test, five scales, three rows). It goes
    from below 10 to above it, and to more than three times both its recent level and that of the first ten rows, with
    at least 64 advantages a row. Or it has been above 50 from the start (median of the first ten rows, and of five
    now), with at least 512.
    When it is wrong: A reward that is hardly ever, or nearly always, the same makes heavy tails by itself. They grow as
    a task is learnt, which the line test does not count. Group-relative advantages are left out.
    Source: Our own choice. Small PPO trainings with a reward of 0 or 1 pass 10 on their way to a success rate of 0.95
    and 20 beyond it. The limit of the catalogue of advantage faults, 20 from 512 samples on (mlx-lm-lora#50), would
    therefore warn of success. None of 18 small healthy PPO trainings fired (64 to 1,024 samples a row). Not measured on
    faults: the corpus has no such fault.
    """
    name = "advantage_kurtosis"
    level, early, n = f.median(name, 5), f.early(name, 0, 10), f["advantage_count"]
    scales, now, before = f.leap(name, floor=1.0), f.min(name, LATEST), f.median(name, RECENT, before=LATEST)
    jumped = scales >= SCALES and before < 10 < now and now > 3 * max(before, early, 1.0) and n >= SOME
    if jumped or (level > 50 and early > 50 and n >= MANY):
        value = now if jumped else level
        message = f"the advantages have heavy tails: an excess kurtosis of {value:.3g}"
        return Signal(value=value, limit=10.0 if jumped else 50.0, message=message, evidence={"samples": n})
    return None


@rule(
    "ADV008",
    "advantage-distribution-shift",
    severity="info",
    tier=2,
    data="P",
    subject="samples",
    needs=("advantage_shift", "advantage_count"),
    rows=3,
    algorithms=LLM_POLICY,
    causes=(
        "the data mix or the curriculum stage changed",
        "rewards or their normalisation changed",
        "the value function lost its fit",
    ),
    fixes=("compare the reward components before and after", "check what changed in the data at this step"),
)
def advantage_distribution_shift(f: Frame) -> Signal | None:
    """Fires when the advantages of a row are distributed differently from those of the rows before.

    Why it matters: Mean and standard deviation may stay the same while the signal becomes a different one.
    How it is computed: The rule takes the Wasserstein distance of the row's advantages from the newest 2,048 of the
    rows before, in standard deviations of these. The median of three rows is above 0.25, above 4 / sqrt(n) for n
    advantages a row (about three times what chance gives), and above three times the run's own past.
    When it is wrong: The data may be changed on purpose. The reference follows, so a lasting change is one finding at
    its beginning.
    Source: 0.25 counts as a large distribution drift in reward-model practice; the factor and the allowance for chance
    are our own choice. None of 18 small healthy PPO trainings fired (64 to 1,024 samples a row). Not measured on
    faults: the corpus has no such fault.
    """
    level, usual, n = f.median("advantage_shift", 3), f.past("advantage_shift", before=3), f["advantage_count"]
    limit = max(0.25, 4 / math.sqrt(n) if n > 0 else math.inf)
    if level > limit and level > 3 * usual:
        message = f"the advantages moved {level:.2g} standard deviations away from those of the rows before"
        return Signal(value=level, limit=limit, message=message, evidence={"samples": n})
    return None


@rule(
    "ADV011",
    "advantage-skewed",
    severity="info",
    tier=2,
    data="P",
    subject="samples",
    needs=("advantage_skewness", "advantage_skewness_bowley", "advantage_count"),
    algorithms=ACTOR_CRITIC,
    causes=(
        "nearly all samples are a little worse than expected and few are much better, or the reverse",
        "the value function lags behind a reward that changed",
    ),
    fixes=("look at the reward distribution", "let the value function learn faster: {lr_value}"),
)
def advantage_skewed(f: Frame) -> Signal | None:
    """Fires when the advantages lean to one side, in their middle half and in their tails.

    Why it matters: Most samples are then pushed one way by a mean that a few others make.
    How it is computed: The median Bowley skewness of three rows is beyond 0.5 and the skewness is beyond 1 on the same
    side. In addition, either the Bowley skewness left its own line that way (line test, five scales, three rows), with
    at least 64 advantages a row, or it was beyond 0.5 from the first ten rows on, with at least 512.
    When it is wrong: A reward with two levels is skewed by how many samples get the better one. Group-relative
    advantages are left out for that reason.
    Source: A Bowley skewness above 0.5 from 512 samples on comes from the catalogue of advantage faults, which gives it
    a low prior value (trl#6350). The second witness and the line test are our own choice. One of 18 small PPO trainings
    without a planted fault fired; its entropy collapsed a hundred rows later. Not measured on faults: the corpus has no
    such fault.
    """
    name = "advantage_skewness_bowley"
    middle, tails, early = f.median(name, 3), f.median("advantage_skewness", 3), f.early(name, 0, 10)
    scales, n = f.leap(name, floor=0.05), f["advantage_count"]
    leaning = abs(middle) > 0.5 and abs(tails) > 1 and middle * tails > 0
    jumped = abs(scales) >= SCALES and scales * tails > 0 and n >= SOME
    if leaning and (jumped or (abs(early) > 0.5 and early * tails > 0 and n >= MANY)):
        side = "few large positive" if tails > 0 else "few large negative"
        message = f"the advantages are skewed by {tails:.2g}: a {side} ones stand against many small ones"
        return Signal(value=tails, limit=math.copysign(1.0, tails), message=message, evidence={"bowley": middle})
    return None


@rule(
    "ADV012",
    "advantage-of-noise",
    severity="warn",
    tier=0,
    data="P",
    subject="samples",
    needs=("advantage_bound_frac",),
    calm=lambda *_: (-math.inf, 0.1),
    rows=3,
    algorithms=GROUP,
    causes=(
        "advantages are divided by the standard deviation of a group whose rewards are nearly equal",
        "a tiny tie-breaking term (length, time) is all that differs between the rewards of a group",
    ),
    fixes=(
        "do not divide by the deviation of the group: {normalize_advantage}",
        "drop groups without signal: {dynamic_sampling}",
    ),
)
def advantage_of_noise(f: Frame) -> Signal | None:
    """Fires when groups whose rewards are equal up to rounding get the largest possible advantages.

    Why it matters: Such a group counts as much as one that tells right from wrong, but it teaches nothing.
    How it is computed: The largest |advantage| of a group of G is above 0.98 sqrt(G - 1), its bound, although the
    standard deviation of its rewards is below a thousandth of that of the batch (and not 0). This holds for more than a
    tenth of the groups, on three rows in a row.
    When it is wrong: Rewards may be meant to differ by so little.
    Source: An identity (the bound). 1e-3 and 0.98 come from reports of advantages blown up by a tiny deviation
    (mlx-lm-lora#50, `scale_rewards` of TRL). Not measured: the corpus has no log with per-sample advantages.
    """
    value = f["advantage_bound_frac"]
    if value > 0.1:
        message = f"{value:.0%} of the groups have nearly equal rewards and the largest possible advantages"
        return Signal(value=value, limit=0.1, message=message)
    return None


def _length_limit(context: Context) -> float:
    configured = number(context.config.get("length_bias_threshold"))
    return configured if configured == configured else LENGTH_LIMIT


@rule(
    "LEN001",
    "reward-paid-for-length",
    severity="warn",
    tier=3,
    data="P",
    subject="samples",
    each=("length_reward_rho", "length_reward_rho_overall"),
    calm=lambda name, context: (-_length_limit(context), _length_limit(context)),  # noqa: ARG005 - as of `Rule.calm`
    rows=3,
    algorithms=LLM_POLICY,
    causes=(
        "the reward model prefers longer answers",
        "a loss averaged per sequence goes easy on long wrong answers",
        "longer answers of the same prompt are cut off less often, or contain more of what is looked for",
    ),
    fixes=(
        "compare rewards of answers of equal length; train the reward model with length control",
        "average the loss over tokens: {loss_type}",
        "a soft penalty for overlong answers: {overlong_penalty}",
    ),
)
def reward_paid_for_length(f: Frame) -> Signal | None:
    """Fires when, among answers to the same prompt, the longer (or the shorter) ones get the better reward.

    Why it matters: Length is the cheapest thing to change, so a policy finds it before anything else.
    How it is computed: The rule takes the partial Spearman correlation of length and reward given the prompt, over the
    newest samples. The bound of its 95 % interval nearest to zero is beyond `length_bias_threshold` (0.35) on three
    rows. It is a warning once the mean length has moved that way by a tenth within 20 rows, and information before
    that. Where prompts are not known, the plain correlation is taken. Difficulty confounds it, so it is information at
    most.
    When it is wrong: In some tasks a right answer is longer. Compare answers of equal correctness.
    Source: 0.35 and the interval come from studies of length bias (Singhal et al. 2310.03716;
    allenai/reward-bench#267). In simulation, the estimator separates a masked from a confounded coupling (0.82 within
    prompts, -0.15 overall). Not measured: the corpus has no log with per-sample lengths.
    """
    name = f.metric
    rho, low, limit = f[name], f[f"{name}_low"], number(f.config("length_bias_threshold"))
    gain, usual = f.gain("response_length_mean", 20), f.median("response_length_mean", 20)
    limit = limit if limit == limit else LENGTH_LIMIT
    if not low > limit:
        return None
    within = name == "length_reward_rho"
    follows = math.copysign(1.0, rho) * gain > 0.1 * usual
    better = "longer" if rho > 0 else "shorter"
    scope = "among answers to one prompt, the" if within else "the"
    trend = f", and the answers become {better}" if follows else ""
    return Signal(
        value=rho,
        limit=math.copysign(limit, rho),
        message=f"{scope} {better} ones get the better reward (rank correlation {rho:.2g}){trend}",
        severity=None if within and follows else "info",
        evidence={"bound": low, "prompts_known": within},
    )
