"""OFF: the rollout engine and the trainer disagree about the policy, or the samples are too old."""

from __future__ import annotations

import math
from collections.abc import Callable

from rldk.core.algorithms import LLM_POLICY
from rldk.rules.knobs import keys_of, number, setting
from rldk.rules.rule import Context, Frame, Signal, rule

# metric -> (lowest, highest value that its publisher calls acceptable, who says so)
PUBLISHED: dict[str, tuple[float, float, str]] = {
    "rollout_prob_diff_mean": (-math.inf, 0.01, "verl's FAQ"),
    "rollout_kl": (-0.1, 0.1, "verl's rollout-correction page"),
    "rollout_is_ratio_mean": (0.5, 2.0, "verl's rollout-correction page"),
    "rollout_prob_error_mult": (-math.inf, 1.05, "NeMo RL"),
}
# metric -> how large a gap must be to matter, in its own unit
MATERIAL: dict[str, float] = {"rollout_logprob_diff_mean": 0.05, "rollout_prob_diff_mean": 0.01, "rollout_kl": 0.05}
# what a hook measures just after a sync -> the largest difference that is none
SYNCED: dict[str, float] = {"sampler_weight_dev": 0.0, "probe_logprob_dev": 0.02}
STEP_UP = 5.0
SEQUENCE_CAP = 3.0
_CAPS = (
    "vllm_importance_sampling_clip_max",
    "vllm_importance_sampling_cap",
    "algorithm.rollout_correction.rollout_is_threshold",
)
_LEVELS = (
    "vllm_importance_sampling_mode",
    "algorithm.rollout_correction.rollout_is",
    "algo.advantage.is_correction_level",
)
# the bound on policy lag, beside the keys that `knobs` knows: prime-rl, SkyRL, AReaL
_LAGS = ("max_off_policy_steps", "trainer.fully_async.max_staleness_steps", "rollout.max_head_offpolicyness")
MISMATCH = (
    "the rollout engine computes in another precision or with other kernels than the trainer",
    "the engine holds other weights: a sync failed, an adapter was not merged, a layout was converted",
    "only one side has sampling settings that change the distribution (temperature, top-p)",
)
MENDS = (
    "correct for it: {is_correction}",
    "use one numeric precision on both sides, and float32 for the last layer: {dtype}",
    "compare the log-probabilities of a few fixed sequences after every weight sync of {rollout_engine}",
)


@rule(
    "OFF001",
    "rollout-gap-above-published-limit",
    severity="warn",
    tier=1,
    each=tuple(PUBLISHED),
    algorithms=LLM_POLICY,
    rows=3,
    causes=MISMATCH,
    fixes=MENDS,
)
def rollout_gap_above_published_limit(f: Frame) -> Signal | None:
    """Fires when the gap between rollout engine and trainer is beyond what the engine's own project calls normal.

    Why it matters: The policy gradient is computed for another policy than the one that sampled. A growing gap has
    preceded many collapses.
    How it is computed: Three rows in a row are beyond the published limit of that metric: mean probability difference
    above 0.01, rollout KL outside +-0.1, mean importance weight outside 0.5 to 2, mean exp|log-probability difference|
    above 1.05.
    When it is wrong: Training may be asynchronous on purpose, with a trainer that is several updates ahead of the
    sampler.
    Source: verl FAQ (0.005 is normal, 0.01 a problem); verl docs/algo/rollout_corr.md (KL, weight); NeMo RL (1.05 needs
    investigation). A tier 1 rule is a warning, never critical.
    """
    low, high, who = PUBLISHED[f.metric]
    x = f[f.metric]
    if not (x < low or x > high):
        return None
    limit = low if x < low else high
    side = "below" if x < low else "above"
    return Signal(
        value=x, limit=limit, message=f"{f.metric} is {x:.3g}, {side} the limit of {limit:g} that {who} gives"
    )


