"""OFF: what the gap between rollout engine and trainer does over a whole run, and over a whole response."""

from __future__ import annotations

import math

from rldk.core.algorithms import LLM_POLICY
from rldk.rules.catalogue.offpolicy import MENDS, MISMATCH
from rldk.rules.departure import departure
from rldk.rules.rule import Frame, Signal, rule

# metric -> the level from which on a gap matters, in its own unit
FLOOR = {"rollout_logprob_diff_mean": 0.015, "rollout_prob_diff_mean": 0.005, "rollout_kl": 0.01}
GROWN, FAR_GROWN = 1.8, 2.5
TINY = 0.01  # nats a token: bf16 on both sides
BIASED = 0.2
ROLLOUT_GAPS = ("rollout_logprob_diff_mean", "rollout_prob_diff_mean", "rollout_kl")
ROWS = 20
LEAST_SHARE = 0.03  # of the entropy
Z = 5.0
SLOPE, ALIGNED = 0.05, 0.9
SURPRISED = 6.0


@rule(
    "OFF016",
    "rollout-gap-drifts",
    severity="warn",
    tier=2,
    each=tuple(FLOOR),
    rows=3,
    cooldown=100,
    algorithms=LLM_POLICY,
    causes=(
        "engine and trainer compute in other kernels or precision, and the difference grows with what is learnt",
        *MISMATCH[1:],
    ),
    fixes=MENDS,
)
def rollout_gap_drifts(f: Frame) -> Signal | None:
    """Fires when the gap between rollout engine and trainer has grown row by row, without any jump.

    Why it matters: OFF002 follows a slow growth by design, but in the end the gap is as wrong as one that came at once.
    How it is computed: Over ten medians of three rows, the gap grows along a trend (Mann-Kendall). The median of five
    rows is 1.8 times that of the first five and above 0.015 nats a token (0.005 of probability, 0.01 of KL). This is
    information, and a warning from 2.5 times on.
    When it is wrong: Responses that become longer and rarer widen the gap in a healthy way, but by less.
    Source: vllm-project/vime#64 (0.011 to 0.036 within 30 rollouts, 0.011 throughout with another engine); the factors
    are our own choice.
    """
    name = f.metric
    trend, now, start = f.drift(name, 3, 10, log=True), f.median(name, 5), f.early(name, 0, 5)
    if trend > 0 and start > 0 and now > FLOOR[name] and now > GROWN * start:
        message = f"{name} has grown from {start:.3g} to {now:.3g}, little by little"
        return Signal(
            value=now, limit=GROWN * start, message=message, severity="warn" if now > FAR_GROWN * start else "info"
        )
    return None


@rule(
    "OFF017",
    "sequence-weights-far-from-one",
    severity="warn",
    tier=1,
    needs=("rollout_is_ratio_mean", "rollout_logprob_diff_mean"),
    rows=3,
    algorithms=LLM_POLICY,
    causes=(
        "the weight is the product over all tokens of a response: a tiny gap on each adds up over a long one",
        "weights are cut at their cap from above and not from below, which pulls their mean down",
    ),
    fixes=(
        "correct on tokens, or by the geometric mean: {is_correction}",
        "use one numeric precision on both sides: {dtype}",
    ),
)
def sequence_weights_far_from_one(f: Frame) -> Signal | None:
    """Fires when importance weights are far from 1 on average although the gap per token is close to 0.

    Why it matters: Every gradient is scaled by a weight that measures the length of the response, not the policy.
    How it is computed: The median weight of five rows is off 1 by more than 0.2 while the median gap per token is below
    0.01 nats. Token weights would then be within 0.01 of 1.
    When it is wrong: Weights may be masked in part and averaged over all tokens.
    Source: Arithmetic (trl#5814: 0.57 at a gap of 0.0006 and 900 tokens, 0.993 on tokens; trl#4772); 0.2 is our own
    choice.
    """
    weight, gap = f.median("rollout_is_ratio_mean", 5), f.median("rollout_logprob_diff_mean", 5)
    high, same = f["rollout_is_ratio_max"], f.repeats("rollout_is_ratio_max")
    if abs(weight - 1) > BIASED and abs(gap) < TINY:
        capped = f"; the largest is at its cap of {high:.3g}" if same >= 5 and high > 1 else ""
        message = f"the mean importance weight is {weight:.3g} although tokens differ by {gap:.2g} nats{capped}"
        return Signal(value=weight, limit=1.0, message=message)
    return None


