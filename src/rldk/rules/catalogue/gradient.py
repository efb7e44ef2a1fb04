"""GRAD: what the gradient norm says about a run, and values that stopped being numbers."""

from __future__ import annotations

from rldk.core.algorithms import LLM_POLICY
from rldk.rules.before.stated import clip_that_hides
from rldk.rules.departure import departure
from rldk.rules.knobs import lacks, setting
from rldk.rules.rule import Frame, Signal, finite, rule

# Where a NaN is never the defined answer. Explained variance of constant returns, the reward of an iteration in which
# no episode ended, reward components and means over an empty set are NaN by definition and are not here.
FINITE = (
    "loss policy_loss value_loss aux_loss nll_loss kl_loss grad_norm grad_norm_policy grad_norm_value kl "
    "kl_policy_update kl_coef entropy ratio_mean lr advantage_mean advantage_std return_mean value_mean logp_chosen "
    "logp_rejected pref_margin weight_update_norm"
).split()
GRAD_NORMS = ("grad_norm", "grad_norm_policy", "grad_norm_value")
LOSSES = frozenset({"loss", "policy_loss", "value_loss"})
NEVER_ROWS = 5
UNMEASURED_ROWS = 20
SKIPPED_ROWS = 3  # running: a scaler halves its scale on each and is back in range after one or two
CLIPPED_SHARE = 0.95
HIDDEN_FACTOR = 10.0
GROWTH = 3.0
ZERO_SHARE = 0.3
NEGLIGIBLE = 1e-3
TINY = 1e-300  # an open interval (-TINY, TINY) holds the exact zeros only
MEANINGFUL_NORM = 0.01
HUGE_NORM = 100.0
LEAST_NORM = 1e-3  # norms of language-model policies are 0.01 to 10, of agents more; below, nothing explodes
NO_NORM = 1e-5


@rule(
    "GRAD001",
    "non-finite-value",
    severity="critical",
    tier=0,
    each=tuple(FINITE),
    nonfinite=True,
    calm=finite,
    causes=(
        "a reward or an advantage is NaN: one bad sample poisons its whole batch",
        "half precision overflows: fp16 activations, exp of a large log-ratio in the k3 KL or the ratio",
        "a mean is taken over zero tokens: every response is masked, or a mini-batch is empty",
        "an earlier step broke the weights: look at the last steps before this one",
    ),
    fixes=(
        "stop, go back to the last checkpoint before this step, and keep the batch that caused it",
        "use bfloat16 or float32: {dtype}",
        "check that no reward is NaN or None before advantages are computed",
        "lower {lr} and clip gradients: {max_grad_norm}",
    ),
)
def non_finite_value(f: Frame) -> Signal | None:
    """Fires on the first NaN or infinity in a training metric that has been finite before, and on one that never was.

    Why it matters: After one non-finite update every weight is NaN, and the run only seems to go on. It may come
    without any warning sign.
    How it is computed: The source states a value on this train row that is not finite, and the metric has had a finite
    value before; or a loss has had no finite value on 5 rows. Another metric that has been infinite on every row, for 5
    rows, is a warning; one that has been NaN on every row, for 20 rows, is information, because a trainer may write NaN
    for "not measured". Half precision sometimes gives a gradient norm or another
    metric that is not a number while the loss is sound (finite, not 0): the loss scaler skips the step, or one sample
    of an average overflowed, and the next row is normal. That is information. On the third such row in a row it is
    critical, or a warning for norms that are infinite.
    When it is wrong: A metric may be NaN for a while because nothing is measured yet. The rule leaves out evaluation
    rows and metrics that are NaN by definition (explained variance of constant returns, the reward of an iteration in
    which no episode ended, reward components). It cannot see what is hidden: transformers replaces a NaN loss by the
    running mean (`logging_nan_inf_filter`), and there the gradient norm is the witness.
    Source: An identity; MakazhanAlpamys/Soup#342 (8 of 14 runs died without a warning sign), verl#1197, OpenRLHF#1120.
    """
    name = f.metric
    x, seen, loss = f[name], f.count(name), f["loss"]
    if x - x == 0.0 or (seen == 0 and f.rows < NEVER_ROWS):
        return None
    word = "NaN" if x != x else "infinite"
    before = f"after {seen:.0f} finite values" if seen else "and has never been a number"
    message = f"{name} is {word} {before}"
    if seen == 0 and name not in LOSSES:
        if word == "infinite":
            return Signal(value=x, message=message, severity="warn")
        return Signal(value=x, message=message, severity="info") if f.rows >= UNMEASURED_ROWS else None
    scaled = name not in LOSSES and loss - loss == 0.0 and loss != 0.0
    if scaled and f.broken(name) < SKIPPED_ROWS:
        message += ", but the loss is sound: this is one overflow, and a loss scaler skips its step"
        return Signal(value=x, message=message, severity="info")
    overflow = scaled and word == "infinite" and name in GRAD_NORMS
    return Signal(value=x, message=message, severity="warn" if overflow else None)


