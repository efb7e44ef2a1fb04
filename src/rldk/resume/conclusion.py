"""Turns what the runs have shown into the report."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import numpy as np
from msgspec import Struct

from rldk.cards.safe import clean
from rldk.core.model import SEVERITIES, Check, Finding, Note
from rldk.engine.compare.replicas import ReplicaSpread
from rldk.engine.live import Engine
from rldk.engine.once import Once, look_once
from rldk.engine.replicas.launch import STDOUT
from rldk.engine.replicas.reading import PLACES
from rldk.resume.checkpoints import NEEDED, FoundCheckpoint
from rldk.resume.comparison import difference_from, step_after
from rldk.resume.facts import ResumeTrial
from rldk.resume.report import ResumeReport
from rldk.resume.runs import ResumeJob, ResumeRun
from rldk.resume.states import lost_states, place_of
from rldk.rules.chosen import chosen_rules
from rldk.rules.resumes import LostState, ResumedDifference, ResumeView
from rldk.rules.rule import Context

KIND = "resume"
# words in the names of metrics that differ first -> what to look at, and what of it the checkpoint would hold
_SUSPECTS = (
    (("kl_coef", "kl_beta", "beta"), "the KL controller", "KL coefficient"),
    (("rms", "normal", "running"), "the normaliser of rewards or observations", "normaliser"),
    (("kl", "ref"), "the reference model", "reference model"),
    (("episode", "ep_", "env"), "the environment", "environment"),
    (("scale",), "the gradient scaler", "gradient scaler"),
)


class ResumeEvidence(Struct, frozen=True, kw_only=True):
    """The runs, and what was seen of the checkpoint. `saving`, `killed`, `after`: None where that run was not made, or
    came to its end before it was killed."""

    job: ResumeJob
    metrics: tuple[str, ...]
    whole: ResumeRun
    repeat: ResumeRun
    saving: ResumeRun | None
    first: ResumeRun
    resumed: ResumeRun
    killed: ResumeRun | None
    after: ResumeRun | None
    checkpoint: FoundCheckpoint
    in_place: tuple[str, ...] | None
    tolerance: float


class _Compared(Struct, frozen=True, kw_only=True):
    """How each run differs from the uninterrupted one; None where it cannot be judged, for the reason in `why`."""

    repeat: ResumedDifference
    first: ResumedDifference
    saving: ResumedDifference | None
    resumed: ResumedDifference | None
    killed: ResumedDifference | None
    spreads: tuple[ReplicaSpread, ...]
    lost: tuple[LostState, ...] | None
    why: dict[str, str]


def conclude_resume(e: ResumeEvidence) -> ResumeReport:
    """The report."""
    compared = _compared(e)
    repeatable = not compared.repeat.message
    view = ResumeView(
        repeatable=repeatable,
        resumed=compared.resumed,
        killed=compared.killed,
        saving=compared.saving,
        lost=compared.lost if repeatable else None,
        inventory=_needed(e.checkpoint),
        in_place=e.in_place,
    )
    once = _judged(view)
    findings = tuple(sorted(once.findings, key=lambda f: (-SEVERITIES.index(f.severity), f.code)))
    judged = repeatable and (compared.resumed is not None or compared.killed is not None)
    passed = judged and not any(f.severity == "critical" for f in findings)
    return ResumeReport(
        kind=KIND,
        passed=passed,
        verdict=_verdict(e, compared, findings, judged=judged, repeatable=repeatable),
        findings=findings,
        checked=tuple(sorted(once.checked)),
        skipped=tuple(_skipped(once, compared)),
        notes=tuple(_notes(e, compared)),
        numbers={
            "steps": e.job.steps,
            "at": e.job.at,
            "metrics": len(e.metrics),
            "tolerance": e.tolerance,
            "optimizer_steps": len(e.whole.states),
            "checkpoint_bytes": e.checkpoint.bytes,
        },
        meta={
            "run": e.job.template.words[0] if len(e.job.template.words) < 2 else e.job.template.words[1],
            "source": shlex.join(e.job.template.words),
            "folder": str(e.job.home),
            "read_from": PLACES.get(e.whole.trial.metrics.place, ""),
        },
        repeatable=repeatable,
        inconclusive=not judged,
        lost=view.lost or (),
        suspects=tuple(_suspects(e, compared)) if not passed and repeatable else (),
        checkpoint=e.checkpoint,
        in_place=e.in_place or (),
        trials=tuple(_trials(e, compared)),
        metrics_compared=e.metrics,
    )


def _judged(view: ResumeView) -> Once:
    rules = tuple(rule for rule in chosen_rules() if rule.subject == "resume")
    context = Context()
    return look_once(rules, context, Engine(rules, context).inapplicable, {"resume": view})


def _compared(e: ResumeEvidence) -> _Compared:
    whole = e.whole.table
    assert whole is not None  # noqa: S101 - the caller has made sure
    begin = int(whole.step.min())
    why: dict[str, str] = {}

    def beside(made: ResumeRun, first: int, name: str) -> tuple[ResumedDifference, tuple[ReplicaSpread, ...]]:
        if made.table is None:
            return ResumedDifference(message=_failure(name, made)), ()
        return difference_from(whole, made.table, e.metrics, first, tolerance=e.tolerance, name=name)

    repeat, _ = beside(e.repeat, begin, "a repeat of the uninterrupted run")
    saving = None if e.saving is None else beside(e.saving, begin, "a run that saves on its way")[0]
    prefix = _prefix(e)
    resumed: ResumedDifference | None = None
    spreads: tuple[ReplicaSpread, ...] = ()
    after = None if e.first.table is None else step_after(whole, int(e.first.table.step.max(initial=begin)))
    if prefix.message:
        why["resumed"] = f"needs an interrupted run that begins as the whole one: {prefix.message}"
    elif after is None:
        why["resumed"] = "needs a step that is logged after those of the interrupted run"
    else:
        again = _began_again(e)
        resumed, spreads = beside(e.resumed, after, "the resumed run")
        resumed = ResumedDifference(message=again, metric="step", step=begin) if again else resumed
    killed = _killed(e, why)
    lost = _lost(e) if not prefix.message else None
    return _Compared(
        repeat=repeat, first=prefix, saving=saving, resumed=resumed, killed=killed, spreads=spreads, lost=lost,
        why=why,
    )  # fmt: skip


def _failure(name: str, made: ResumeRun) -> str:
    """How a run failed, with the last line that it printed."""
    problem = made.trial.problem.replace(made.name, "it", 1)
    said = clean(made.trial.said.rpartition(" | ")[2], 200)
    return f"{name} failed: {problem}" + (f" ({said})" if said else "")


def _prefix(e: ResumeEvidence) -> ResumedDifference:
    """How the interrupted run differs from the beginning of the uninterrupted one. It may, where the schedule depends
    on the number of steps: then it cannot be judged."""
    whole, first = e.whole.table, e.first.table
    if whole is None or first is None:
        return ResumedDifference(message=_failure("the interrupted run", e.first))
    from rldk.resume.comparison import steps_between

    last = min(int(first.step.max()), int(whole.step.max()))
    start = steps_between(whole, int(whole.step.min()), last)
    name = f"a run of {e.job.at} steps"
    metrics = [metric for metric in e.metrics if metric in start.columns]
    return difference_from(start, first, metrics, int(whole.step.min()), tolerance=e.tolerance, name=name)[0]


def _began_again(e: ResumeEvidence) -> str:
    """Why the resumed run did not go on from the checkpoint but began again; "" where it went on or nobody can say."""
    before, every, now = len(e.first.states), len(e.whole.states), len(e.resumed.states)
    if before and every > before and now >= every:
        left = every - before
        return f"the resumed run began again: it made all {now} optimizer steps, and not the {left} that are left"
    table, whole = e.resumed.table, e.whole.table
    if table is None or whole is None or not table.step.size:
        return ""
    own = table.step[table.segment == table.segment.max()]
    printed = e.resumed.trial.metrics.place == STDOUT
    restarted, start = printed or int(table.segment.max()) > 0, int(whole.step.min())
    if restarted and e.job.at > 1 and int(own.min()) == start:
        return f"the resumed run began again with step {int(own.min()):,}"
    return ""


def _killed(e: ResumeEvidence, why: dict[str, str]) -> ResumedDifference | None:
    """How the run that was killed and resumed differs, over the steps that it logged."""
    if e.killed is None:
        why["killed"] = "needs a run that lasts: it had ended before it could be killed"
        return None
    if e.after is None:
        why["killed"] = "needs a checkpoint before the end: none had been written when the run was killed ({save}?)"
        return None
    whole, table = e.whole.table, e.after.table
    name = "the run that was killed and resumed"
    if table is None or whole is None:
        return ResumedDifference(message=_failure(name, e.after))
    logged = np.intersect1d(whole.step, table.step)
    if not logged.size or int(logged.max()) < int(whole.step.max()):
        return ResumedDifference(message=f"{name} did not come to step {int(whole.step.max()):,}")
    first = int(logged.min())
    return difference_from(whole, table, e.metrics, first, tolerance=e.tolerance, name=name)[0]


def _lost(e: ResumeEvidence) -> tuple[LostState, ...] | None:
    """What the resumed run, or the killed one, had lost; None without states."""
    if not e.whole.states:
        return None
    found: tuple[LostState, ...] = ()
    if e.resumed.states:
        found = lost_states(e.whole.states, e.resumed.states, len(e.first.states))
    if not found and e.after is not None and e.after.states:
        begin = place_of(e.after.states[0], e.whole.states)
        found = () if begin is None else lost_states(e.whole.states, e.after.states, begin)
    return found


def _needed(found: FoundCheckpoint) -> dict[str, bool] | None:
    return None if found.inventory is None else {kind: found.inventory[kind] for kind in NEEDED}


def _suspects(e: ResumeEvidence, compared: _Compared) -> Iterator[str]:
    """What the first metrics that differ point at, and what the checkpoint lacks of it."""
    apart = [each for each in compared.spreads if each.first_step is not None]
    if not apart:
        return
    first = min(each.first_step or 0 for each in apart)
    names = [each.metric for each in apart if each.first_step == first]
    inventory = e.checkpoint.inventory or {}
    told: set[str] = set()
    for parts, what, kind in _SUSPECTS:
        found = next((name for name in names if any(part in name.lower() for part in parts)), None)
        if found is not None and found not in told:
            told.add(found)
            lacks = "" if inventory.get(kind, True) else f", and the checkpoint has no {kind}"
            yield f"{what}: {found} is among the first metrics that differ{lacks}"
    if compared.lost is None:
        lacking = [kind for kind in NEEDED if not inventory.get(kind, True)]
        yield from (f"the {kind}: the checkpoint does not have it" for kind in lacking)


def _verdict(
    e: ResumeEvidence, compared: _Compared, findings: tuple[Finding, ...], *, judged: bool, repeatable: bool
) -> str:
    if not repeatable:
        return (
            f"Inconclusive: {compared.repeat.message}. A program that does not repeat itself cannot be judged; "
            "`rldk check-determinism` says why it does not."
        )
    if not judged:
        return f"Inconclusive: {next(iter(compared.why.values()), 'no resumed run could be judged')}."
    loud = [f for f in findings if f.severity == "critical"]
    if not loud:
        both = [name for name, one in (("resumed", compared.resumed), ("killed and resumed", compared.killed)) if one]
        both = [word for word in (*both, "saved on its way" if compared.saving else "") if word]
        how = "bit by bit" if not e.tolerance else f"within {e.tolerance:g} of the value"
        return f"The run stays the uninterrupted one {how} when it is {', or '.join(both)}."
    said = f"{loud[0].message[:1].upper()}{loud[0].message[1:]}."
    causes = [one.message for one in compared.lost or ()]
    return said + (f" What was lost: {'; '.join(causes)}." if causes else "")


def _skipped(once: Once, compared: _Compared) -> Iterator[Check]:
    reasons = {"CKPT020": compared.why.get("resumed"), "CKPT028": compared.why.get("killed")}
    for check in sorted(once.unchecked, key=lambda one: one.code):
        reason = reasons.get(check.code) or check.reason
        if check.status == "skipped":
            yield Check(code=check.code, name=check.name, status="skipped", reason=reason)


def _notes(e: ResumeEvidence, compared: _Compared) -> Iterator[Note]:
    if compared.first.message:
        text = (
            f"{compared.first.message}: does the schedule depend on {{steps}}? Only the killed run can be judged then"
        )
        yield Note(topic="steps", text=text)
    if e.saving is None:
        yield Note(
            topic="saving", text="whether saving changes the run was not tried; that needs {save} in the command"
        )
    if e.after is not None:
        yield Note(topic="kill", text="the run was killed once; that proves little about the moment of saving")
    if not e.whole.states:
        text = "no optimizer step of torch was seen, so that causes are taken from metrics and checkpoint alone"
        yield Note(topic="states", text=text)


def _kill_words(e: ResumeEvidence) -> str:
    if e.killed is not None and e.killed.states:
        return f"was killed in its optimizer step {len(e.killed.states)}"
    return "was killed while it ran"


def _trials(e: ResumeEvidence, compared: _Compared) -> Iterator[ResumeTrial]:
    same = "is the uninterrupted run"

    def said(found: ResumedDifference | None, otherwise: str) -> str:
        return otherwise if found is None else found.message or same

    rows = [
        (e.whole, f"ran {e.job.steps} steps"),
        (e.repeat, said(compared.repeat, "")),
        (e.saving, said(compared.saving, "")),
        (e.first, compared.first.message or f"ran {e.job.at} steps, as the uninterrupted run did"),
        (e.resumed, said(compared.resumed, "not judged")),
        (e.killed, _kill_words(e)),
        (e.after, said(compared.killed, "not judged")),
    ]
    for made, result in rows:
        if made is not None:
            yield ResumeTrial(
                name=made.name,
                result=result,
                code=made.trial.end.code,
                seconds=round(made.trial.end.seconds, 3),
                rows=0 if made.table is None else len(made.table),
                optimizer_steps=len(made.states),
                folder=str(made.trial.plan.folder),
                command=shlex.join(made.trial.command),
            )
