"""Rules on the importance ratio and its clipping inside one update."""

from __future__ import annotations

from rldk.core.algorithms import CLIPPED, GROUP
from rldk.rules.evidence import about_episodes, episodic, is_still_learning
from rldk.rules.knobs import number, setting
from rldk.rules.rule import Context, Frame, Signal, rule

PASSES = (
    "num_ppo_epochs",
    "num_iterations",
    "ppo_epochs",
    "actor_rollout_ref.actor.ppo_epochs",
    "n_epochs",
    "num_epochs",
    "update_epochs",
    "train.max_epochs",
)
COUNTED = frozenset({"sb3", "stable_baselines3"})  # their update counter rises by one a pass over the batch
REUSED_ROWS = 2  # rows with rewards that have a distance
FAR, FARTHER = 3.0, 5.0  # times a limit
STILL = 1e-8  # update KL that float32 rounding of a ratio of 1 leaves (1e-9 seen in Stable-Baselines3), as in OPT004
BF16 = 0.02  # |ratio - 1| that rounding in bf16 may cause
SEQUENCES = 192  # a multiple of the usual batch sizes
ROWS = 3
CLIPPED_SHARE, UPDATE_KL = 0.1, 0.05
SMALL = 2e-5  # learning rate


@rule(
    "CLIP001",
    "ratio-off-before-update",
    severity="critical",
    tier=0,
    needs=("ratio_first_minibatch_dev",),
    rows=2,
    algorithms=CLIPPED,
    causes=(
        "dropout or another train-mode layer is on in one of the two passes",
        "the rollouts are stale: they come from older weights than the update starts from",
        "old log-probabilities come from the rollout engine or another precision",
        "padding or position ids differ between the two passes",
    ),
    fixes=(
        "turn off {dropout} in both passes",
        "check that {rollout_engine} gets the new weights before every rollout",
        "recompute old log-probabilities with the trainer, or turn on {is_correction}",
    ),
)
def ratio_off(f: Frame) -> Signal | None:
    """Fires when new and old policy differ on the first mini-batch, before any step has been taken.

    Why it matters: The ratio must be 1 there. Where it is not, the policy is updated towards noise or towards old data.
    How it is computed: The mean |ratio - 1| of the first mini-batch is above 0.02 on two rows. It is only a warning
    below 0.05 in a run that was never exact (below 0.001), because some mixed-precision set-ups stay there.
    When it is wrong: Asynchronous training differs by design; rows that log a staleness above 0 are not looked at.
    Source: An identity with tolerances 1e-3 (fp32) and 2e-2 (bf16) (trl#454: the ratio must be exactly 1; trl#744). No
    false alarm on 44 healthy runs of faultbench, whose faults are 0.1 to 0.3; 0.05 is our own choice.
    """
    name = "ratio_first_minibatch_dev"
    value, least = f[name], f.lowest(name, before=2)
    if value > BF16 and not f["staleness_mean"] > 0:
        mild = value < 0.05 and not least < 1e-3
        message = f"the ratio differs from 1 by {value:.3g} on the first mini-batch, before any update"
        return Signal(value=value, limit=BF16, message=message, severity="warn" if mild else "critical")
    return None


def _one_pass(context: Context) -> str | None:
    passes = [number(context.config[key]) for key in PASSES if key in context.config]
    if any(n > 1 for n in passes) or (not passes and context.framework in COUNTED):
        return None
    if passes:
        return "one pass over each batch: the ratio is 1 by construction"
    return "needs the number of passes over each batch in the run's configuration, which this log does not carry"


def _not_trl(context: Context) -> str | None:
    if context.framework == "trl":
        return None
    return "defined for TRL, which logs rewards on the very step that first sees new rollouts"


