"""OPT: the optimiser runs but does nothing, or does what nobody asked for."""

from __future__ import annotations

from rldk.core.algorithms import GROUP
from rldk.rules.before.stated import schedule_that_ends_early
from rldk.rules.evidence import factor
from rldk.rules.knobs import setting
from rldk.rules.rule import Frame, Signal, rule

STILL_ROWS, ALONE_ROWS = 3, 5
STILL_KL, STILL_RATIO = 1e-9, 2e-6
REDUCED_LR = 0.05  # below this share of its largest value a learning rate counts as off
JUMP = 3.0
LAST_DECIMAL, FINE = 1e-8, 10  # of rates printed with eight decimals; fewer such steps are a coarse rate
FP16_FLOOR = 1.0
FP16_ONCE = 256.0
NO_GRADIENT = 1e-8
LIVE_GROUPS = 0.9
APART_ROWS, APART_GROUPS = 20, 0.7  # where fraction and norm are not of the same step


def _signal_gone(f: Frame) -> bool:
    """Whether this row has nothing to learn from, so that standing still is right: no gradient, or equal rewards."""
    return f["grad_norm"] == 0 or f["grad_norm_policy"] == 0 or f["zero_std_group_frac"] > 0.99


@rule(
    "OPT001",
    "policy-does-not-move",
    severity="critical",
    tier=0,
    each=("ratio_mean", "weights_changed_frac"),
    causes=(
        "the optimiser holds other parameters than the model that computes the loss (built before wrapping, PEFT "
        "adapter loaded frozen, weights replaced after the optimiser was made)",
        "optimizer.step() is skipped: gradient accumulation that never completes, a loss scaler that always skips",
        "gradients are zeroed before the step",
    ),
    fixes=(
        "hash a few trainable parameters before and after one optimiser step",
        "count the trainable parameters in {optimizer}'s parameter groups; build it after the model is wrapped",
        "check {grad_accum}",
    ),
)
def policy_does_not_move(f: Frame) -> Signal | None:
    """Fires when the policy does not change at all although there are gradients and a learning rate.

    Why it matters: The run logs losses, gradients and rewards as usual, and learns nothing.
    How it is computed: A hook in the trainer compares the weights before and after an optimizer step, first on a fixed
    sample, then on all of them. No weight has changed at two measured steps in a row. Without a hook there is a form
    for scalars: on three rows in a row, the update KL is 0 and the mean ratio 1 within float32 rounding (1e-9 and
    1e-6), and both had moved before. Where no update KL is logged, the ratio is exactly 1 on five rows. The rule is
    quiet while the learning rate is below 5 % of its largest value (OPT004 reports that), while the gradient is exactly
    0, or while every group has one reward.
    When it is wrong: With purely on-policy updates both are constant from the start, which is why they must have moved
    before; a run that turns on-policy midway looks the same. Logs printed with few decimals, which show both as
    constant, are not judged. Without a logged learning rate, the end of a schedule could look the same, so the last 5 %
    of the declared steps are not looked at. Pure bf16 weights can swallow a small update whole, which is a fault as
    well (GRAD010).
    Source: An identity; three rows were measured on small trainings (12 of 108 faulty runs, none of 86 healthy ones);
    trl#6700 (a complete-looking run with identical weights).
    """
    if f.metric == "weights_changed_frac":
        return _no_weight_moves(f)
    kl, ratio, lr, rows = "kl_policy_update", "ratio_mean", f["lr"], STILL_ROWS
    kl_still = f.share(kl, rows, above=-STILL_KL, below=STILL_KL) == 1.0
    still, alone = f.share(ratio, rows, above=1 - STILL_RATIO, below=1 + STILL_RATIO) == 1.0, f.repeats(ratio)
    kl_high, kl_low = f.highest(kl, before=rows), f.lowest(kl, before=rows)
    ratio_high, ratio_low, top = f.highest(ratio, before=rows), f.lowest(ratio, before=rows), f.highest("lr", before=0)
    printed = max(f.rounded(ratio), f.rounded(kl))
    if lr <= REDUCED_LR * top or (lr != lr and f.progress() > 0.95) or _signal_gone(f):
        return None
    moved = ratio_high > 1 + 10 * STILL_RATIO or ratio_low < 1 - 10 * STILL_RATIO
    if printed > STILL_RATIO:
        return None
    if f.stated(kl):
        quiet = still and kl_still and (kl_high > 10 * STILL_KL or kl_low < -10 * STILL_KL)
    else:
        quiet = still and alone >= ALONE_ROWS
    if quiet and moved:
        beside = (
            "its update KL is 0 and its ratio is 1" if f.stated(kl) else f"its ratio is exactly 1 on {alone:.0f} rows"
        )
        return Signal(value=0.0, limit=0.0, message=f"the policy has stopped moving: {beside}")
    return None


