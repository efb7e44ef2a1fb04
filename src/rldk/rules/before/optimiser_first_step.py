"""OPT: what one optimizer step of the user's own script shows."""

from __future__ import annotations

import math
from functools import partial

from rldk.rules.rule import Signal, rule
from rldk.rules.setup import SetupView

_WARMED_UP = 3  # a warm-up that begins at 0 has a rate by its third step
_step_rule = partial(rule, tier=0, data="T", subject="setup", needs=("first_step",))


@_step_rule(
    "OPT033",
    "first-step-not-reached",
    severity="critical",
    causes=("the script ended with an error", "a download, a rollout server or a lock is waited for"),
    fixes=("read the last lines that the script printed", "raise the time limit: --time-limit"),
)
def first_step_not_reached(s: SetupView) -> Signal | None:
    """Fires when the script ended, or its time was up, before it made an optimizer step.

    Why it matters: It would have done so on the expensive machine, after its model was loaded.
    How it is computed: The hooks in torch.optim saw no step before the script ended or the time limit was reached.
    When it is wrong: The script may use an optimizer that is not of torch, which the hooks cannot see.
    Source: An identity.
    """
    step = s.first_step
    if step is None or step.reached:
        return None
    return Signal(value=0.0, limit=1.0, metric="optimizer", message=f"no optimizer step was made: {step.outcome}")


@_step_rule(
    "OPT034",
    "weights-do-not-move",
    severity="critical",
    needs=("first_step.moved",),
    causes=(
        "the learning rate is 0 at the first step (warm-up from 0 is normal at the very first)",
        "the optimizer holds other tensors than the model (it was built before the model was wrapped)",
        "weights in 16 bits are too coarse for so small a step",
    ),
    fixes=("build the optimizer after the last change of the model", "keep the trained weights in 32 bits"),
)
def weights_do_not_move(s: SetupView) -> Signal | None:
    """Fires when an optimizer step with gradients and a learning rate changes no weight.

    Why it matters: Loss and gradient norm are logged as usual, and the saved model is the one that was loaded.
    How it is computed: A sample of each tensor is compared before and after the step, bit by bit. Some gradient is not
    zero, and nothing has changed. With a learning rate of 0, the next two steps are looked at as well.
    When it is wrong: Never for what the optimizer holds; a fixed loss scale may skip its first steps.
    Source: trl#6700, mlx-lm-lora#50; OPT001 of the rule catalogue.
    """
    step = s.first_step
    if step is None or not step.reached or step.moved is None or step.moved > 0 or not step.tensors:
        return None
    dead = step.zero is not None and step.without_gradient is not None
    if dead and (step.zero or 0) + (step.without_gradient or 0) >= step.tensors:
        return None  # that is GRAD031
    tried = int(step.numbers.get("steps") or 1)
    if step.lr is not None and step.lr <= 0 and tried < _WARMED_UP:
        return None
    rate = "" if step.lr is None else f" with a learning rate of {step.lr:.3g}"
    some = "the step" if tried == 1 else f"{tried} steps"
    message = f"{some} changed none of {step.tensors} tensors{rate}"
    return Signal(value=0.0, limit=1.0, metric="weights", message=message)


@_step_rule(
    "OPT035",
    "parameters-outside-the-optimizer",
    severity="warn",
    needs=("first_step.stray",),
    causes=(
        "a head or an adapter was added after the optimizer was built",
        "a filter of parameter groups is too narrow",
    ),
    fixes=("build the optimizer from all parameters that want a gradient, after the last change of the model",),
)
def parameters_outside(s: SetupView) -> Signal | None:
    """Fires when parameters want a gradient and no optimizer holds them.

    Why it matters: They get gradients, count in the gradient norm, and never change.
    How it is computed: Parameters that had a gradient at the step, of any module that made a forward pass, which are in
    no parameter group of the optimizer that stepped. Reported where they are at least 1 % of what is trained.
    When it is wrong: A second optimizer may step later.
    Source: OPT006 of the rule catalogue; mlx-lm-lora#55.
    """
    step = s.first_step
    if step is None or not step.reached or not step.stray or not step.held:
        return None
    if step.stray < 0.01 * step.held:
        return None
    message = f"{step.stray:,} parameters had a gradient, and the optimizer does not hold them (it holds {step.held:,})"
    return Signal(value=float(step.stray), limit=0.0, metric="optimizer", message=message)


@_step_rule(
    "OPT036",
    "first-loss-not-finite",
    severity="critical",
    needs=("first_step.loss",),
    causes=("all labels or tokens of the first batch are masked", "a reward is NaN", "float16 overflowed"),
    fixes=("look at the first batch: labels, masks and rewards", "train in bfloat16"),
)
def first_loss_not_finite(s: SetupView) -> Signal | None:
    """Fires when the loss of the first step is NaN or infinite.

    Why it matters: Every weight is NaN after that step.
    How it is computed: The value that backward() was called on, first of all in the script.
    When it is wrong: A loss scaler may skip the step.
    Source: GRAD001 of the rule catalogue; an identity.
    """
    step = s.first_step
    if step is None or step.loss is None or math.isfinite(step.loss):
        return None
    return Signal(value=step.loss, metric="loss", message=f"the loss of the first step is {step.loss}")
