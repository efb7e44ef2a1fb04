"""Diagnoses many runs. They are found first, then read and judged one after the other or on several processes."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from rldk.adapters.folder import Options, plan_folder, read_group, share_left_out
from rldk.adapters.grouping import Group
from rldk.adapters.open import make_unique, options_of
from rldk.core.model import Report, Run
from rldk.core.reference import Reference
from rldk.diagnosis import diagnose_run, diagnose_together, home_of, runs_in
from rldk.diagnosis.looks import Looking
from rldk.engine.executors import Job, Processes, processors, run_all
from rldk.errors import InputError, MalformedInput, MissingExtra, RldkError, UsageError

# judged together in one piece of work: so many runs, each of them so small
TOGETHER, SMALL_BYTES = 32, 256 << 10
PIECES = 4  # at least so many for each process, where there are enough runs
LEAST = 8  # of the last pieces, which are smaller, so that no process waits long for another
MANY_FILES = 200  # from here on, the look alone earns what processes take to start; it takes 3 ms a file
MANY_RUNS, MANY_BYTES = 24, 32 << 20  # from here on, processes earn the second that each takes to start


class Wanted(Struct, frozen=True, kw_only=True):
    """How runs are read (options of `open_runs`) and judged (options of `diagnose`).

    `curves`: reports keep every curve that a page draws. Otherwise they keep those that a terminal draws: the metric
    that leads an incident."""

    adapter: str | None = None
    field_map: Mapping[str, str] | None = None
    strict: bool = False
    rules: str = "default"
    select: str | tuple[str, ...] | None = None
    ignore: str | tuple[str, ...] | None = None
    reference: Reference | None = None
    curves: bool = True

    @property
    def reading(self) -> dict[str, Any]:
        return {"adapter": self.adapter, "field_map": self.field_map, "strict": self.strict}

    def judge_all(self, runs: Sequence[Run]) -> list[Report]:
        """The reports of `judge`, for many short runs at once."""
        if self.reference is not None or len(runs) < 2:
            return [self.judge(run) for run in runs]
        return diagnose_together(runs, self.rules, self.select, self.ignore, curves=self.curves)

    def judge(self, run: Run) -> Report:
        return diagnose_run(run, self.rules, self.select, self.ignore, reference=self.reference, curves=self.curves)


class Failure(Struct, frozen=True, kw_only=True):
    """A source that could not be read or judged, and the reason."""

    source: str
    error: RldkError


class Judged(Struct, kw_only=True):
    """The reports of all runs under all paths, in the order found, the failures, and the seconds that each run took."""

    reports: list[Report] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


class _Task(Struct, frozen=True, kw_only=True):
    """One path, or one of the runs below it. `path`: as the user gave it."""

    path: str
    name: str
    group: Group | None = None
    alone: bool = True  # no other run is below the path


class _Done(Struct, kw_only=True):
    reports: list[Report] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    unread: list[Failure] = field(default_factory=list)  # below a directory that also has readable runs
    left_out: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    lost: bool = False  # the process that worked on it died


_Batch = tuple[_Task, ...]


def judge_paths(
    paths: Sequence[str],
    wanted: Wanted,
    jobs: int | None = None,
    *,
    begin: Callable[[str], None] = lambda _: None,
    expect: Callable[[int], None] = lambda _: None,
) -> Judged:
    """Judges everything under the paths. Each run is read and judged by itself, so that a bad one hides no other.

    `jobs`: the number of processes; None: as many as there are processors, where that pays. `begin` is called with the
    name of each piece of work as it begins, `expect` with the number of pieces that were not known before. Raises
    `UsageError`."""
    tasks: list[_Task] = []
    planned: dict[str, dict[str, str]] = {}
    judged = Judged()
    options = options_of(**wanted.reading)
    with Processes(jobs or processors()) as processes:
        looking = Looking(
            reading=wanted.reading,
            workers=lambda files: processes if jobs or files >= MANY_FILES else 1,
            prepare=_prepare,
            given=(wanted,),
        )
        for path in paths:
            begin(f"looking into {path}")
            try:
                tasks += _tasks(path, options, planned, looking)
            except UsageError:
                raise
            except RldkError as error:
                judged.failures.append(Failure(source=path, error=error))
        expect(len(tasks))
        workers = processes if jobs or _many(tasks) else Processes(1)
        kept: dict[Any, Any] = {}
        done = [_sharing(what, kept) for what in _judge(tasks, wanted, workers, begin)]
    for path in paths:
        own = [(task, what) for task, what in zip(tasks, done, strict=True) if task.path == path]
        _gather(judged, own, planned.get(path, {}))
    return judged


def _judge(tasks: Sequence[_Task], wanted: Wanted, workers: Processes, begin: Callable[[str], None]) -> Iterator[_Done]:
    """The results of the tasks, in their order. The runs of a batch whose process died are judged one by one."""
    job = Job(work=_work, lost=_lost, prepare=_prepare, given=(wanted,))
    batches = list(_batches(tasks, lambda left: _most(left, len(tasks), workers.count), _size))
    for batch, done in zip(batches, run_all(job, batches, workers, lambda batch: _announce(batch, begin)), strict=True):
        if len(batch) > 1 and done[0].lost:
            for (again,) in run_all(job, [(task,) for task in batch], workers.count):
                yield again
        else:
            yield from done


def _most(left: int, count: int, processes: int) -> int:
    """The most runs in the next piece, when so many of all are left."""
    most = max(1, min(TOGETHER, count // (PIECES * processes)))
    return most if processes == 1 else min(most, max(LEAST, left // (2 * processes)))


def _announce(batch: _Batch, begin: Callable[[str], None]) -> None:
    for task in batch:
        begin(f"judging {task.name}")


def _batches(tasks: Sequence[_Task], most: Callable[[int], int], size: Callable[[_Task], int]) -> Iterator[_Batch]:
    """Neighbouring tasks, each of them small; any other task alone. `most`: how many, when so many tasks are left."""
    held: list[_Task] = []
    room = 0
    for at, task in enumerate(tasks):
        small = task.group is not None and size(task) <= SMALL_BYTES
        if held and not (small and len(held) < room):
            yield tuple(held)
            held = []
        if not held:
            room = most(len(tasks) - at)
        held.append(task)
        if not small:
            yield tuple(held)
            held = []
    if held:
        yield tuple(held)


def _tasks(
    path: str, options: Options, planned: dict[str, dict[str, str]], looking: Looking | None = None
) -> list[_Task]:
    folder = _folder(path)
    if folder is None or hasattr(options.chosen, "formats"):
        return [_Task(path=path, name=path)]
    plan = plan_folder(folder, options, looking.below(folder) if looking else None)
    planned[path] = plan.left_out
    alone = len(plan.groups) == 1
    return [
        _Task(
            path=path,
            name=each.best.run or each.best.files[0].name if alone else str(each.home),
            group=each,
            alone=alone,
        )
        for each in plan.groups
    ]


def _folder(path: str) -> Path | None:
    """The directory at the path, None for anything else."""
    found = Path(os.path.expanduser(path))  # noqa: PTH111 - leaves an unknown user alone
    try:
        return found if stat.S_ISDIR(found.stat().st_mode) else None
    except (OSError, ValueError):
        return None


def _many(tasks: Sequence[_Task]) -> bool:
    if len(tasks) < 2:
        return False
    return len(tasks) >= MANY_RUNS or sum(_size(task) for task in tasks) >= MANY_BYTES


def _size(task: _Task) -> int:
    files = task.group.best.files if task.group is not None else (Path(task.path),)
    try:
        return sum(file.stat().st_size for file in files)
    except (OSError, ValueError):
        return 0


def _gather(judged: Judged, own: Sequence[tuple[_Task, _Done]], left_out: Mapping[str, str]) -> None:
    """Adds the results below one path. Runs get different names, and files that belong to no run are noted."""
    told: dict[str, str] = dict(left_out)
    homes: list[Path] = []
    reports: list[Report] = []
    for task, what in own:
        told |= {path: why for path, why in what.left_out.items() if path not in left_out}
        reports += what.reports
        homes += [task.group.home for _ in what.reports if task.group is not None]
        judged.seconds += [what.seconds] * len(what.reports)
    failed = [failure for _, what in own for failure in what.failures]
    unread = [failure for _, what in own for failure in what.unread]
    # otherwise the path is a file that was left out, and is named as one
    judged.failures += failed if reports or failed else unread[:1]
    if homes:
        shared = share_left_out(told, homes, [report.meta["files"] for report in reports])
        reports = [
            _with(report, left_out=report.meta["left_out"] | own_files)
            for report, own_files in zip(reports, shared, strict=True)
        ]
    judged.reports += [
        _with(report, run=name)
        for report, name in zip(reports, make_unique([report.meta["run"] for report in reports]), strict=True)
    ]


def _sharing(done: _Done, kept: dict[Any, Any]) -> _Done:
    """The same, with one copy of what many runs have alike: which rules looked, and why the others did not. That is
    most of a report. `kept`: what was seen so far."""
    for at, report in enumerate(done.reports):
        skipped = tuple([kept.setdefault(check, check) for check in report.skipped])
        done.reports[at] = replace(
            report, skipped=kept.setdefault(skipped, skipped), checked=kept.setdefault(report.checked, report.checked)
        )
    return done


def _with(report: Report, **meta: Any) -> Report:
    return replace(report, meta={**report.meta, **meta})


_wanted = Wanted()  # of this process


def _prepare(wanted: Wanted) -> None:
    global _wanted  # noqa: PLW0603 - sent once to a process, not with each piece of work
    _wanted = wanted


def _work(batch: _Batch) -> list[_Done]:
    """Reads and judges. An error in the user's request is raised."""
    done, read = [_Done() for _ in batch], []
    for task, what in zip(batch, done, strict=True):
        begun = time.perf_counter()
        read += [(what, source, run) for source, run in _runs(task, what)]
        what.seconds = time.perf_counter() - begun
    begun = time.perf_counter()
    try:
        reports = _wanted.judge_all([run for _, _, run in read])
    except UsageError:
        raise
    except RldkError:  # of one of them
        _judge_each(read)
        return done
    each = time.perf_counter() - begun
    rows = max(1, sum(len(run.metrics) for _, _, run in read))
    for (what, _, run), report in zip(read, reports, strict=True):
        what.reports.append(report)
        what.seconds += each * len(run.metrics) / rows  # what was done for all of them is shared by their rows
    return done


