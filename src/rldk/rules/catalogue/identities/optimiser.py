"""OPT: the optimizer does not hold what should be trained."""

from __future__ import annotations

from rldk.rules.rule import Frame, Signal, rule

UNDONE = 0.5


@rule(
    "OPT006",
    "trainable-parameters-missing",
    severity="critical",
    tier=0,
    data="T",
    each=("trainable_params", "optimizer_coverage"),
    causes=(
        "an adapter was loaded frozen (is_trainable=False), or inference_mode was inherited from a reference adapter",
        "the optimiser was made before the model was wrapped, moved or given its adapter",
        "part of the model is left out of the optimiser's parameter groups",
    ),
    fixes=(
        "load the adapter with is_trainable=True, and count the parameters that require a gradient",
        "make {optimizer} after the model is wrapped, from model.parameters()",
    ),
)
def trainable_parameters_missing(f: Frame) -> Signal | None:
    """Fires when nothing in the model is trainable, or the optimizer does not hold what is.

    Why it matters: Losses and gradients look as usual, and what the optimizer does not hold is never trained.
    How it is computed: A hook counts the parameters that require a gradient, and those of them that stand in the
    optimizer's groups. There are none of the first kind, or none of them is in the optimizer. When the optimizer holds
    only a part, it is a warning.
    When it is wrong: Another optimizer may hold the rest; give all of them to the hook. Sharded optimizers that hold
    flat copies are not looked at.
    Source: An identity (trl#6700, mlx-lm-lora#50 and #55, huggingface/accelerate#2665).
    """
    name, value = f.metric, f[f.metric]
    if name == "trainable_params":
        if value == 0:
            return Signal(value=0.0, limit=1.0, message="no parameter of the model requires a gradient")
        return None
    if value == 0:
        return Signal(value=0.0, limit=1.0, message="the optimizer holds none of the model's trainable parameters")
    if value < 1:
        message = f"the optimizer holds {value:.1%} of the model's trainable parameters"
        return Signal(value=value, limit=1.0, message=message, severity="warn")
    return None


@rule(
    "OPT016",
    "parameter-group-without-rate",
    severity="warn",
    tier=0,
    data="T",
    needs=("lr_smallest_group", "lr_largest_group"),
    rows=3,
    causes=(
        "the scheduler drives only the first parameter group",
        "a group was added after the scheduler was made, or its rate was lost at a resume",
    ),
    fixes=("print the learning rate of every parameter group: {lr}", "make {lr_schedule} after all groups are added"),
)
def parameter_group_without_rate(f: Frame) -> Signal | None:
    """Fires when one group of the optimizer's parameters has a learning rate of exactly 0 while another has one.

    Why it matters: That part of the model is not trained, and the one rate that is logged does not show it.
    How it is computed: A hook reads the rate of every group that holds parameters. The smallest is exactly 0 and the
    largest is not, on three measured rows in a row.
    When it is wrong: A group may be frozen by its rate on purpose.
    Source: An identity; verl#3674 and verl#418 are schedules that reached only a part. Three rows are our own choice.
    """
    low, high = f["lr_smallest_group"], f["lr_largest_group"]
    if low == 0 and high > 0:
        message = f"a group of parameters has a learning rate of 0 while another has {high:.3g}"
        return Signal(value=0.0, limit=high, message=message)
    return None


@rule(
    "OPT017",
    "update-undone-between-steps",
    severity="critical",
    tier=0,
    data="T",
    needs=("weights_undone_frac",),
    rows=2,
    causes=(
        "weights are loaded, swapped or broadcast from an older copy after the optimiser step",
        "an average of the weights is swapped in for evaluation or sampling and not swapped back",
    ),
    fixes=(
        "look for load_state_dict and copy_ between two optimiser steps",
        "let the sampler have a copy of its own: {rollout_engine}",
    ),
)
def update_undone_between_steps(f: Frame) -> Signal | None:
    """Fires when what an optimizer step changed has its old value again before the next step.

    Why it matters: The optimizer works, and the training does not go forward.
    How it is computed: A hook compares a fixed sample of the trainable weights before a step, after it, and before the
    next one. More than half of what the step changed is undone, bit by bit, at two measured steps in a row.
    When it is wrong: A search that tries a step and takes it back does this on purpose.
    Source: An identity; half of the weights and two steps are our own choice.
    """
    undone = f["weights_undone_frac"]
    if undone > UNDONE:
        message = f"{undone:.0%} of what an optimizer step changed is undone before the next step"
        return Signal(value=undone, limit=UNDONE, message=message)
    return None