@rule(
    "CLIP007",
    "clipped-before-update",
    severity="warn",
    tier=0,
    needs=("clip_frac", "reward_mean"),
    rows=5,
    algorithms=GROUP,
    unless=_not_trl,
    causes=(
        "dropout is on when log-probabilities are computed",
        "rollouts are older than the policy, or come from other weights",
        "log-probabilities of rollout and trainer differ in temperature, template or padding",
    ),
    fixes=("switch off {dropout} in the policy", "recompute the old log-probabilities with the trainer's own model"),
)
def clipped_before_update(f: Frame) -> Signal | None:
    """Fires when ratios are outside the clip range on the step that first sees its rollouts.

    Why it matters: This is CLIP001 for logs without the deviation of the first mini-batch. Before any update the policy
    is the one that sampled, so every ratio must be 1.
    How it is computed: TRL logs rewards on that step alone. On five such rows in a row something is clipped, each row
    holds one step, and from the first on the rows with rewards come at one fixed distance of two rows or more. Where
    they do not (rewards on two of three rows), new rollouts begin in the middle of a step, which mixes them with old
    ones.
    When it is wrong: Asynchronous rollouts are older than the policy on purpose.
    Source: An identity (see CLIP001); five rows and a quarter are our own choice. Measured on small GRPO and RLOO runs
    of TRL that use their rollouts several times: 0 on all such rows of 28 healthy runs, above 0 on 80 to 100 % of them
    with dropout on.
    """
    clipped, each, steps = f["clip_frac"], f.rise("step"), f.averaged("clip_frac")
    rewarded, share = f.count("reward_mean"), f.coverage("reward_mean")
    if not (clipped > 0 and each == 1 and steps == 1 and rewarded >= REUSED_ROWS and share < 0.75):
        return None
    period = (rewarded / share - 1) / (rewarded - 1)  # rows from one set of rollouts to the next, on average
    if abs(period - round(period)) * (rewarded - 1) < 0.5:
        message = (
            f"{clipped:.1%} of the ratios are clipped on the step that first sees its rollouts, where all must be 1"
        )
        return Signal(value=clipped, limit=0.0, message=message)
    return None


@rule(
    "CLIP002",
    "ratio-always-one",
    severity="warn",
    tier=0,
    needs=("kl_policy_update",),
    algorithms=CLIPPED,
    unless=_one_pass,
    causes=(
        "old log-probabilities are recomputed from the live policy in every pass",
        "the optimizer holds no parameters of the policy, or its step is skipped",
    ),
    fixes=(
        "keep the log-probabilities of the rollout for all {epochs}",
        "check that the weights change after an optimizer step",
    ),
)
def ratio_always_one(f: Frame) -> Signal | None:
    """Fires when the ratio has been exactly 1 since the start although every batch is passed over several times.

    Why it matters: After the first step the two policies must differ. If they do not, clipping and the trust region
    have no effect.
    How it is computed: The condition holds on all rows so far. With a logged ratio, three rows are enough: the ratio is
    bitwise 1 and the update KL bitwise 0. Without one, ten rows are needed: the update KL is within 1e-8 of 0 and
    nothing is clipped. The learning rate and the gradient are not 0, and there is more than one pass over each batch,
    either by the configuration or by the update count of Stable-Baselines3, which then rises by two or more from row to
    row.
    When it is wrong: A log rounded to three digits may look like this when no value has shown the rounding yet. A run
    whose ratio moved and then stopped is left to another rule.
    Source: Exact 0 over three updates with lr > 0 (tensorforce#312, mlx-lm-lora#50). Ten rows and the tolerance were
    measured on PPO of Stable-Baselines3 with an optimiser that does not step (update KL up to 1e-9 in size).
    """
    name, clipped = "kl_policy_update", f.highest("clip_frac", before=0)
    high, low, ratio = f.highest("ratio_mean", before=0), f.lowest("ratio_mean", before=0), f["ratio_mean"]
    kl_high, kl_low, count = f.highest(name, before=0), f.lowest(name, before=0), f.count(name)
    passes, known = f["update_count"] - f.previous("update_count"), f.config(*PASSES) is not None
    printed = f.rounded(name)
    if f["lr"] == 0.0 or f["grad_norm"] == 0.0 or printed > STILL or not (known or passes > 1):
        return None
    if high == low == 1.0 and kl_high == kl_low == 0.0 and count >= 3 and ratio == 1.0:
        message = f"the ratio has been exactly 1 on all {count:.0f} rows, despite several passes over each batch"
        return Signal(value=1.0, message=message, metric="ratio_mean")
    if ratio != ratio and kl_low > -STILL and kl_high < STILL and not clipped > 0 and count >= 10:
        message = (
            f"no update has moved the policy on {count:.0f} rows, despite several passes over each batch: "
            "the update KL is 0"
        )
        return Signal(value=f[name], limit=STILL, message=message)
    return None


def _sequence_ratio(context: Context) -> str | None:
    if context.algorithm == "rloo" or context.config.get("importance_sampling_level") == "sequence":
        return "the ratio is that of whole sequences, which leaves its range far more often than that of tokens"
    return None


