"""CKPT: what `rldk check-resume` sees when a training is stopped and resumed."""

from __future__ import annotations

from functools import partial

from rldk.core.model import Severity
from rldk.rules.resumes import LostKind, ResumedDifference, ResumeView
from rldk.rules.rule import Signal, rule

_resume_rule = partial(rule, tier=0, data="2", subject="resume")


def _difference(found: ResumedDifference | None, *, states_agree: bool = False) -> Signal | None:
    if found is None or not found.message:
        return None
    message = found.message
    severity: Severity | None = None
    if states_agree:
        message, severity = f"{message}; the training itself is the same at each optimizer step", "warn"
    return Signal(
        value=found.share if found.share is not None else 1.0,
        limit=0.0,
        metric=found.metric or "run",
        message=message,
        step=found.step,
        severity=severity,
    )


def _state(resume: ResumeView, kind: LostKind) -> Signal | None:
    lost = resume.lost_of(kind)
    return None if lost is None else Signal(value=1.0, limit=0.0, metric=kind, message=lost.message)


@_resume_rule(
    "CKPT020",
    "resume-is-another-run",
    severity="critical",
    needs=("repeatable", "resumed"),
    causes=(
        "a state that decides about the next steps is not in the checkpoint, or is not loaded",
        "the resumed program begins again, or counts its steps from the beginning",
    ),
    fixes=(
        "save and load weights, optimizer, schedule, random states, position in the data, and step together",
        "look at the findings beside this one: they name the state that was lost",
    ),
)
def resume_is_another_run(resume: ResumeView) -> Signal | None:
    """Fires when a run that was stopped and resumed does not log what the uninterrupted run logs.

    Why it matters: After each preemption the training is another one. Rewards jump, and no result can be repeated.
    How it is computed: The command runs to the end, twice; and once to a step in between, to be resumed from its
    checkpoint. All metrics after that step are compared with those of the uninterrupted run, bit by bit unless a
    tolerance is given. The rule speaks only where both uninterrupted runs agree. It is a warning where weights,
    gradients, optimizer and generators agree at each optimizer step: then only a counter or a statistic of the log
    began again, as `num_tokens` of TRL does.
    When it is wrong: A trainer may promise statistical continuity only; a tolerance then says how much is allowed.
    Source: section 8 of the notes on resuming; open-r1#450, google/brax#655. An identity: the same program.
    """
    return _difference(resume.resumed, states_agree=resume.states_agree)


@_resume_rule(
    "CKPT021",
    "random-state-not-restored",
    severity="critical",
    needs=("states",),
    unless_view=lambda resume: resume.unlost,
    causes=("the states of the generators are not in the checkpoint", "the program seeds them again when it resumes"),
    fixes=(
        "save `torch.get_rng_state()`, `numpy.random.get_state()` and `random.getstate()`, of each device and rank",
        "load them last, after everything that draws random numbers while it is built",
    ),
)
def random_state_not_restored(resume: ResumeView) -> Signal | None:
    """Fires when a resumed run draws other random numbers than the uninterrupted one.

    Why it matters: Dropout, sampling and shuffles after the resume are others; of a run that seeds itself again, they
    are those of the beginning, seen twice.
    How it is computed: Hooks write down a digest of each global generator before every optimizer step. The rule looks
    at the first step that differs, and only where gradients or batches differ there, too.
    When it is wrong: The difference may come from elsewhere, such as a generator of the program's own, while a global
    one that nothing draws from differs as well.
    Source: section 8 of the notes on resuming: an RNG digest that differs names the generator.
    """
    return _state(resume, "random")


@_resume_rule(
    "CKPT022",
    "schedule-not-restored",
    severity="critical",
    needs=("states",),
    unless_view=lambda resume: resume.unlost,
    causes=("the scheduler is not in the checkpoint, so that its warm-up begins again", "it counts epochs, not steps"),
    fixes=("save and load `scheduler.state_dict()`", "build the scheduler before its state is loaded, not after"),
)
def schedule_not_restored(resume: ResumeView) -> Signal | None:
    """Fires when a resumed run goes on with another learning rate.

    Why it matters: A second warm-up, or a rate from the beginning of the schedule, undoes what was learnt.
    How it is computed: Hooks write down the learning rates before every optimizer step; the first step that differs
    has another one.
    When it is wrong: It is an identity: the rates are read from the optimizer itself.
    Source: section 8 of the notes on resuming: a rate that differs names the scheduler.
    """
    return _state(resume, "schedule")


@_resume_rule(
    "CKPT023",
    "data-order-not-restored",
    severity="critical",
    needs=("states",),
    unless_view=lambda resume: resume.unlost,
    causes=("the sampler begins its epoch again", "a generator of the sampler's own is not in the checkpoint"),
    fixes=(
        "save the position in the data and the generator of the sampler; torchdata's StatefulDataLoader does",
        "or derive the order from seed, epoch and step alone",
    ),
)
def data_order_not_restored(resume: ResumeView) -> Signal | None:
    """Fires when a resumed run reads other data than the uninterrupted one.

    Why it matters: Some samples are seen twice and others never; with short runs the whole second half of the data.
    How it is computed: Hooks digest the last batch of torch's DataLoader before each optimizer step. Where there is no
    such loader, equal weights and generators with other gradients mean other data.
    When it is wrong: Without a loader, the data of a replay buffer looks the same as lost order.
    Source: section 8 of the notes on resuming: a batch digest that differs names sampler and loader.
    """
    return _state(resume, "data")


