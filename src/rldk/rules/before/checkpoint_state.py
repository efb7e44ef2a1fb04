"""CKPT: checkpoints from which a run cannot go on as it was."""

from __future__ import annotations

from rldk.rules.rule import Signal, rule
from rldk.rules.subject import ConfigView

_CONTENTS = "actor_rollout_ref.actor.checkpoint.save_contents"


@rule(
    "CKPT030",
    "checkpoint-without-optimizer",
    severity="warn",
    tier=0,
    data="C",
    subject="config",
    needs=("save_steps",),
    causes=("checkpoints were made smaller", "the setting is that of a run whose result alone matters"),
    fixes=("save optimizer and random states as well while the run may be resumed", "or set {resume} off"),
)
def checkpoint_without_optimizer(c: ConfigView) -> Signal | None:
    """Fires when the run is set to resume from checkpoints that lack the optimizer's state.

    Why it matters: A resumed run begins with an empty optimizer and another order of its data: reward and length jump.
    How it is computed: TRL: `save_only_model` is on and `resume_from_checkpoint` is set. verl: `save_contents` of the
    actor lacks "optimizer" or "extra" while checkpoints are saved and `resume_mode` is set and not "disable".
    When it is wrong: The resume may be meant to take the weights only.
    Source: open-r1#450, google/brax#655 (resumes that were not the same run); the settings of transformers 5.23 and
    verl 0.9.1.
    """
    if c.is_on("save_only_model") and c.named("resume_from_checkpoint") not in (None, False, "", "None"):
        message = "`save_only_model` is on, and the run resumes from a checkpoint: it has no optimizer state"
        return Signal(value=0.0, metric="save_only_model", message=message)
    contents, every = c.named(_CONTENTS), c.number("save_steps")
    resumes = str(c.named("trainer.resume_mode") or "disable") != "disable"
    if not isinstance(contents, list | tuple) or not every > 0 or not resumes:
        return None
    lost = [part for part in ("optimizer", "extra") if part not in contents]
    if not lost:
        return None
    message = f"checkpoints hold {', '.join(map(str, contents))} and not {' and '.join(lost)}, and the run may resume"
    return Signal(value=float(len(lost)), limit=0.0, metric=_CONTENTS, message=message)