def _no_weight_moves(f: Frame) -> Signal | None:
    """The form on weights: two measured steps in a row at which not one of them has changed."""
    most, looks = f.max("weights_changed_frac", 2), f.count("weights_changed_frac")
    rate, gradient = f.ewma("lr_largest_group", 1.0), f.ewma("grad_norm_update", 1.0)
    if most != 0 or rate == 0 or gradient == 0:
        return None
    message = f"not one trainable weight changed in the last optimizer steps ({looks:.0f} were looked at so far)"
    return Signal(value=0.0, limit=0.0, message=message)


@rule(
    "OPT002",
    "zero-policy-gradient",
    severity="critical",
    tier=0,
    each=("grad_norm", "grad_norm_policy", "grad_norm_update"),
    needs=("zero_std_group_frac",),
    algorithms=GROUP,
    rows=3,
    causes=(
        "the ratio or the log-probability is detached, so that the policy term is a constant",
        "every response token is masked (all truncated, or all rejected by an off-policy mask)",
        "no parameter requires a gradient",
    ),
    fixes=(
        "take one batch and compare the gradient of the loss with a finite difference",
        "check {mask_truncated} against the truncated fraction, and {is_correction} against the rejected fraction",
    ),
)
def zero_policy_gradient(f: Frame) -> Signal | None:
    """Fires when the rewards within groups differ, so there are advantages, but the gradient is still zero.

    Why it matters: Advantages that are not zero must give a gradient. Without one, nothing is learnt.
    How it is computed: The gradient norm is below 1e-8 while fewer than 90 % of the groups have one reward, on three
    such rows in a row. Where a row is a mean over several steps (TRL's `logging_steps`), the norm is still that of the
    last step alone, and all groups of that step may have agreed. The rule then needs 20 such rows in a row, with fewer
    than 70 % of such groups (a running mean). It does not look at rows without both metrics (update-only rows) or at
    norms printed with few decimals.
    When it is wrong: 0 may stand for "not measured".
    Source: An identity for exact zeros; mlx-lm-lora#55, ms-swift#5890, trl#3857. With one group a step, the groups of
    20 last steps in a row all agree with a chance of 0.7^20 = 8e-4 at most; 20 and 70 % are our own choice.
    """
    name = f.metric
    norm, same, usual = f[name], f["zero_std_group_frac"], f.ewma("zero_std_group_frac", 0.1)
    zeros, printed, steps = f.repeats(name), f.rounded(name), f.averaged(name)
    if steps != f.averaged("zero_std_group_frac") and not (zeros >= APART_ROWS and usual < APART_GROUPS):
        return None
    if norm < NO_GRADIENT and same < LIVE_GROUPS and printed <= NO_GRADIENT:
        return Signal(
            value=norm,
            limit=NO_GRADIENT,
            message=f"{f.metric} is {norm:.3g} although {100 * (1 - same):.0f} % of the groups have differing rewards",
        )
    return None