@_resume_rule(
    "CKPT024",
    "optimizer-state-not-restored",
    severity="critical",
    needs=("states",),
    unless_view=lambda resume: resume.unlost,
    causes=("the optimizer is not in the checkpoint", "its state was loaded before its parameters were built"),
    fixes=("save and load `optimizer.state_dict()`", "load it after the model was moved to its device"),
)
def optimizer_state_not_restored(resume: ResumeView) -> Signal | None:
    """Fires when a resumed optimizer has other moments than the uninterrupted one.

    Why it matters: Adam begins with empty moments: its first steps are as large as the learning rate allows.
    How it is computed: Hooks digest the state of the optimizer before each of its steps, while weights agree.
    When it is wrong: It is an identity, on at most 4,096 entries of each tensor.
    Source: section 8 of the notes on resuming; open-r1#450.
    """
    return _state(resume, "optimizer")


@_resume_rule(
    "CKPT025",
    "weights-not-restored",
    severity="critical",
    needs=("states",),
    unless_view=lambda resume: resume.unlost,
    causes=("the checkpoint is of another step", "weights were saved in a smaller format", "the load was not strict"),
    fixes=("save the weights in the format of the training", "load them with `strict=True`"),
)
def weights_not_restored(resume: ResumeView) -> Signal | None:
    """Fires when the weights of a resumed run are not those that the uninterrupted one had at that step.

    Why it matters: The training goes on from another model.
    How it is computed: Hooks digest the weights before every optimizer step.
    When it is wrong: It is an identity, on at most 4,096 entries of each tensor.
    Source: section 8 of the notes on resuming.
    """
    return _state(resume, "weights")


@_resume_rule(
    "CKPT026",
    "saving-changes-the-run",
    severity="critical",
    needs=("repeatable", "saving"),
    causes=("saving draws random numbers or runs an evaluation", "the model is left in another mode after saving"),
    fixes=(
        "save without drawing: keep the random states before, and put them back after",
        "call `model.train()` again",
    ),
)
def saving_changes_the_run(resume: ResumeView) -> Signal | None:
    """Fires when a run that saves a checkpoint on its way differs from one that does not.

    Why it matters: How often checkpoints are made then decides about the result.
    How it is computed: Two runs of all steps are compared; only one of them saves.
    When it is wrong: The words that are put in for `{save}` may switch on more than saving.
    Source: section 8 of the notes on resuming: saving must not perturb the random state.
    """
    return _difference(resume.saving)


@_resume_rule(
    "CKPT027",
    "checkpoint-written-in-place",
    severity="warn",
    needs=("writing",),
    causes=("the program opens the old checkpoint for writing",),
    fixes=("write a new file beside it, flush it to the disk, and rename it over the old one (`os.replace`)",),
)
def checkpoint_written_in_place(resume: ResumeView) -> Signal | None:
    """Fires when a checkpoint is written over the one before.

    Why it matters: A job that is killed while it saves has neither the old checkpoint nor the new one.
    How it is computed: A checkpoint that was written twice under one name is still the same file of the file system
    (the same inode), which a rename would have replaced.
    When it is wrong: Other, older checkpoints may be kept under other names.
    Source: section 8 of the notes on resuming: atomic rename. An identity of the file system.
    """
    if not resume.in_place:
        return None
    message = f"{', '.join(resume.in_place[:3])} is opened and written over: a kill while it saves leaves no checkpoint"
    return Signal(value=float(len(resume.in_place)), limit=0.0, metric="checkpoint", message=message)


@_resume_rule(
    "CKPT028",
    "no-way-back-after-a-kill",
    severity="critical",
    needs=("repeatable", "killed"),
    causes=("the newest checkpoint is torn or not complete", "the log and the checkpoint are of different steps"),
    fixes=("write checkpoints whole or not at all, and load the newest that is whole", "save the step with the state"),
)
def no_way_back_after_a_kill(resume: ResumeView) -> Signal | None:
    """Fires when a run that was killed in the middle of a step and resumed is not the uninterrupted run.

    Why it matters: Preempted jobs end like this, without a chance to save.
    How it is computed: The process is killed (SIGKILL) after it has passed the step of the check, and the command is
    resumed from its newest checkpoint. All metrics that the resumed run logs are compared with the uninterrupted run.
    When it is wrong: One kill proves little about the moment in which a checkpoint is written.
    Source: section 8 of the notes on resuming: kill -9 at mid-step.
    """
    return _difference(resume.killed, states_agree=resume.states_agree)


@_resume_rule(
    "CKPT029",
    "checkpoint-lacks-state",
    severity="info",
    needs=("inventory",),
    causes=("the program saves the weights alone", "the program derives the rest from the step"),
    fixes=("save what the next step depends on", "or make sure that the program can derive it: {resume}"),
)
def checkpoint_lacks_state(resume: ResumeView) -> Signal | None:
    """Fires when a checkpoint has no optimizer state, no random state, no schedule, no position in the data or no step.

    Why it matters: What is not saved has to be derived when the run resumes, and seldom is.
    How it is computed: The names of tensors and values in the checkpoint are looked at; nothing of it is run.
    When it is wrong: A program may derive the order of its data from the step, and need no schedule.
    Source: section 8 of the notes on resuming: inventory of a checkpoint.
    """
    lacking = [name for name, there in (resume.inventory or {}).items() if not there]
    if not lacking:
        return None
    message = f"the checkpoint has no {', no '.join(lacking)}"
    evidence = {"lacking": lacking}
    return Signal(value=float(len(lacking)), limit=0.0, metric="checkpoint", message=message, evidence=evidence)