@rule(
    "OFF003",
    "rollout-weights-stale",
    severity="critical",
    tier=0,
    each=(*MATERIAL, *SYNCED),
    algorithms=LLM_POLICY,
    rows=2,
    causes=(
        "the engine kept old or empty weights at a sync (sleep level that drops weights, failed layout conversion)",
        "an adapter is trained and the engine samples from the base model",
        "the sampler was switched to an older policy, or the queue grew",
    ),
    fixes=(
        "reload the weights after waking {rollout_engine}, and compare a probe sequence after every sync",
        "bound the policy lag: {staleness}",
    ),
)
def rollout_weights_stale(f: Frame) -> Signal | None:
    """Fires when the rollout engine does not have the weights of the trainer.

    Why it matters: The engine no longer samples from the policy that is trained, and every later update is off-policy.
    How it is computed: A hook compares trainer and sampler just after each sync: a fixed sample of the weights, rounded
    to the sampler's precision, which must be equal, or the log-probabilities of a fixed probe sequence, which must
    agree within 0.02 nats. They do not on two syncs in a row. Without a hook there is a form for scalars, which is a
    warning: on two rows in a row, the mean gap is above 5 times its own past median (of 10 rows or more; before that,
    its lowest value without the newest 2 rows) and large enough to matter (0.05 nats of log-probability, 0.01 of
    probability).
    When it is wrong: The sampling settings or the precision may have been changed on purpose.
    Source: trl#5312 (0.010 and 0.018, then 0.201 at the third step, 0.015 in the control). The factor and the two steps
    are those of that thread; the smallest gaps that count are our own choice, and so is 0.02 (bf16 kernels of two
    engines differ by less on one sequence). Scalars do not prove what the weights are, hence a warning.
    """
    name = f.metric
    if name in SYNCED:
        return _differs_after_sync(f)
    x, floor = f[name], MATERIAL[name]
    past, low = f.past(name, before=3, least=10), f.lowest(name, before=2)
    base = past if past == past else low
    if abs(x) > floor and abs(x) > STEP_UP * abs(base):
        return Signal(
            value=x,
            limit=max(floor, STEP_UP * abs(base)),
            message=f"the gap between rollout engine and trainer rose from {base:.3g} to {x:.3g} ({name})",
            severity="warn",
        )
    return None


def _differs_after_sync(f: Frame) -> Signal | None:
    name = f.metric
    x, limit = f[name], SYNCED[name]
    if not x > limit:
        return None
    what = "its weights differ by a share of" if name == "sampler_weight_dev" else "a probe sequence differs by"
    unit = "" if name == "sampler_weight_dev" else " nats"
    message = f"the sampler does not have the trainer's weights after a sync: {what} {x:.3g}{unit}"
    return Signal(value=x, limit=limit, message=message)


@rule(
    "OFF004",
    "truncated-sampling-bias",
    severity="warn",
    tier=0,
    needs=("rollout_is_ratio_mean",),
    algorithms=LLM_POLICY,
    rows=5,
    causes=(
        "the engine renormalises over the tokens that top-p, top-k or min-p left, the trainer over all tokens",
        "the temperature is applied on one side only",
    ),
    fixes=("sample from the whole distribution: {top_p} 1 and {top_k} off", "or renormalise on the sampled support"),
)
def truncated_sampling_bias(f: Frame) -> Signal | None:
    """Fires when the mean importance weight of the rollouts sits steadily below 1.

    Why it matters: Every token's weight is too small by the probability mass that was cut off, so the correction adds a
    bias instead of removing one.
    How it is computed: The median weight of 10 rows is more than 0.02 below 1 and its scatter is below 0.01, on five
    rows in a row. It is a warning where the configuration says that sampling is truncated, information where it says
    nothing, and never fires where it says that sampling is from the whole distribution.
    When it is wrong: The weights may be capped so low that the cap itself pulls their mean down.
    Source: trl#6789, trl PR#7269: the weight equals the kept mass, measured as 0.896 at top_p 0.8 and 0.965 at top_k
    20. The limit of the scatter and the five rows are our own choice.
    """
    level, scatter = f.median("rollout_is_ratio_mean", 10), f.mad("rollout_is_ratio_mean", 10)
    top_p, top_k, min_p = setting(f, "top_p"), setting(f, "top_k"), number(f.config("min_p"))
    truncated = top_p < 1 or top_k > 0 or min_p > 0
    if (top_p >= 1 and not truncated) or not (level < 0.98 and scatter < 0.01):
        return None
    return Signal(
        value=level,
        limit=0.98,
        message=f"the mean importance weight sits at {level:.3f}: sampling seems to keep only {100 * level:.0f} %",
        severity=None if truncated else "info",
    )


