"""DATA: what the scalars say about the samples that a run is fed with."""

from __future__ import annotations

from rldk.core.algorithms import LLM_POLICY
from rldk.rules.evidence import episodic
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
        "the sampler repeats data that the epoch counter does not count",
    ),
    fixes=("check {dataloader} and {resume}, and the length of the data set",),
)
def epochs_beyond_plan(f: Frame) -> Signal | None:
    """Fires when the data has been passed over more often than the configuration plans.

    Why it matters: Repeated prompts or pairs are memorised, and the run costs more than planned.
    How it is computed: The epoch counter is more than 0.01 above the configured number of epochs.
    When it is wrong: The run may have been prolonged on purpose. The rule does not apply where a number of steps
    overrides the epochs.
    Source: An identity with the run's own configuration; 0.01 allows for rounding (our own choice).
    """
    epoch, plan = f["epoch"], number(f.config(*_PLANS))
    if epoch > plan + 0.01:
        return Signal(value=epoch, limit=plan, message=f"the run is at epoch {epoch:.2f}, but {plan:g} were planned")
    return None


@rule(
    "DATA013",
    "one-or-two-completions-an-update",
    severity="warn",
    tier=0,
    each=("response_length_mean", "eos_count"),
    rows=10,
    within=13,
    algorithms=LLM_POLICY,
    unless=episodic,
    causes=("the batch size, or the number of completions per prompt, was set for a smoke test",),
    fixes=("raise {batch}, {grad_accum} or {group_size} until an update sees dozens of completions",),
)
def one_or_two_completions(f: Frame) -> Signal | None:
    """Fires when every update learns from one or two completions.

    Why it matters: The advantage of two completions is a coin toss, and gradients, KL and every other metric are noise.
    How it is computed: The mean of two numbers is midway between the smaller and the larger. On ten of thirteen rows
    the mean length of responses is there within 0.01 %, and the two lengths differ. Where TRL's PPO logs no lengths,
    its count of episodes rises by one or two from row to row.
    When it is wrong: A log may hold a row for every two completions of a larger batch.
    Source: An identity; ten rows are our own choice, because a larger batch may meet the condition by chance on one
    row. Measured: 0 of 76 healthy small trainings that log both, 4 of 4 with a batch of two.
    """
    name, mean, low, high = f.metric, f[f.metric], f["response_length_min"], f["response_length_max"]
    episodes = f.rise("env_steps")
    if name == "eos_count":
        two = f.framework() == "trl" and 0 < episodes <= 2
    else:
        two = abs(mean - 0.5 * (low + high)) <= 1e-4 * mean and high > low
    if two:
        return Signal(value=2.0, metric=name, message="every update learns from only one or two completions")
    return None