@rule(
    "CLIP003",
    "clip-saturation",
    severity="warn",
    tier=1,
    needs=("clip_frac",),
    rows=3,
    algorithms=CLIPPED,
    unless=_sequence_ratio,
    causes=(
        "the learning rate is too high",
        "there are too many passes over each batch",
        "rollouts are older than the policy",
    ),
    fixes=("lower {lr}", "lower {epochs}", "raise {clip_range} only if the update KL is small"),
)
def clip_saturation(f: Frame) -> Signal | None:
    """Fires when typically more than 30 % of the ratios were clipped over the last 20 updates.

    Why it matters: The clipped part of the batch gives no gradient, and the update goes as far as the clip lets it.
    How it is computed: The median clip fraction of 20 rows is above 0.3, on three rows in a row. Ratios of whole
    sequences (RLOO, GSPO) are exempt; where the log does not say so, a fraction that is a whole number of 192nds (a
    batch of 8 to 192 sequences) is taken for one. It is only information while the return of an environment has risen
    and stands at its best, because many agents of continuous control learn like that.
    When it is wrong: A very narrow clip range may be intended.
    Source: 0.3 over 20 updates is common practice (known from the literature); healthy runs of faultbench stay below
    0.02 in every such window.
    """
    usual, parts, learns = f.median("clip_frac", 20), SEQUENCES * f["clip_frac"], is_still_learning(f)
    of_sequences = parts > 0 and abs(parts - round(parts)) < 0.01
    if usual > 0.3 and not of_sequences:
        message = f"typically {usual:.0%} of the ratios were clipped over 20 updates"
        return Signal(value=usual, limit=0.3, message=message, severity="info" if learns else None)
    return None


@rule(
    "CLIP005",
    "update-kl-too-large",
    severity="warn",
    tier=1,
    needs=("kl_policy_update",),
    rows=3,
    algorithms=CLIPPED,
    causes=(
        "the learning rate is too high",
        "there are too many passes over each batch",
        "rollouts are older than the policy",
    ),
    fixes=("lower {lr}", "lower {epochs}", "set {target_kl}"),
)
def update_kl(f: Frame) -> Signal | None:
    """Fires when one update typically moves the policy further than the trust region is meant to allow.

    Why it matters: The surrogate objective is only valid near the old policy. Further away, updates destroy what was
    learnt.
    How it is computed: The median update KL of twenty rows is above 1.5 times the configured limit, or above 0.03 where
    none is configured. A bump just over a published limit is common in small batches and harmless. For a language
    model, the median of five rows is enough when it is above three times that limit. It is only information while the
    return of an environment has risen and stands at its best, unless the median is above five times the limit and the
    return of 40 rows has fallen by its noise.
    When it is wrong: Some estimators are summed over sequences instead of averaged.
    Source: Spinning Up and Stable-Baselines3 stop an update at 1.5 times target_kl, and 0.02 is the usual warning
    (known from the literature); healthy runs of faultbench stay below 0.011 in every such window.
    """
    name, target = "kl_policy_update", setting(f, "target_kl")
    usual, newest = f.median(name, 20), f.median(name, 5)
    limit = 1.5 * target if target > 0 else 0.03
    learns, sudden = is_still_learning(f), newest > FAR * limit and not about_episodes(f)
    usual = newest if sudden else usual
    gain, noise = f.gain("reward_mean", 40), f.noise("reward_mean", 20)
    learns = learns and not (usual > FARTHER * limit and gain < -noise)
    if usual > limit and "seq_sum" not in f.estimator("kl_policy_update"):
        message = f"one update typically moves the policy by {usual:.3g} nats; {limit:.3g} is the limit"
        return Signal(value=usual, limit=limit, message=message, severity="info" if learns else None)
    return None


@rule(
    "CLIP004",
    "one-sided-clipping",
    severity="info",
    tier=2,
    needs=("clip_frac_low", "clip_frac_high"),
    rows=3,
    algorithms=CLIPPED,
    unless=_sequence_ratio,
    causes=(
        "advantages of one sign dominate: they are not centred, or nearly all samples of a group succeed or fail",
        "the clip range is not symmetric",
    ),
    fixes=("check that advantages are centred: {normalize_advantage}", "compare {clip_range} and {clip_high}"),
)
def one_sided(f: Frame) -> Signal | None:
    """Fires when nearly all clipping happens on one side of the clip range.

    Why it matters: Probabilities are only pushed up, or only pushed down. When the upper side is clipped, unlikely
    tokens cannot grow and entropy falls.
    How it is computed: The median clip fractions of both sides over 20 rows add up to more than 1 %, and one side has
    more than 90 % of the medians and of the means, on three rows in a row.
    When it is wrong: A wider upper clip (clip-higher) makes the lower side dominate on purpose. This rule only gives
    information.
    Source: A share of 0.9 on one side comes from the catalogue; 1 % is our own choice, because below it single tokens
    decide. No finding on the healthy fixtures that log both sides; detection was not measured, as the corpus has no
    such fault.
    """
    low, high = f.mean("clip_frac_low", 20), f.mean("clip_frac_high", 20)
    low_usual, high_usual = f.median("clip_frac_low", 20), f.median("clip_frac_high", 20)
    whole, usual = low + high, low_usual + high_usual
    share = max(low, high) / whole if whole > 0 else 0.0
    if usual > 0.01 and share > 0.9 and max(low_usual, high_usual) > 0.9 * usual:
        side = "upper" if high > low else "lower"
        message = f"{share:.0%} of all clipping over 20 updates is at the {side} side of the clip range"
        return Signal(value=share, limit=0.9, message=message)
    return None