def _sequence_level(context: Context) -> str | None:
    levels = [str(context.config.get(key, "")) for key in _LEVELS]
    if any(level.startswith("seq") for level in levels):
        return None
    return "defined for importance weights of whole sequences, which this run's configuration does not name"


@rule(
    "OFF006",
    "sequence-weight-beyond-cap",
    severity="warn",
    tier=1,
    needs=("rollout_logprob_diff_mean", "response_length_mean"),
    algorithms=LLM_POLICY,
    unless=_sequence_level,
    rows=3,
    causes=("a small gap on every token multiplies over a long response", *MISMATCH),
    fixes=("correct on tokens, or by the geometric mean: {is_correction}", *MENDS[1:]),
)
def sequence_weight_beyond_cap(f: Frame) -> Signal | None:
    """Fires when the usual gap on a token, summed over the usual response, exceeds the cap on sequence weights.

    Why it matters: Most sequences are then masked or cut to the cap, and the batch shrinks to the short responses.
    How it is computed: The rule fires when exp(mean gap x mean length) is above the configured cap (3 where none is
    configured) on three rows.
    When it is wrong: The logged gap has no sign. Where gaps cancel along a response, the weight stays smaller.
    Source: Arithmetic of the maintainers in trl#4772 (0.012 x 100 tokens gives 3.3, with a cap of 3).
    """
    gap, length = f["rollout_logprob_diff_mean"], f["response_length_mean"]
    cap = number(f.config(*_CAPS))
    cap = cap if cap > 1 else SEQUENCE_CAP
    if gap * length > math.log(cap):
        weight = math.exp(min(gap * length, 700.0))
        return Signal(
            value=weight,
            limit=cap,
            metric="rollout_logprob_diff_mean",
            message=f"a gap of {gap:.3g} on {length:.0f} tokens gives sequences a weight of {weight:.3g}; "
            f"the cap is {cap:g}",
        )
    return None


def _lag_bound(config: Callable[..., object]) -> float:
    return number(config(*keys_of("staleness"), *_LAGS))


def _no_lag_bound(context: Context) -> str | None:
    if any(number(context.config.get(key)) >= 0 for key in (*keys_of("staleness"), *_LAGS)):
        return None
    return "needs the bound on policy lag in the run's configuration, which this log does not carry"


@rule(
    "OFF009",
    "policy-lag-above-bound",
    severity="warn",
    tier=0,
    each=("staleness_max", "staleness_mean"),
    unless=_no_lag_bound,
    causes=(
        "the trainer is faster than the samplers and the queue is not bounded as configured",
        "long responses span several weight versions",
    ),
    fixes=("bound the lag: {staleness}", "correct for it: {is_correction}"),
)
def policy_lag_above_bound(f: Frame) -> Signal | None:
    """Fires when samples are older than the configured bound.

    Why it matters: The bound keeps the off-policy correction valid. Beyond it, the variance of the ratio grows.
    How it is computed: The age, in policy versions, is above the bound in the configuration.
    When it is wrong: The bound in the log may not be the one in use, or may count something other than versions.
    Source: An identity with the run's own configuration (verl, prime-rl, SkyRL, AReaL).
    """
    lag, bound = f[f.metric], _lag_bound(f.config)
    if lag > bound:
        return Signal(value=lag, limit=bound, message=f"{f.metric} is {lag:g} policy versions; the bound is {bound:g}")
    return None