@rule(
    "OPT003",
    "learning-rate-off-schedule",
    severity="warn",
    tier=0,
    needs=("lr",),
    causes=(
        "a scheduler was replaced, restarted or stepped with another base rate (a resume, a new parameter group)",
        "the rate was changed by hand or by a callback",
        "the rate is multiplied by the number of workers or micro-batches",
    ),
    fixes=("check {lr}, {lr_schedule} and {warmup}", "after a resume, restore the scheduler's state: {resume}"),
)
def learning_rate_off_schedule(f: Frame) -> Signal | None:
    """Fires when the learning rate jumps above all its earlier values, or above the rate that the configuration
    declares.

    Why it matters: No schedule in use raises the rate after its warm-up, and a jump can undo a policy within a few
    steps.
    How it is computed: This is a form for scalars of comparing with the declared schedule. The rate is more than 3
    times its largest value so far, and that largest value is at least 3 rows old, so that a warm-up (which sets a new
    maximum on every row) cannot fire. Where the configuration carries the base rate, more than 1 % above it fires,
    because every schedule of the supported trainers multiplies the base rate by at most 1. With an approved run as
    reference, the median of five rows must be off that run's rate at this step by a factor of 3.
    When it is wrong: A second stage with a much larger rate may be planned, or the configuration may not be the one in
    use.
    Source: Factor 3 was measured on small trainings (10 of 10 jumps, none of 86 healthy runs); verl#3674, verl#418. The
    3 rows are our own choice.
    """
    lr, declared, approved = f["lr"], setting(f, "lr"), f.reference("lr")
    usual = f.median("lr", 5)
    top, settled = f.highest("lr"), f.highest("lr", before=4)
    if lr > JUMP * top and top == settled and top > 0:
        message = f"the learning rate rose from {top:g} to {lr:g} ({lr / top:.3g}x its largest value so far)"
        return Signal(value=lr, limit=JUMP * top, message=message)
    if declared > 0 and lr > 1.01 * declared:
        message = f"the learning rate is {lr:g}, {lr / declared:.3g}x the configured {declared:g}"
        return Signal(value=lr, limit=declared, message=message)
    if approved > 0 and usual > 0 and factor(usual, approved) > JUMP:
        message = f"the learning rate is {lr:g} where the reference run had {approved:g}"
        return Signal(value=lr, limit=approved, message=message)
    return None


@rule(
    "OPT004",
    "learning-rate-zero",
    severity="critical",
    tier=0,
    each=("lr", "lr_value"),
    before=schedule_that_ends_early,
    causes=(
        "the scheduler was made for fewer steps than the run has, or is stepped once per micro-batch or per worker",
        "a resumed run restarted or overran its schedule",
    ),
    fixes=(
        "step the scheduler once per optimiser step and give it the real number of steps: {total_steps}, {warmup}",
        "check {lr_schedule}",
    ),
)
def learning_rate_zero(f: Frame) -> Signal | None:
    """Fires when the learning rate is exactly 0 although its schedule had not come down to 0, or when it stays 0.

    Why it matters: Nothing is learnt from here on, at full cost.
    How it is computed: The rate was above 5 % of its largest value, its course over the last two rows would have left
    it above 5 %, and it is 0 on two rows in a row. (A schedule that ends at 0 reaches it once, and approaches it.) A
    rate that came down to 0 as planned and stays there for 10 rows is a warning, because training goes on after the
    schedule's end. A rate that has been 0 from the first row is judged only with a witness: the update KL was within
    1e-8 of 0 on ten rows, too. Where the log prints few decimals, a 0 counts as the number that it may stand for: it
    never counts from the first row on, and later only below 5 % of the largest rate. A rate that was last a whole
    number of 1e-8 may have been printed with eight decimals. Its 0 counts only where that decimal is below 5 % of the
    largest rate, and for the ten rows only where the rate was ten such steps or more. `rldk preflight` adds up the
    phases of a warm-up, stable, decay schedule that ends at 0 (transformers): they are fewer steps than `max_steps`.
    When it is wrong: A run may be kept going on purpose after its schedule.
    Source: 5 % and exact zero were measured on small trainings (none of 86 healthy runs, which end their schedules at
    0). The 10 rows are our own choice. 1e-8 covers float32 rounding of a ratio of 1 (1e-10 seen in SB3 with a rate of
    0); verl#3674, nanotron PR#423, ms-swift#3136.
    """
    name = f.metric
    lr, zeros, top = f[name], f.repeats(name), f.highest(name)
    last, before, earlier = f.previous(name), f.previous(name, 2), f.previous(name, 3)
    still = f.share("kl_policy_update", 10, above=-1e-8, below=1e-8)
    again, printed = f.previous("step") == f["step"], f.rounded(name)
    if printed > 0 and not printed < REDUCED_LR * top:
        return None
    if name == "lr" and lr == 0 and top == 0 and zeros >= 10 and still == 1:
        message = f"the learning rate has been exactly 0 for all {zeros:.0f} rows and no update has moved the policy"
        return Signal(value=0.0, message=message)
    steps = f.departed(name) / LAST_DECIMAL
    coarse = 0 < steps < FINE and abs(steps - round(steps)) < 1e-3
    if not (lr == 0 and top > 0) or again or (coarse and (zeros >= 10 or top < FINE * LAST_DECIMAL)):
        return None
    expected = 2 * before - earlier
    if zeros == 2 and last == 0 and before > REDUCED_LR * top and expected > REDUCED_LR * top:
        return Signal(value=0.0, limit=expected, message=f"{name} fell from {before:g} to exactly 0")
    if zeros >= 10:
        return Signal(
            value=0.0, message=f"{name} has been exactly 0 for {zeros:.0f} rows, and training goes on", severity="warn"
        )
    return None


