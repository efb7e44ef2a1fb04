"""OPT and GRAD, from the first row on: weights that do not move, no gradient, a loss that only gets worse."""

from __future__ import annotations

import math

from rldk.core.algorithms import BY_LOSS, CLIPPED, REWARD_MODEL, SUPERVISED
from rldk.rules.rule import Context, Frame, Signal, rule

UNMOVED_KL = 1e-6
UNMOVED_ENTROPY = 1e-3  # of its largest value
SAME_LOSS = 0.01
SAME_ENTROPY = 0.003
SAME_ROWS = 3


@rule(
    "OPT012",
    "policy-has-never-moved",
    severity="warn",
    tier=3,
    needs=("kl_policy_update", "entropy"),
    algorithms=CLIPPED,
    causes=(
        "the optimiser holds no parameter of the policy, or its step is skipped",
        "the learning rate is so small that updates are lost in rounding",
        "gradients are zeroed or detached before the step",
    ),
    fixes=(
        "hash a few trainable parameters before and after one optimiser step",
        "build {optimizer} after the model is wrapped; check {lr} and {grad_accum}",
    ),
)
def policy_has_never_moved(f: Frame) -> Signal | None:
    """Fires when no update so far has moved the policy, and its entropy has not moved either.

    Why it matters: This is OPT001 for runs that never moved. A training that stands still looks like a hard task.
    How it is computed: On all of at least ten rows the update KL is within 1e-6 of 0 and nothing is clipped. Either the
    KL to the reference is that small, too, or none is logged and the entropy has stayed within 0.1 % of its largest
    value. The last known learning rate is not 0 (OPT011, OPT004). Rewards must have differed, because otherwise there
    is nothing to move for (REW001, REW015). The rule is also quiet while the explained variance is NaN on every row:
    the returns of each batch are then all the same, as in tiny batches of easy or hopeless tasks. Logs that print an
    update KL of 1e-6 as 0 are not judged.
    When it is wrong: The learning rate may be small on purpose, in the first rows. With one pass over each batch, the
    update KL is 0 by construction, but the entropy still moves.
    Source: Two identities of weights that do not change (F01 of the rule catalogue). Ten rows and 0.1 % are our own
    choice; 1e-6 covers float32 rounding of the k3 estimator. Measured on small PPO trainings of CleanRL and
    Stable-Baselines3 whose optimiser does not step: update KL 1e-9 to 1.3e-7, while healthy ones are above 1e-4 on most
    rows.
    """
    name, clipped, lr = "kl_policy_update", f.highest("clip_frac", before=0), f.ewma("lr", 1.0)
    high, low, count = f.highest(name, before=0), f.lowest(name, before=0), f.count(name)
    most, least = f.highest("entropy", before=0), f.lowest("entropy", before=0)
    kl_high, kl_low, kl_repeats = f.highest("kl", before=0), f.lowest("kl", before=0), f.repeats("kl")
    at_reference = kl_low > -UNMOVED_KL and kl_high < UNMOVED_KL and kl_repeats < count
    stuck = most - least < UNMOVED_ENTROPY * abs(most)
    stuck = stuck and not (kl_high >= UNMOVED_KL or kl_low <= -UNMOVED_KL)
    printed, best, worst = f.rounded(name), f.highest("reward_mean", before=0), f.lowest("reward_mean", before=0)
    still = low > -UNMOVED_KL and high < UNMOVED_KL and not clipped > 0
    unvaried = f.broken("value_explained_variance") >= count
    if printed > UNMOVED_KL or best == worst or unvaried:
        return None
    if still and count >= 10 and (stuck or at_reference) and lr != 0.0:
        beside = f"entropy stays at {most:.4g}" if stuck else "so is the KL to the reference"
        message = f"on all {count:.0f} rows the update KL is below {UNMOVED_KL:g} and {beside}"
        return Signal(value=f[name], limit=UNMOVED_KL, message=message)
    return None


@rule(
    "OPT014",
    "same-update-again",
    severity="warn",
    tier=2,
    needs=("loss", "grad_norm"),
    causes=(
        "updates no longer change the weights: the optimiser's step is skipped, or it holds other parameters",
        "the learning rate is too small for the precision of the weights",
    ),
    fixes=(
        "hash a few trainable parameters before and after one optimiser step",
        "check {lr}, {optimizer} and the loss scaler",
    ),
)
def same_update_again(f: Frame) -> Signal | None:
    """Fires when three updates in a row have bitwise the same loss and gradient norm, which never happened before.

    Why it matters: Several updates are made on each batch, and the second one must see the weights that the first one
    left.
    How it is computed: Loss and gradient norm each equal those of the row before on two rows in a row, and neither is
    0. None of at least twenty earlier rows had such a repetition. The learning rate is not 0.
    When it is wrong: A logger may begin to write its last values again.
    Source: An identity of deterministic code; twenty rows are our own choice. It names one small TRL GRPO training
    whose optimiser no longer steps, and warns on none of 98 healthy ones that log both.
    """
    loss, norm, count = f["loss"], f["grad_norm"], f.count("grad_norm")
    losses, norms, before = f.repeats("loss"), f.repeats("grad_norm"), f.longest_run("grad_norm")
    same = losses >= SAME_ROWS and SAME_ROWS <= norms < count
    if same and loss != 0.0 and norm != 0.0 and before < SAME_ROWS and count >= 20 + SAME_ROWS and f["lr"] != 0.0:
        message = f"loss ({loss:.4g}) and gradient norm ({norm:.4g}) are bitwise the same on three rows in a row"
        return Signal(value=norm, message=message)
    return None