@rule(
    "GRAD003",
    "clipping-hides-explosion",
    severity="warn",
    tier=1,
    each=GRAD_NORMS,
    unless=lacks("max_grad_norm"),
    before=clip_that_hides,
    rows=3,
    causes=(
        "the loss has grown steep: the learning rate is too high, the reward changed its scale, or a batch is broken",
        "gradients are summed instead of averaged over tokens or micro-batches",
    ),
    fixes=(
        "lower {lr}: clipping bounds the step, it does not mend the direction",
        "look at the reward and advantage scale: {reward_scale}, {normalize_advantage}",
        "check how the loss is normalised over tokens and {grad_accum}",
    ),
)
def clipping_hides_explosion(f: Frame) -> Signal | None:
    """Fires when nearly every gradient is clipped and the norms before clipping are far above the clip.

    Why it matters: The step size no longer depends on the gradient, and an explosion goes on unseen behind the clip.
    How it is computed: Over 50 rows, more than 95 % of the norms exceed the configured clip, their median is above 10
    times the clip, and it has grown to 3 times its own early level. Without that growth it is information: the level
    alone may be how this loss is scaled, and adaptive optimisers cancel a constant factor. `rldk preflight` looks at
    the clip alone: 0 in verl, which scales every gradient to it, or a positive number below 0.001 (information).
    When it is wrong: The logged norm may be measured after clipping (then it can never exceed the clip), or the
    configuration in the log may not be the one in use.
    Source: Share, factor and growth are our own choice; modelscope/ms-swift#3713 says what the clipped norm means.
    """
    name = f.metric
    clip = setting(f, "max_grad_norm")
    clipped, level, early = f.share(name, 50, above=clip), f.median(name, 50), f.early(name)
    if not (clip > 0 and clipped > CLIPPED_SHARE and level > HIDDEN_FACTOR * clip):
        return None
    return Signal(
        value=level,
        limit=HIDDEN_FACTOR * clip,
        message=f"{100 * clipped:.0f} % of the last 50 gradients were clipped; "
        f"their norm is typically {level / clip:.0f} times the limit of {clip:g}",
        severity=None if level > GROWTH * early else "info",
    )


@rule(
    "GRAD012",
    "exactly-zero-gradients",
    severity="warn",
    tier=0,
    each=GRAD_NORMS,
    causes=(
        "all tokens of those batches were masked (every response truncated, or every ratio rejected)",
        "all advantages were exactly zero: every group had one reward",
        "part of the graph is detached",
    ),
    fixes=(
        "compare these steps with the truncated fraction and {mask_truncated}",
        "filter groups without a signal: {dynamic_sampling}, or raise {group_size}",
    ),
)
def exactly_zero_gradients(f: Frame) -> Signal | None:
    """Fires when the gradient norm was exactly 0 on more than 30 % of the last 20 rows.

    Why it matters: Those steps cost as much as any other and teach nothing.
    How it is computed: The rule counts exact zeros once the norm has been above 0.01, because a norm that is always 0
    is a placeholder. In a log of few decimals it counts only where a 0 is below a thousandth of the largest norm. It is
    quiet while 60 % of the groups or more (a running mean) have one reward, or while batches without any spread of the
    reward are as frequent as the zeros: zero is then the right gradient, and ADV001 reports the groups.
    When it is wrong: A trainer may write 0 for steps on which it made no update.
    Source: Reports of silent zero-gradient steps in TRL and ms-swift (ms-swift#5890, trl#3857); the share is our own
    choice.
    """
    name = f.metric
    zero, printed = f.share(name, 20, above=-TINY, below=TINY), f.rounded(name)
    best, same = f.highest(name), f.ewma("zero_std_group_frac", 0.2)  # of the last ones known: update rows lack it
    flat = f.share("reward_std", 10, above=-TINY, below=TINY)  # ten, as some logs have it on every second row only
    explained = same >= 0.6 or flat >= zero - 0.1
    if zero > ZERO_SHARE and best > MEANINGFUL_NORM and not explained and not printed > NEGLIGIBLE * best:
        return Signal(
            value=zero, limit=ZERO_SHARE, message=f"{name} was exactly 0 on {round(20 * zero)} of the last 20 rows"
        )
    return None


@rule(
    "GRAD014",
    "gradient-huge-from-the-start",
    severity="warn",
    tier=1,
    each=GRAD_NORMS,
    algorithms=LLM_POLICY,
    causes=(
        "the loss is summed over tokens or samples instead of averaged",
        "the loss is multiplied by a loss scale and never divided by it again",
        "advantages or rewards are in the hundreds",
    ),
    fixes=(
        "check how the loss is normalised over tokens, and {grad_accum}",
        "look at the reward scale: {reward_scale}",
    ),
)
def gradient_huge(f: Frame) -> Signal | None:
    """Fires when the gradient norm of a language-model policy is above 100 from its first rows on.

    Why it matters: Every step is then made by the clip, or is far too large.
    How it is computed: The median of the first ten norms (before clipping) is above 100.
    When it is wrong: The trainer of a huge model may sum gradients over ranks on purpose, and adaptive optimisers
    cancel a constant factor.
    Source: Our own choice: policies of language models are tuned at norms of 0.01 to 10 (an early median of 5.6 was the
    largest in 85 healthy small trainings).
    """
    name = f.metric
    early = f.early(name, 0, 10)
    if f.count(name) == 10 and early > HUGE_NORM:
        return Signal(value=early, limit=HUGE_NORM, message=f"{name} is typically {early:.3g} on the first ten rows")
    return None


