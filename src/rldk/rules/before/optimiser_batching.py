"""OPT: losses whose scale depends on how a batch is cut."""

from __future__ import annotations

from rldk.rules.rule import Context, Signal, rule
from rldk.rules.subject import ConfigView

_MEAN = "average_tokens_across_devices"


def _foreign(context: Context) -> str | None:
    known = ("trl", "transformers")
    return None if context.framework in known else "defined for TRL and transformers, where it is a setting"


@rule(
    "OPT005",
    "loss-depends-on-batching",
    severity="warn",
    tier=0,
    data="C",
    subject="config",
    unless=_foreign,
    causes=(
        "the loss is divided by the number of tokens of one micro-batch instead of the whole batch",
        "the number of tokens is not gathered over the devices",
    ),
    fixes=(
        "choose `loss_type` dapo (all tokens of the batch) or dr_grpo (a constant)",
        f"leave `{_MEAN}` on",
    ),
)
def loss_depends_on_batching(c: ConfigView) -> Signal | None:
    """Fires when the same batch gives another loss and gradient once it is cut into other micro-batches.

    Why it matters: A change of the micro-batch size, of accumulation or of the number of devices changes the learning
    rate that acts, and runs that differ only in hardware cannot be compared.
    How it is computed: Two settings. `average_tokens_across_devices` is off: each device divides by its own tokens
    (a warning; information where the number of processes is not stated). `loss_type` is bnpo with more than one
    sequence in a micro-batch and several micro-batches in an optimizer step: each micro-batch divides by its own tokens
    (information, because the trainer documents it).
    When it is wrong: Responses of equal length make the two the same. Custom losses are not read; compare the gradient
    of one batch whole and split.
    Source: The arguments of transformers 5.24 and of TRL 1.16 (`GRPOConfig.loss_type`: "results may slightly vary
    depending on the local batch size"); 0.5 and 4 times the gradient were measured in trl PR#6024; trl#2617, trl#3021.
    """
    processes = c.count("num_processes")
    said = str(c.named(_MEAN)).strip().lower()
    if said in ("false", "0", "no", "off") and processes != 1:
        message = f"`{_MEAN}` is off: each device divides the loss by the number of its own tokens"
        return Signal(value=1.0, metric=_MEAN, message=message, severity=None if processes else "info")
    each, cut = c.count("per_device_train_batch_size"), c.count("gradient_accumulation_steps", default=1) or 1
    if str(c.named("loss_type")).lower() == "bnpo" and (each or 1) > 1 and cut * (processes or 1) > 1:
        message = f"`loss_type` bnpo divides by the tokens of each of {cut * (processes or 1)} micro-batches"
        return Signal(value=1.0, metric="loss_type", message=message, severity="info")
    return None
