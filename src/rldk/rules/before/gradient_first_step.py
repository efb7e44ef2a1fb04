"""GRAD: the gradients of the first optimizer step."""

from __future__ import annotations

from functools import partial

from rldk.rules.rule import Signal, rule
from rldk.rules.setup import SetupView

_step_rule = partial(rule, tier=0, data="T", subject="setup", needs=("first_step",))


@_step_rule(
    "GRAD030",
    "first-gradient-not-finite",
    severity="critical",
    needs=("first_step.broken",),
    causes=("a division by zero in the loss (a mask without tokens)", "float16 overflowed", "a reward is NaN"),
    fixes=("look at the first batch: labels, masks and rewards", "train in bfloat16"),
)
def first_gradient_not_finite(s: SetupView) -> Signal | None:
    """Fires when a gradient of the first step is NaN or infinite.

    Why it matters: The step writes NaN into the weights, and clipping spreads it over all of them.
    How it is computed: Every gradient that the optimizer is about to use is tested.
    When it is wrong: A loss scaler of float16 finds its scale in the first steps and skips them.
    Source: GRAD001 of the rule catalogue; an identity.
    """
    step = s.first_step
    if step is None or not step.broken:
        return None
    message = f"{step.broken} of {step.tensors} gradients of the first step are not finite"
    return Signal(value=float(step.broken), limit=0.0, metric="grad_norm", message=message)


@_step_rule(
    "GRAD031",
    "first-gradient-zero",
    severity="critical",
    needs=("first_step.zero",),
    causes=(
        "every group of the first batch has one reward (advantages are 0)",
        "the loss is detached from the model, or all of its tokens are masked",
        "checkpointing of activations without inputs that want gradients",
    ),
    fixes=("look at rewards and masks of the first batch", "call model.enable_input_require_grads() with adapters"),
)
def first_gradient_zero(s: SetupView) -> Signal | None:
    """Fires when all gradients of the first step are missing or exactly zero.

    Why it matters: Nothing is learnt from such a batch. If the loss is detached, nothing is learnt from any.
    How it is computed: Every tensor that the optimizer holds has no gradient, or one whose entries are all zero.
    When it is wrong: The first groups of a hard task may all be wrong by chance: a warning for GRPO and RLOO, critical
    elsewhere.
    Source: OPT002 of the rule catalogue; an identity.
    """
    step = s.first_step
    if step is None or not step.reached or not step.tensors or step.zero is None or step.without_gradient is None:
        return None
    if step.zero + step.without_gradient < step.tensors:
        return None
    grouped = s.algorithm in ("grpo", "rloo")
    message = f"all {step.tensors} tensors of the optimizer have no gradient, or one that is exactly zero"
    return Signal(value=0.0, metric="grad_norm", message=message, severity="warn" if grouped else "critical")
