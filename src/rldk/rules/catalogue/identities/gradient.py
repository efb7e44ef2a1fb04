"""GRAD: gradients that do not reach the optimizer, or a part of the model, or that are too small to be stored."""

from __future__ import annotations

from rldk.rules.rule import Frame, Signal, rule

LOST = 0.1  # of the weights that change
DEAD = 0.5  # of the parts of the model
LIVE_GROUPS = 0.9


@rule(
    "GRAD010",
    "updates-lost-in-rounding",
    severity="warn",
    tier=1,
    data="T",
    needs=("weights_changed_frac", "grad_norm_update"),
    rows=5,
    causes=(
        "weights are kept in bfloat16 and the update is below half of their last bit",
        "the learning rate is far too small",
    ),
    fixes=(
        "keep float32 master weights: {dtype}",
        "raise {lr}; use an optimizer with stochastic rounding or compensated sums",
    ),
)
def updates_lost_in_rounding(f: Frame) -> Signal | None:
    """Fires when an optimizer step changes hardly any weight although there is a gradient.

    Why it matters: The few weights that do move are those near 0. The run learns much less than its loss promises.
    How it is computed: A hook compares a fixed sample of the trainable weights before and after the step. Fewer than a
    tenth have changed, but some have, on five measured rows in a row.
    When it is wrong: A model that consists mostly of embeddings changes only the rows of tokens that occurred.
    Source: bfloat16 has 8 bits, so an update below 0.2 % of a weight is lost; a tenth and five rows are our own choice.
    A rule with a limit, so it is a warning; OPT001 is the exact form, when nothing changes.
    """
    changed, gradient, rate = f["weights_changed_frac"], f["grad_norm_update"], f.ewma("lr_largest_group", 1.0)
    if 0 < changed < LOST and gradient > 0 and rate != 0:
        message = f"the optimizer step changes only {changed:.1%} of the weights; the rest of the update is lost"
        return Signal(value=changed, limit=LOST, message=message)
    return None


@rule(
    "GRAD015",
    "no-gradient-at-the-optimizer",
    severity="critical",
    tier=0,
    data="T",
    needs=("grad_norm_update",),
    rows=3,
    causes=(
        "gradients are set to zero between backward and the optimizer step",
        "the loss does not depend on the parameters: it is detached, or a constant",
        "every token is masked, or every advantage is 0",
    ),
    fixes=(
        "call zero_grad after the optimizer step, or before backward",
        "check loss.requires_grad and its grad_fn; take the gradient of one batch by hand",
    ),
)
def no_gradient_at_the_optimizer(f: Frame) -> Signal | None:
    """Fires when the optimizer step sees a gradient of exactly 0 on every parameter.

    Why it matters: The step does nothing, or only weight decay, while the log shows a loss.
    How it is computed: A hook takes the norm of the gradients that the optimizer is about to use. It is exactly 0 on
    three measured rows in a row. The rule is quiet while 90 % of the groups or more have one reward, or while the
    advantages do not differ: zero is then the right gradient, and ADV001 reports the groups.
    When it is wrong: A step may be made without a backward pass on purpose, for example to begin a schedule.
    Source: An identity; mlx-lm-lora#55, ms-swift#5890, trl#3857. Three rows are our own choice.
    """
    norm, same, spread = f["grad_norm_update"], f.ewma("zero_std_group_frac", 0.5), f.ewma("advantage_std", 1.0)
    paid = f.ewma("reward_std", 1.0)
    if norm == 0 and not same >= LIVE_GROUPS and spread != 0 and paid != 0:
        return Signal(value=0.0, message="the optimizer step sees a gradient of exactly 0 on every parameter")
    return None


@rule(
    "GRAD016",
    "gradient-reaches-only-a-part",
    severity="warn",
    tier=0,
    data="T",
    needs=("grad_dead_frac", "grad_norm_update"),
    rows=3,
    causes=(
        "the graph is cut between the body and the head: a detach, or a forward pass under no_grad",
        "activation checkpointing without inputs that require a gradient",
        "only a part of the model is used by the loss",
    ),
    fixes=(
        "look for .detach() and no_grad between the parts that have a gradient and those that have none",
        "call enable_input_require_grads, or use checkpointing without re-entry",
    ),
)
def gradient_reaches_only_a_part(f: Frame) -> Signal | None:
    """Fires when most parts of the model that should be trained get a gradient of exactly 0.

    Why it matters: The last layer alone learns, and the loss still goes down a little.
    How it is computed: A hook takes the gradient norm of each part of the model (a few neighbouring layers each). At
    least half of the parts with trainable parameters have exactly 0 while others do not, on three measured rows.
    When it is wrong: Experts that were not chosen, and heads for another task, have no gradient on a step.
    Source: An identity for exact zeros; half of the parts and three rows are our own choice.
    """
    dead, norm = f["grad_dead_frac"], f["grad_norm_update"]
    if DEAD <= dead < 1 and norm > 0:
        message = f"{dead:.0%} of the parts of the model have a gradient of exactly 0"
        return Signal(value=dead, limit=DEAD, message=message)
    return None
