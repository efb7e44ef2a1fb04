"""Checks whether a training that is stopped and resumed is the one that was never stopped."""

from __future__ import annotations

import os
import shlex
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from rldk.cards.safe import clean
from rldk.core.files import save as save_file
from rldk.engine.replicas.command import CommandTemplate, command_template
from rldk.engine.replicas.given import kept_folder, metric_names
from rldk.engine.replicas.reading import metrics_to_compare
from rldk.engine.replicas.running import ReplicaLimits
from rldk.engine.replicas.trial import GIB
from rldk.errors import InputError, UsageError
from rldk.resume.checkpoints import inspected, newest_checkpoint, written_in_place
from rldk.resume.conclusion import ResumeEvidence, conclude_resume
from rldk.resume.report import ResumeReport
from rldk.resume.runs import RESUME, SAVE, ResumeJob, ResumeRun, run_once

REPORT = "resume_report.json"


def check_resume(
    cmd: str | Sequence[str],
    at: int = 5,
    steps: int = 10,
    compare: Sequence[str] | str | None = None,
    *,
    resume: str = "--resume {checkpoint}",
    save: str = "--save-every {at}",
    tolerance: float = 0.0,
    timeout: float | None = None,
    max_output_gib: float = 20.0,
    output_dir: str | os.PathLike[str] | None = None,
    begin: Callable[[str], object] | None = None,
    expect: Callable[[int], object] | None = None,
) -> ResumeReport:
    """Whether a training that is stopped and resumed is the one that was never stopped, and what it lost if not.

    `cmd`: the words of the command, or a text that is split as a shell would; no shell runs it. It has `{out}`,
    `{steps}` and `{resume}`, and may have `{save}` and `{seed}`. `{resume}` is nothing at first, and the words in
    `resume` for a run that goes on: `{checkpoint}` in them is the newest checkpoint, a file or folder below `{out}`.
    `{save}` stands for the words in `save`, with which a run saves on its way; one run without them shows whether
    saving changes anything. The command runs twice for `steps` steps, once for `at` steps and from there on to `steps`,
    and once until it is killed (SIGKILL) after step `at`, and from its last checkpoint on to `steps`.

    `compare`: the metrics; None for all but times and memory. `tolerance`: two values agree when they differ by at most
    this share of the larger one; 0: bit by bit. `timeout`: seconds for each run. `output_dir`: where all output is
    kept. `begin`, `expect`: told of each run and of their number. Hooks in the Python processes of the command write
    down digests of its state; nothing in the program has to change.

    Raises `UsageError`, `UnknownName` for a metric, and `InputError` when the command fails, measures nothing or writes
    no checkpoint."""
    template = _template(cmd)
    _test(at, steps, tolerance)
    home = kept_folder(output_dir, "resume")
    job = ResumeJob(
        template=template,
        resume=_split(resume),
        save=_split(save),
        home=Path(tempfile.mkdtemp(prefix="check-", dir=home)),
        cwd=Path.cwd(),
        limits=ReplicaLimits(time_s=timeout, written=int(max_output_gib * GIB)),
        at=at,
        steps=steps,
        wanted=metric_names(compare),
        begin=begin or (lambda _: None),
    )
    if expect is not None:
        expect(5 + (SAVE in template.words))
    try:
        evidence = _evidence(job, tolerance)
    except UsageError:  # nothing was started
        if output_dir is None:
            shutil.rmtree(home, ignore_errors=True)
        raise
    report = conclude_resume(evidence)
    from rldk.cards.wire import document, dumps

    save_file(home / REPORT, dumps(document(report)) + "\n")
    return report


def _test(at: int, steps: int, tolerance: float) -> None:
    if not 1 <= at < steps:
        raise UsageError(f"a run of {steps} steps cannot be stopped at step {at}", hint="--at 5 --steps 10")
    if not tolerance >= 0:
        raise UsageError(f"the tolerance is {tolerance}", hint="give 0 or more")


def _evidence(job: ResumeJob, tolerance: float) -> ResumeEvidence:
    """Makes the runs. Raises `InputError` when the first or the interrupted one fails: nothing can be said then."""
    optional = SAVE in job.template.words
    whole = _sure(run_once(job, "uninterrupted", steps=job.steps, saves=not optional))
    repeat = run_once(job, "repeat", steps=job.steps, saves=not optional)
    saving = run_once(job, "saving", steps=job.steps) if optional else None
    first = _sure(run_once(job, "interrupted", steps=job.at))
    checkpoint = newest_checkpoint(first.out)
    if checkpoint is None:
        raise InputError(
            f"the run of {job.at} steps wrote no checkpoint below {{out}}",
            hint=f"it looks for folders such as checkpoint-{job.at} and files such as model.pt in {first.out}",
        )
    found = inspected(first.out, checkpoint)
    resumed = run_once(job, "resumed", steps=job.steps, checkpoint=checkpoint, start=first.out)
    in_place = written_in_place(resumed.seen, resumed.out)
    killed = run_once(job, "killed", steps=job.steps, kill=_kill_step(whole, first))
    after, torn = None, newest_checkpoint(killed.out)
    if _was_killed(killed) and torn is not None:
        after = run_once(job, "killed-and-resumed", steps=job.steps, checkpoint=torn, start=killed.out)
    return ResumeEvidence(
        job=job,
        metrics=metrics_to_compare(whole.run, job.wanted) if whole.run is not None else (),
        whole=whole,
        repeat=repeat,
        saving=saving,
        first=first,
        resumed=resumed,
        killed=killed if _was_killed(killed) else None,
        after=after,
        checkpoint=found,
        in_place=in_place,
        tolerance=tolerance,
    )


def _sure(made: ResumeRun) -> ResumeRun:
    trial = made.trial
    if trial.problem:
        where = f"its output is in {trial.plan.folder}"
        said = clean(trial.said, 900)
        hint = f"{said} ({where})" if said and trial.end.code else where
        if trial.end.how == "ended" and not trial.end.code:
            hint = f"let it print a line such as `step 3 loss 0.25` at each step, or write a log into {{out}}; {where}"
        problem = trial.problem.replace(made.name, f"the {made.name} run", 1)
        raise InputError(f"the command cannot be checked: {problem}", hint=hint)
    return made


def _kill_step(whole: ResumeRun, first: ResumeRun) -> int:
    """The optimizer step in whose middle the run is killed: halfway from step `at` to the end. 0 without torch."""
    before, every = len(first.states), len(whole.states)
    if not before or every <= before:
        return 0
    return before + max(1, (every - before + 1) // 2)


def _was_killed(made: ResumeRun) -> bool:
    return made.trial.end.how == "stopped" or made.trial.end.code == 128 + 9


def _template(cmd: str | Sequence[str]) -> CommandTemplate:
    template = command_template(cmd)
    hint = '--cmd "python train.py --out {out} --steps {steps} {resume}"'
    for name in ("out", "steps"):
        if not template.has(name):
            raise UsageError(f"the command has no {{{name}}}", hint=hint)
    if RESUME not in template.words:
        raise UsageError("the command has no word {resume}", hint=hint)
    return template


def _split(words: str) -> tuple[str, ...]:
    """The words that stand for a field of the command. Raises `UsageError`."""
    try:
        return tuple(shlex.split(words))
    except ValueError as error:
        raise UsageError(f"{words!r} cannot be split into words: {error}", hint="check its quotes") from None