@rule(
    "GRAD002",
    "gradient-explosion",
    severity="warn",
    tier=2,
    each=GRAD_NORMS,
    causes=(
        "loss, rewards or advantages have another scale than before",
        "the learning rate is too high: the loss has grown steep",
        "one batch is bad, or a few tokens have an enormous ratio",
    ),
    fixes=(
        "lower {lr}",
        "clip gradients: {max_grad_norm}",
        "look at the loss, the reward scale and the largest ratios on the first step named here",
    ),
)
def gradient_explosion(f: Frame) -> Signal | None:
    """Fires when a gradient norm triples off its own line within three rows, or stays above eight times its past.

    Why it matters: The steps are then made of whatever exploded, and clipping only hides it.
    How it is computed: The line test on the logarithm of the norm (five scales, three rows) finds a factor of three; or
    three rows in a row are above eight times the median of the run's own past (at most 200 rows, the newest five left
    out). Single spikes are quiet. A norm below the largest so far is a return to normal, and a norm below 0.001 is no
    explosion.
    When it is wrong: With sparse rewards, the norm is close to 0 until the first success is found.
    Source: Measured on labelled real trainings (docs/detectors.md): healthy norms move by less than a factor of two
    within a run, while a frozen three-sigma band fired on 20 of 20 healthy simulated runs. trl#2980: single spikes grow
    after many steps while the reward is fine.
    """
    name = f.metric
    moved, past = departure(f, name), f.past(name)
    low, now = f.min(name, 3), f.median(name, 3)
    calm, top = f.share("zero_std_group_frac", 10, above=0.9), f.highest(name, before=3)
    returned = (
        now < top or now < LEAST_NORM or calm > 0.5
    )  # the norm of a group trainer is 0 while no group has a signal
    if moved is not None and moved.up and (moved.reference or not returned):
        message = f"{name} {moved.how}"
        return Signal(value=moved.now, limit=3 * moved.level, message=message, evidence={"scales": moved.scales})
    if past > 0 and low > 8 * past and not returned:
        message = f"{name} has been above {8 * past:.3g}, eight times its own past, for three rows (now {f[name]:.3g})"
        return Signal(value=now, limit=8 * past, message=message)
    return None


@rule(
    "GRAD013",
    "no-gradient-from-the-start",
    severity="critical",
    tier=0,
    each=("grad_norm", "grad_norm_policy"),
    nonfinite=True,
    causes=(
        "the loss is NaN on every step: a NaN in the data, a mean over no tokens, weights that were broken when loaded",
        "the loss is scaled to almost 0, or the graph is cut before the parameters",
    ),
    fixes=(
        "compute the loss of one batch by hand, in float32: {dtype}",
        "check that every batch has labels that are not masked, and how the loss is scaled: {grad_accum}",
    ),
)
def no_gradient_from_the_start(f: Frame) -> Signal | None:
    """Fires when no row so far had a gradient: the norm was never a number, or always nearly 0.

    Why it matters: The run logs rewards, lengths and rates as usual, but it trains nothing, or only noise.
    How it is computed: This is GRAD001 and OPT002 for runs that never had a gradient. The norm has been NaN or infinite
    on every row, for five rows at least, while the loss is exactly 0 (transformers writes 0 for a NaN loss). Or it has
    been above 0 and below 1e-5 on all of at least ten rows, which is a warning.
    When it is wrong: A loss may be scaled down on purpose; optimisers such as Adam cancel the scale.
    Source: `logging_nan_inf_filter` of transformers. 1e-5, a thousandth of the smallest norm of any healthy run here,
    is our own choice. It fired on three small trainings with a loss scaled by 1e-7 and one with a NaN loss, and on none
    of 180 healthy ones.
    """
    name = f.metric
    norm, seen, loss = f[name], f.count(name), f["loss"]
    top, low = f.highest(name, before=0), f.lowest(name, before=0)
    if seen == 0 and f.rows >= 5 and loss == 0.0 and norm - norm != 0.0:
        return Signal(value=norm, message=f"{name} has never been a number, and the loss is exactly 0")
    if seen >= 10 and low > 0 and top < NO_NORM:
        message = f"{name} has been below {NO_NORM:g} on all {seen:.0f} rows"
        return Signal(value=norm, limit=NO_NORM, message=message, severity="warn")
    return None