@rule(
    "OFF002",
    "rollout-gap-leaves-its-course",
    severity="warn",
    tier=2,
    each=ROLLOUT_GAPS,
    algorithms=LLM_POLICY,
    causes=(
        "the rollout engine samples from older or other weights than the trainer's",
        "temperature, precision or template of the two sides differ since then",
    ),
    fixes=(
        "compare a checksum of one tensor in engine and trainer after a sync",
        "turn on {is_correction}",
    ),
)
def gap_leaves_its_course(f: Frame) -> Signal | None:
    """Fires when the gap between rollout engine and trainer doubles off its own line within three rows.

    Why it matters: The gap is a property of the two implementations. When it moves, something between them has changed.
    How it is computed: The line test on the logarithm of the gap (five scales, three rows) finds a factor of two, and
    the gap is above 1e-4, below which it is rounding.
    When it is wrong: A policy that moves to longer or rarer responses widens the gap slowly and in a healthy way; the
    line follows that.
    Source: The line test was measured on labelled real trainings. A gap of about 0.01 is normal, and 0.2 was a broken
    sync in trl#5312.
    """
    name = f.metric
    moved = departure(f, name)
    if moved is None or not moved.up or moved.now < 1e-4:
        return None
    message = f"{name} {moved.how}"
    return Signal(value=moved.now, limit=2 * moved.level, message=message, evidence={"scales": moved.scales})


@rule(
    "OFF005",
    "sampled-off-temperature",
    severity="warn",
    tier=2,
    each=("sampled_nll_surplus", "rollout_logprob_slope", "sampled_surprise_z"),
    rows=3,
    algorithms=LLM_POLICY,
    causes=(
        "the rollout engine samples at another temperature, or with top-p, top-k or min-p, than the trainer assumes",
        "the rollout engine has older weights than the trainer",
    ),
    fixes=(
        "make {temperature} of rollouts and trainer the same, and top-p 1",
        "compute log-probabilities from the logits that were sampled from",
    ),
)
def sampled_off_temperature(f: Frame) -> Signal | None:
    """Fires when sampled tokens are steadily more likely, or less likely, than the entropy of the policy says.

    Why it matters: Importance ratios, KL and entropy are then about another policy than the one that wrote the data.
    How it is computed: For tokens sampled from the policy, the mean of -log p is its mean entropy. Over 20 rows, the
    mean difference between the two is beyond five standard errors (from the row-to-row scatter) and 3 % of the entropy.
    This needs `sampled_nll` beside `entropy`, both at the rollouts and over the same tokens; no trainer logs it by
    itself. Where the log-probabilities of both sides are known for each token, the ratio of their standard deviations
    is off 1 by more than 0.05 while they correlate by more than 0.9, on three rows in a row: with one temperature the
    ratio is 1. A hook that sees log-probabilities and entropies of the sampled tokens before the first update sums
    their differences: the sum over the newest rollouts is beyond six of its standard deviations, on three rows in a
    row.
    When it is wrong: Entropy and -log p may be averaged over different tokens (per sequence, with padding, after the
    update).
    Source: An identity in expectation; the only sign of cold sampling in scalars (docs/detectors.md). 20 rows, 5 and 3
    % are our own choice. Not measured: no run of the corpus logs it.
    """
    name = f.metric
    if name == "rollout_logprob_slope":
        return _another_slope(f)
    if name == "sampled_surprise_z":
        return _surprised(f)
    surplus, noise, entropy = f.mean(name, ROWS), f.noise(name, ROWS), f.median("entropy", ROWS)
    limit = max(Z * noise / math.sqrt(ROWS), LEAST_SHARE * entropy)
    if not abs(surplus) > limit > 0:
        return None
    how = "less" if surplus > 0 else "more"
    message = (
        f"sampled tokens are {how} likely than the policy's entropy says, by {abs(surplus):.3g} of {entropy:.3g} nats"
    )
    return Signal(value=surplus, limit=limit, metric="sampled_nll", message=message)


def _surprised(f: Frame) -> Signal | None:
    z, excess = f["sampled_surprise_z"], f["sampled_surprise_excess"]
    if not abs(z) > SURPRISED:
        return None
    how = "less" if z > 0 else "more"
    message = (
        f"sampled tokens are {how} likely than the policy says, by {abs(excess):.3g} nats ({abs(z):.0f} deviations)"
    )
    return Signal(value=z, limit=math.copysign(SURPRISED, z), message=message)


def _another_slope(f: Frame) -> Signal | None:
    slope, corr = f["rollout_logprob_slope"], f["rollout_logprob_corr"]
    if not (abs(slope - 1.0) > SLOPE and corr > ALIGNED):
        return None
    side = "flatter" if slope < 1 else "steeper"
    message = f"the trainer's log-probabilities of the sampled tokens are {side} than the sampler's: slope {slope:.3g}"
    return Signal(value=slope, limit=1.0 + math.copysign(SLOPE, slope - 1.0), message=message)