def _judge_each(read: Sequence[tuple[_Done, str, Run]]) -> None:
    for what, source, run in read:
        begun = time.perf_counter()
        try:
            what.reports.append(_wanted.judge(run))
        except UsageError:
            raise
        except RldkError as error:
            what.failures.append(Failure(source=source, error=error))
        what.seconds += time.perf_counter() - begun


def _runs(task: _Task, done: _Done) -> list[tuple[str, Run]]:
    """The runs of the task, each with the source that names it. What cannot be read is noted."""
    try:
        if task.group is None:
            return [(run.source, run) for run in runs_in(task.path, **_wanted.reading)]
        folder = Path(os.path.expanduser(task.path))  # noqa: PTH111
        run = read_group(task.group, options_of(**_wanted.reading), folder, done.left_out)
    except UsageError:
        raise
    except (InputError, MissingExtra) as error:
        strict = _wanted.strict and isinstance(error, MalformedInput)
        kept = done.failures if strict or task.group is None else done.unread
        kept.append(Failure(source=task.path, error=error))
        return []
    except RldkError as error:
        done.failures.append(Failure(source=task.path, error=error))
        return []
    return [(run.source, replace(run, source=task.path if task.alone else home_of(run)))]


def _lost(batch: _Batch) -> list[_Done]:
    error = RldkError("the process that judged it died", hint="is there enough memory? Judge it alone to see")
    return [_Done(failures=[Failure(source=task.name, error=error)], lost=True) for task in batch]