@rule(
    "OFF012",
    "effective-sample-size-low",
    severity="warn",
    tier=1,
    needs=("rollout_is_ess",),
    rows=3,
    causes=("a few tokens or sequences carry nearly all the importance weight", *MISMATCH),
    fixes=MENDS,
)
def effective_sample_size_low(f: Frame) -> Signal | None:
    """Fires when the importance weights leave less than 30 % of the batch effective.

    Why it matters: The gradient is then that of a few samples, with their noise.
    How it is computed: The effective sample size, as a share of the batch, is below 0.3 on three rows.
    When it is wrong: In a very small batch, a single outlier can cause it.
    Source: verl docs/algo/rollout_corr.md (warns below 0.3).
    """
    ess = f["rollout_is_ess"]
    if ess < 0.3:
        return Signal(
            value=ess,
            limit=0.3,
            message=f"the importance weights leave only {100 * ess:.0f} % of the batch effective (limit 30 %)",
        )
    return None


@rule(
    "OFF013",
    "rollouts-rejected",
    severity="warn",
    tier=1,
    needs=("rollout_is_clip_frac",),
    rows=3,
    causes=("the bounds of the rejection are tighter than the ordinary gap", *MISMATCH),
    fixes=("widen the bounds or correct on tokens: {is_correction}", *MENDS[1:]),
)
def rollouts_rejected(f: Frame) -> Signal | None:
    """Fires when the off-policy correction masks or cuts more than 30 % of the tokens.

    Why it matters: What is left is a smaller, biased batch. Near 1, nothing is left.
    How it is computed: The masked or clamped fraction is above 0.3 on three rows.
    When it is wrong: The bounds may be chosen so tight on purpose.
    Source: The 30 % is our own choice; trl#4772 and ms-swift#8343 are runs that masked nearly everything.
    """
    share = f["rollout_is_clip_frac"]
    if share > 0.3:
        return Signal(
            value=share, limit=0.3, message=f"the off-policy correction masks or cuts {100 * share:.0f} % of the tokens"
        )
    return None


@rule(
    "OFF014",
    "rollout-probabilities-uncorrelated",
    severity="warn",
    tier=1,
    needs=("rollout_prob_corr",),
    rows=3,
    causes=MISMATCH,
    fixes=MENDS,
)
def rollout_probabilities_uncorrelated(f: Frame) -> Signal | None:
    """Fires when the token probabilities of rollout engine and trainer correlate below 0.99.

    Why it matters: A difference of precision alone leaves a correlation above that. Below it, the two compute different
    policies.
    How it is computed: The Pearson correlation is below 0.99 on three rows.
    When it is wrong: When nearly all tokens have probability 1, a few tokens decide the correlation.
    Source: 0.99 is the level that MiniMax-M1 reports after raising the precision of its last layer (arXiv 2506.13585,
    named by verl's debug metrics).
    """
    r = f["rollout_prob_corr"]
    if r < 0.99:
        return Signal(value=r, limit=0.99, message=f"rollout and trainer probabilities correlate at {r:.4f}")
    return None


@rule(
    "OFF015",
    "rollout-chi-squared-high",
    severity="warn",
    tier=1,
    needs=("rollout_chi2_token",),
    rows=3,
    causes=("a few tokens have a huge weight", *MISMATCH),
    fixes=MENDS,
)
def rollout_chi_squared_high(f: Frame) -> Signal | None:
    """Fires when the chi-squared divergence between trainer and rollout engine is above 1 per token.

    Why it matters: It is the variance of the importance weights. At 1, half of the sample is lost to it.
    How it is computed: The mean squared token ratio minus 1 is above 1 on three rows.
    When it is wrong: One poisoned token in a small batch can cause it alone.
    Source: verl docs/algo/rollout_corr.md ("severe distribution shift" above 1).
    """
    chi2 = f["rollout_chi2_token"]
    if chi2 > 1:
        return Signal(
            value=chi2, limit=1.0, message=f"the chi-squared divergence between trainer and rollouts is {chi2:.3g}"
        )
    return None
