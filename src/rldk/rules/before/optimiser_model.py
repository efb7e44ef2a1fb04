"""OPT: what the model itself says about whether it can be trained."""

from __future__ import annotations

from functools import partial

from rldk.rules.rule import Signal, rule
from rldk.rules.setup import SetupView

_model_rule = partial(rule, tier=0, data="T", subject="setup", needs=("model",))
_HALF = ("float16", "torch.float16")


@_model_rule(
    "OPT030",
    "nothing-to-train",
    severity="critical",
    causes=("an adapter was loaded for inference (is_trainable=False)", "all layers were frozen"),
    fixes=("load the adapter with is_trainable=True", "call requires_grad_ on what is to be trained"),
)
def nothing_to_train(s: SetupView) -> Signal | None:
    """Fires when the model has no parameter that wants a gradient.

    Why it matters: The run looks complete and changes nothing.
    How it is computed: The number of parameters with requires_grad is 0.
    When it is wrong: The trainer may add an adapter later (a peft_config was given to the trainer).
    Source: trl#6700 (a complete run with an unchanged adapter); an identity.
    """
    m = s.model
    if m is None or m.trainable > 0:
        return None
    message = f"none of {m.parameters:,} parameters wants a gradient"
    return Signal(value=0.0, limit=1.0, metric="requires_grad", message=message)


@_model_rule(
    "OPT031",
    "trained-in-float16",
    severity="warn",
    causes=("the checkpoint is in float16 and was loaded as it is (dtype='auto')",),
    fixes=("load the model in float32 or bfloat16: dtype=torch.bfloat16",),
)
def trained_in_float16(s: SetupView) -> Signal | None:
    """Fires when parameters that are trained are held in float16.

    Why it matters: The gradient scaler refuses float16 parameters ("Attempting to unscale FP16 gradients"), and without
    one, gradients below 6e-8 are zero and those above 65504 infinite.
    How it is computed: Trainable parameters have the number format float16.
    When it is wrong: DeepSpeed keeps its own copy in 32 bits.
    Source: torch.amp.GradScaler; the range of float16 (an identity).
    """
    m = s.model
    held = 0 if m is None else sum(n for name, n in m.dtypes.items() if name in _HALF)
    if not held:
        return None
    message = f"{held:,} trainable parameters are held in float16"
    return Signal(value=float(held), limit=0.0, metric="dtype", message=message)


@_model_rule(
    "OPT032",
    "tied-weights-came-apart",
    severity="warn",
    needs=("model.tied",),
    causes=("one of the two was replaced or resized alone", "the checkpoint holds both and they differ"),
    fixes=("call model.tie_weights() after the last change, or set tie_word_embeddings to what is true",),
)
def tied_weights_apart(s: SetupView) -> Signal | None:
    """Fires when the configuration says that input and output embedding are one tensor, and they are two.

    Why it matters: Only one of the two is saved or synced to the rollout engine, which ties them again: it then samples
    from another model than the one that is trained.
    How it is computed: `tie_word_embeddings` is true and the two embeddings do not share memory.
    When it is wrong: An adapter on one of them (LoRA with modules_to_save) may part them on purpose.
    Source: verl PR#6334 (tied keys in checkpoints); an identity of the configuration.
    """
    m = s.model
    if m is None or not m.says_tied or m.tied is not False:
        return None
    message = "the configuration ties input and output embedding, and they are two tensors"
    return Signal(value=0.0, metric="tie_word_embeddings", message=message)