def _other(context: Context) -> str | None:
    known = context.algorithm in SUPERVISED | REWARD_MODEL
    return None if known else "defined for sft, reward_model; this log does not say that it is one of them"


@rule(
    "OPT013",
    "loss-does-not-move",
    severity="warn",
    tier=3,
    needs=("loss",),
    algorithms=SUPERVISED | REWARD_MODEL,
    unless=_other,
    rows=5,
    causes=(
        "the optimiser holds no trainable parameter, or its step is skipped",
        "gradients vanish: the loss is scaled to almost 0, or every label is masked",
        "the learning rate is far too low",
    ),
    fixes=(
        "hash a few trainable parameters before and after one optimiser step",
        "raise {lr}; build {optimizer} after adapters are added; check {grad_accum}",
    ),
)
def loss_does_not_move(f: Frame) -> Signal | None:
    """Fires when, after half of a supervised or reward-model training, neither the loss nor anything beside it has
    changed.

    Why it matters: The model that comes out is the one that went in.
    How it is computed: This is OPT008 for supervised losses. The rule looks from the 60th row on, and after half of a
    run of known length (after 200 rows of a run of unknown length). The mean loss of 40 rows is within 1 % of the
    median of the first 20, or its standard error allows no difference, and no row was below 70 % of that median. The
    median entropy, where it is logged, is within 0.3 % of its own first 20. The mean accuracy of tokens or pairs over
    40 rows is not above that of the first 20 rows by two standard errors.
    When it is wrong: A model that knows the data already may be fine-tuned with a very low rate.
    Source: Our own choice, after F01 of the rule catalogue (everything is flat although the rate is not 0). Measured on
    small SFT and reward-model trainings whose optimiser does not step.
    """
    loss, start, spread = f.mean("loss", 40), f.early("loss", 0, 20), f.std("loss", 40)
    entropy, entropy_start = f.median("entropy", 20), f.early("entropy", 0, 20)
    gains = [_gained(f, name) for name in ("token_accuracy", "pref_accuracy")]
    count, progress, lr = f.count("loss"), f.progress(), f.ewma("lr", 1.0)
    late = count >= 60 and (progress >= 0.5 or (progress != progress and count >= 200))
    same = abs(loss - start) < max(SAME_LOSS * abs(start), 2 * spread / math.sqrt(40)) and loss > 0.97 * start
    never = f.lowest("loss", before=0) > 0.7 * start
    if (
        not (late and same and never)
        or abs(entropy - entropy_start) > SAME_ENTROPY * entropy_start
        or any(gains)
        or lr == 0.0
    ):
        return None
    message = f"after {count:.0f} rows the loss is {loss:.4g}, as it was at first ({start:.4g}), and nothing else moved"
    return Signal(value=loss, limit=start, message=message)


def _gained(f: Frame, name: str) -> bool:
    now, start, spread = f.mean(name, 40), f.early(name, 0, 20), f.std(name, 40)
    return now > start + 2 * spread / math.sqrt(20)


def _other_loss(context: Context) -> str | None:
    """The reason to skip an unknown algorithm: the loss of a policy or of a value function may rise while it learns."""
    if context.algorithm in BY_LOSS:
        return None
    return "defined for sft, dpo and others whose loss should fall; this log does not say that it is one of them"


@rule(
    "OPT009",
    "loss-above-its-start",
    severity="warn",
    tier=2,
    needs=("loss",),
    algorithms=BY_LOSS,
    unless=_other_loss,
    rows=5,
    causes=(
        "the learning rate is far too high, or its warm-up too short",
        "labels or the sign of the loss are turned",
        "the data is of another kind than at the start",
    ),
    fixes=("lower {lr} by 10x, add {warmup}, and clip gradients: {max_grad_norm}", "look at the batch it began with"),
)
def loss_above_its_start(f: Frame) -> Signal | None:
    """Fires when the loss of supervised, preference or reward-model training stays well above where it began.

    Why it matters: The model is worse than the one that was loaded.
    How it is computed: This is VAL003 for losses without a critic. From the 30th row on, and on five rows in a row, the
    median of 10 rows is above the medians of the first five and of the first twenty rows by 25 % and by three times the
    row-to-row noise.
    When it is wrong: A curriculum may become harder, or a term of the loss may be switched on later.
    Source: Our own choice: these losses fall from the first step on in every healthy run. None of the healthy SFT, DPO,
    KTO and reward-model fixture logs comes near.
    """
    now, first, early = f.median("loss", 10), f.early("loss", 0, 5), f.early("loss", 0, 20)
    noise, count = f.noise("loss", 20), f.count("loss")
    start = max(first, early)
    if count >= 30 and start > 0 and now > 1.25 * start and now > start + 3 * noise:
        message = f"the loss began at {start:.3g} and is now {now:.3g}"
        return Signal(value=now, limit=1.25 * start, message=message)
    return None