@rule(
    "OPT007",
    "loss-scale-collapsed",
    severity="warn",
    tier=1,
    needs=("loss_scale",),
    rows=3,
    causes=(
        "gradients overflow half precision on nearly every step, so that steps are skipped and the scale is halved",
        "activations or the k3 KL term are beyond what fp16 can hold",
    ),
    fixes=("train in bfloat16: {dtype}", "lower {lr} and look for the first overflowing layer"),
)
def loss_scale_collapsed(f: Frame) -> Signal | None:
    """Fires when the fp16 loss scale has been halved down to its floor.

    Why it matters: Every halving was a skipped update. At the floor, small gradients vanish and overflows go on.
    How it is computed: The scale is at most 1 on three rows and was at least 256 before.
    When it is wrong: The scale may have been set to 1 on purpose.
    Source: 1 is DeepSpeed's `min_loss_scale`, at which it gives up; PyTorch's GradScaler starts at 65536. The 256 is
    our own choice: eight skipped steps.
    """
    scale, top = f["loss_scale"], f.highest("loss_scale")
    if scale <= FP16_FLOOR and top >= FP16_ONCE:
        return Signal(value=scale, limit=FP16_FLOOR, message=f"the loss scale fell from {top:g} to {scale:g}")
    return None


@rule(
    "OPT008",
    "updates-without-effect",
    severity="warn",
    tier=3,
    each=("grad_norm", "grad_norm_policy"),
    needs=("kl_policy_update", "lr"),
    rows=5,
    causes=(
        "the update does not reach the model that is sampled and scored (a copy, a frozen adapter, lost bf16 updates)",
        "clip or trust-region settings cancel every update",
    ),
    fixes=(
        "hash a few trainable parameters before and after one optimiser step",
        "raise {lr} if weights are kept in bfloat16: updates below the rounding step are lost ({dtype})",
    ),
)
def updates_without_effect(f: Frame) -> Signal | None:
    """Fires when gradients and learning rate are as large as before but the policy has nearly stopped moving.

    Why it matters: A training that stands still looks like a plateau.
    How it is computed: On five rows in a row, the gradient norm is above 30 % of its own past median and the learning
    rate is above half of its largest value, while the size of the update KL is below 1 % of its own past (the larger of
    the median's size and the scatter, over at least 20 rows).
    When it is wrong: The state of an optimiser may be so large that it swallows the gradients for a while.
    Source: Our own choice: three signals in causal order. "Nothing is clipped" alone was a consequence of something
    else in 15 of 22 findings on small trainings, so it is not used.
    """
    norm, kl, lr = f[f.metric], abs(f["kl_policy_update"]), f["lr"]
    usual = f.past(f.metric, before=5, least=20)
    level, scatter = f.past("kl_policy_update", before=5, least=20), f.mad("kl_policy_update", 20, before=5)
    top = f.highest("lr", before=0)
    size = max(abs(level), scatter)
    if norm > 0.3 * usual and lr > 0.5 * top and kl < 0.01 * size:
        return Signal(
            value=kl,
            limit=0.01 * size,
            metric="kl_policy_update",
            message=f"an update moves the policy by only {kl:.2g} nats ({size:.2g} before), at gradients as before",
        )
    return None
