"""Runs a command several times with the same seed and says whether the runs agree, where they part, and why."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec.structs import replace

from rldk.core.files import save
from rldk.determinism.conclusion import Evidence, conclude
from rldk.determinism.facts import ReplicaExperiment
from rldk.determinism.growth import growth_of
from rldk.determinism.plan import PlannedReplica, counterfactual_replicas, planned_replicas
from rldk.determinism.replicas import FinishedReplica, ReplicaJob, run_more, run_planned
from rldk.determinism.report import DeterminismReport
from rldk.determinism.suspects import audit_script
from rldk.determinism.trace.facts import OperationTrace
from rldk.determinism.trace.pairs import trace_replicas
from rldk.engine.compare.replicas import StepChoice, distance, spreads
from rldk.engine.replicas.command import command_template
from rldk.engine.replicas.given import kept_folder, metric_names
from rldk.engine.replicas.launch import launchers
from rldk.engine.replicas.reading import metrics_to_compare
from rldk.engine.replicas.running import ReplicaLimits
from rldk.errors import OutputError, UsageError

MAX_REPLICAS = 1000
GIB = 1 << 30
REPORT, CARD = "determinism_report.json", "determinism_card.json"
Begin = Callable[[str], object]
Expect = Callable[[int], object]


def check(  # noqa: PLR0913 - documented options, by name
    cmd: str | Sequence[str],
    compare: Sequence[str] | str | None = None,
    steps: int | None = None,
    replicas: int = 5,
    device: str | None = None,
    *,
    tolerance: float = 0.0,
    stride: int = 1,
    timeout: float | None = None,
    jobs: int = 1,
    launcher: str = "local",
    trace: bool = False,
    stress: bool = False,
    counterfactual: bool = False,
    max_output_gib: float = 20.0,
    output_dir: str | os.PathLike[str] | None = None,
    begin: Begin | None = None,
    expect: Expect | None = None,
) -> DeterminismReport:
    """Whether replicas of a command agree, in which metric and at which step they part, and what the likely cause is.

    `cmd`: the words of the command, or a text that is split as a shell would; no shell runs it. `{seed}` and `{out}` in
    it become the seed and a folder of the replica, `{steps}` and `{device}` what is given here. With `{seed}`, one more
    replica has another seed. `compare`: the metrics, None for all that they log but times and memory. `steps`: compare
    the first so many logged steps. `stride`: compare every so-manyth of them. `tolerance`: two values agree when they
    differ by at most this share of the larger one; 0: bit by bit. `timeout`: seconds for each replica. `jobs`: how many
    run at a time.

    `stress`: also replicas in other surroundings. `counterfactual`: where they differ, also pairs with one source
    of chance switched off.
    `max_output_gib`: what one replica may write into `{out}`.
    `output_dir`: where report, card and all output are kept; a new temporary folder without it. `begin`, `expect`:
    told of each replica and of their number.
    `trace`: also run two replicas whose operations are recorded, and name the first that differs.

    Raises `UsageError`, `UnknownName` for a metric or a launcher, and `InputError` when the command fails or measures
    nothing."""
    _test(replicas, tolerance, stride, steps)
    template = command_template(cmd)
    plan = planned_replicas(template, replicas, stress=stress)
    starter, home = launchers.get(launcher)(), kept_folder(output_dir, "determinism")
    limits, folder = ReplicaLimits(time_s=timeout, written=int(max_output_gib * GIB)), _fresh(home)
    job = ReplicaJob(template=template, folder=folder, cwd=Path.cwd(), limits=limits, launcher=starter)
    job = replace(job, jobs=jobs, steps=steps, device=device, wanted=metric_names(compare))
    begin, expect = begin or _silent, expect or _silent
    window = StepChoice(steps=steps, stride=stride)
    try:
        done = _replicas(job, plan, begin, expect, window if counterfactual else None)
        traced = _trace(job, done, begin, expect, window) if trace else None
    except UsageError:  # it was not even started
        if output_dir is None:
            shutil.rmtree(home, ignore_errors=True)
        raise
    report = conclude(replace(_evidence(job, done, window, tolerance), trace=traced))
    _keep(home, report)
    return report


def _replicas(
    job: ReplicaJob, plan: Sequence[PlannedReplica], begin: Begin, expect: Expect, explain: StepChoice | None
) -> list[FinishedReplica]:
    """The replicas of the plan; where they differ at the steps `explain`, also pairs without one source of chance."""
    expect(len(plan))
    done = run_planned(job, plan, begin)
    if explain is not None and _differ(job, done, explain):
        more = counterfactual_replicas()
        expect(len(more))
        done += run_more(job, more, begin, done[0].metrics.place)
    return done


def _trace(
    job: ReplicaJob, done: list[FinishedReplica], begin: Begin, expect: Expect, window: StepChoice
) -> OperationTrace:
    """The trace of the command; the replicas that were run for it are added to `done`."""
    made, more = trace_replicas(job, done[0].metrics.place, begin, expect, differ=_differ(job, done, window))
    done += more
    made = replace(made, plain_seconds=round(done[0].end.seconds, 3))
    runs = [one.metrics.run for one in (done[0], *more) if one.metrics.run is not None]
    if made.equal and len(runs) > 1 and not _differ(job, done, window):
        metrics = metrics_to_compare(runs[0], job.wanted)
        if distance(runs[0].metrics, runs[1].metrics, metrics, window) > 0:
            note = "a traced replica measures other numbers than those without a trace: the trace disturbs the command"
            made = replace(made, notes=(*made.notes, note))
    return made


def _silent(_: object) -> None:
    """Tells nobody."""


def _differ(job: ReplicaJob, done: Sequence[FinishedReplica], window: StepChoice) -> bool:
    """Whether there is a difference between the replicas to explain."""
    ran = [one.metrics.run for one in done if one.planned.role == "replica" and one.metrics.run is not None]
    found = spreads([run.metrics for run in ran], metrics_to_compare(ran[0], job.wanted), window)
    return any(each.unequal or each.missing for each in found)


def _evidence(job: ReplicaJob, done: Sequence[FinishedReplica], window: StepChoice, tolerance: float) -> Evidence:
    """What the replicas say about each other."""
    by_role = {role: [one for one in done if one.planned.role == role] for role in ("replica", "control")}
    ran = [one.metrics.run for one in by_role["replica"] if one.metrics.run is not None]
    metrics = metrics_to_compare(ran[0], job.wanted)
    tables = [run.metrics for run in ran]
    control = next((one.metrics.run for one in by_role["control"] if one.metrics.run is not None), None)
    same = [distance(tables[0], other, metrics, window) for other in tables[1:]]
    found = spreads(tables, metrics, window, tolerance)
    return Evidence(
        job=job,
        done=tuple(done),
        first=ran[0],
        metrics=metrics,
        found=tuple(found),
        growth=growth_of(tables, found, window),
        lacking=tuple(sorted({n for run in ran[1:] for n in metrics if n not in run.metrics.columns})),
        same=max(same, default=float("nan")),
        other=float("nan") if control is None else distance(tables[0], control.metrics, metrics, window),
        experiments=tuple(_experiments(done, metrics, window)),
        tolerance=tolerance,
        code=audit_script(job.template.script(job.cwd)),
    )


def _experiments(
    done: Sequence[FinishedReplica], metrics: tuple[str, ...], window: StepChoice
) -> list[ReplicaExperiment]:
    """What became of the replicas with one thing changed, each beside the first replica or the other of its pair."""
    made = []
    groups: dict[tuple[str, str], list[FinishedReplica]] = {}
    for one in done:
        if one.planned.role in ("stress", "counterfactual"):
            groups.setdefault((one.planned.role, one.planned.source), []).append(one)
    for (role, source), members in groups.items():
        compared = [done[0], *members] if role == "stress" else members
        runs = [one.metrics.run for one in compared]
        failed = next((one.problem for one in compared if one.problem), "")
        tables = [run.metrics for run in runs if run is not None]
        equal = None if failed else all(not s.unequal and not s.missing for s in spreads(tables, metrics, window))
        made.append(ReplicaExperiment(role=role, source=source, equal=equal, message=failed))
    return made


def _test(replicas: int, tolerance: float, stride: int, steps: int | None) -> None:
    if not 2 <= replicas <= MAX_REPLICAS:
        raise UsageError(f"{replicas} replicas cannot be compared", hint=f"give 2 to {MAX_REPLICAS}")
    if not tolerance >= 0:
        raise UsageError(f"the tolerance is {tolerance}", hint="give 0 or more")
    if stride < 1 or (steps is not None and steps < 1):
        raise UsageError("steps and stride are counted from 1", hint="give 1 or more")


def _fresh(home: Path) -> Path:
    """Makes a new folder for the replicas of this check and leaves the folders of earlier checks alone."""
    number = 1
    while True:
        folder = home / f"check-{number}"
        try:
            folder.mkdir()
        except FileExistsError:
            number += 1
        except OSError as error:
            raise OutputError.of(folder, error) from None
        else:
            return folder


def _keep(home: Path, report: DeterminismReport) -> None:
    from rldk.cards.trust.files import card_json
    from rldk.cards.wire import document, dumps
    from rldk.determinism.card import determinism_card

    save(home / REPORT, dumps(document(report)) + "\n")
    save(home / CARD, card_json(determinism_card(report)))
