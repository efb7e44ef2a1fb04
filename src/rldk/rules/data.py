"""DATA: what the scalars say of the samples a run is fed with."""

from __future__ import annotations

from rldk.rules.knobs import number
from rldk.rules.rule import Context, Frame, Signal, rule

_PLANS = ("num_train_epochs", "total_epochs", "trainer.total_epochs")


def _no_plan(context: Context) -> str | None:
    if number(context.config.get("max_steps")) > 0 and context.config.get("num_train_epochs") is not None:
        return "the run is bounded by a number of steps, which overrides the planned epochs"
    if any(number(context.config.get(key)) > 0 for key in _PLANS):
        return None
    return "needs the planned number of epochs in the run's configuration, which this log does not carry"


@rule(
    "DATA012",
    "epochs-beyond-plan",
    severity="info",
    tier=0,
    needs=("epoch",),
    unless=_no_plan,
    causes=(
        "a resumed run counts its data from the start again",
        "the sampler repeats data that the epoch counter does not know of",
    ),
    fixes=("check {dataloader} and {resume}, and the length of the data set",),
)
def epochs_beyond_plan(f: Frame) -> Signal | None:
    """Fires when the data has been passed over more often than the configuration plans.

    Why it matters: repeated prompts or pairs are memorised, and the run costs more than planned.
    How it is computed: the epoch counter is more than 0.01 above the configured number of epochs.
    When it is wrong: when the run was prolonged on purpose. Not applied where a number of steps overrides the epochs.
    Source: an identity with the run's own configuration; 0.01 is a rounding allowance, ours.
    """
    epoch, plan = f["epoch"], number(f.config(*_PLANS))
    if epoch > plan + 0.01:
        return Signal(value=epoch, limit=plan, message=f"epoch {epoch:.2f} of {plan:g} planned")
    return None