@rule(
    "CLIP006",
    "ratio-variance-up",
    severity="warn",
    tier=2,
    needs=("ratio_var",),
    algorithms=CLIPPED,
    causes=(
        "the learning rate is too high, or there are too many passes over each batch",
        "rollouts are older than before, or come from an engine with other weights",
        "a few tokens have become very unlikely under the old policy",
    ),
    fixes=("lower {lr}", "lower {epochs}", "check {staleness} and that {rollout_engine} gets the new weights"),
)
def ratio_variance(f: Frame) -> Signal | None:
    """Fires when the variance of the importance ratio is suddenly several times what it was.

    Why it matters: Gradients are weighted by the ratio. When its variance grows, so does theirs, and clipping decides
    more.
    How it is computed: The robust line test on the logarithm of the variance finds three rows that are five scales (at
    least 0.2) off the line, three times the past, and above 1e-4. It is a warning when the update KL or the clip
    fraction has doubled as well, otherwise information.
    When it is wrong: An estimate from few tokens jumps with single tokens; that is why a second witness is asked for.
    Source: The line test was measured on real logs; an upward shift of the ratio variance comes from the catalogue. No
    finding on the fixtures that log it; detection was not measured, as the corpus has no such fault.
    """
    leap, past, level = (
        f.leap("ratio_var", log=True, floor=0.2),
        f.past("ratio_var", before=3),
        f.median("ratio_var", 3),
    )
    kl, clipped = f.median("kl_policy_update", 3), f.median("clip_frac", 3)
    kl_past, clipped_past = f.past("kl_policy_update", before=3), f.past("clip_frac", before=3)
    if leap >= 5 and level > 3 * past and level > 1e-4:
        further = kl > 2 * kl_past or clipped > 2 * max(clipped_past, 0.005)
        message = f"the variance of the ratio went from {past:.3g} to {level:.3g}"
        return Signal(value=level, limit=3 * past, message=message, severity=None if further else "info")
    return None


def _sequences(context: Context) -> str | None:
    whole = context.algorithm == "rloo" or context.config.get("importance_sampling_level") == "sequence"
    return "the ratio is that of whole sequences, which leaves its range at once" if whole else episodic(context)


@rule(
    "CLIP008",
    "disagreement-before-any-update",
    severity="warn",
    tier=3,
    needs=("clip_frac", "kl_policy_update"),
    algorithms=CLIPPED,
    unless=_sequences,
    causes=(
        "old and new log-probabilities cover different tokens: attention mask, padding or position ids differ",
        "the temperature is applied on one side only",
        "dropout is on in one of the two passes",
        "old log-probabilities come from the rollout engine, whose weights or precision differ",
    ),
    fixes=(
        "compare both log-probabilities of one batch, token by token, before the first optimiser step",
        "turn off {dropout} in both passes; recompute old log-probabilities with the trainer",
        "check {temperature} on both sides",
    ),
)
def disagreement_before_any_update(f: Frame) -> Signal | None:
    """Fires when ratios are clipped and the update KL is large on each of the first rows, at a small learning rate.

    Why it matters: This is CLIP001 for logs without the ratio of the first mini-batch. Before the weights have moved,
    both log-probabilities belong to one policy, so any difference comes from the computation.
    How it is computed: On each of the first three rows, more than 10 % of the ratios are clipped and the update KL is
    above 0.05 nats, while the learning rate is at most 2e-5. These rows differ by less than a factor of two, because an
    update that moved the policy would not begin at its full size.
    When it is wrong: Asynchronous rollouts, or dozens of updates on each batch, look the same.
    Source: An identity (see CLIP001); verl#6278 (0.42 and 0.31 at the first step with a rate of 1e-6). 10 %, 0.05 and
    2e-5 are our own choice; no finding on the healthy runs of the corpora.
    """
    clipped, kl, lr = f.min("clip_frac", ROWS), f.min("kl_policy_update", ROWS), f.highest("lr", before=0)
    most, count = f.max("kl_policy_update", ROWS), f.count("clip_frac")
    if count == ROWS and clipped > CLIPPED_SHARE and kl > UPDATE_KL and most < 2 * kl and lr <= SMALL:
        message = (
            f"old and new log-probabilities disagree before any update can have moved the policy: "
            f"{clipped:.0%} of the ratios are clipped and the update KL is {kl:.3g} from the first row on"
        )
        return Signal(value=kl, limit=UPDATE_KL, message=message, metric="kl_policy_update")
    return None
