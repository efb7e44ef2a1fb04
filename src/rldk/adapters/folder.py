"""Reads what was found: a source into a Run, a directory into its runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import Struct, field
from msgspec.structs import replace
from numpy.typing import NDArray

from rldk.adapters.base import BaseAdapter
from rldk.adapters.checkpoints import with_checkpoints
from rldk.adapters.explore import GENERIC, UNREADABLE, Looks, Source, explore, look_into
from rldk.adapters.formats.flexible import FlexibleAdapter
from rldk.adapters.grouping import WHOLE, Group, group
from rldk.adapters.layout import run_name
from rldk.adapters.log import Log
from rldk.adapters.manifest import with_manifest
from rldk.adapters.naming.columns import to_run
from rldk.adapters.source import File
from rldk.core.model import Run
from rldk.core.table import PHASES
from rldk.errors import InputError, MalformedInput, MissingExtra, NoData, NotALog, RldkError, UnreadableSource

# This file is written at checkpoints only. When a run died or still runs, a log beside it goes further.
_SNAPSHOTS = frozenset({"hf-trainer-state"})


class Options(Struct, frozen=True, kw_only=True):
    """How to read every source of one call. `chosen`: the adapter that the user named."""

    kinds: tuple[type[BaseAdapter], ...]
    chosen: type[BaseAdapter] | None = None
    field_map: Mapping[str, str] = field(default_factory=dict)
    strict: bool = False


class _Read(Struct):
    source: Source
    adapter: BaseAdapter
    log: Log

    @property
    def train(self) -> NDArray[np.int64]:
        """The steps of the training rows."""
        steps: NDArray[np.int64] = self.log.table.step[self.log.table.phase == PHASES.index("train")]
        return steps

    @property
    def finished(self) -> bool:
        return bool((self.log.table.phase == PHASES.index("summary")).any())


def read_source(source: Source, options: Options) -> Run:
    """The run in one source."""
    return with_manifest(_to_run(_read(source, options), options), source.home)


def read_again(source: Source, adapter: BaseAdapter, options: Options) -> Run:
    """The run in one source, read by an adapter that may have read an earlier state of it."""
    adapter.files = tuple(File(path) for path in source.files)
    return with_manifest(_to_run(_Read(source, adapter, adapter.read()), options), source.home)


class Plan(Struct, frozen=True, kw_only=True):
    """The runs found below a directory, not yet read. `left_out`: path -> why it belongs to no run."""

    root: Path
    groups: list[Group]
    left_out: dict[str, str]


def plan_folder(root: Path, options: Options, looks: Looks | None = None) -> Plan:
    """Which files below a directory form a run together; there is at least one run.

    `looks`: replaces `look_into` for a caller that looks at many files at once. Raises `UnreadableSource`, `NoData` and
    `NotALog` when there is no run."""
    found = explore(root, looks or (lambda paths: (look_into(path, options.kinds, root) for path in paths)))
    groups, spare = group(found.sources, root)
    left_out = found.left_out | {str(p): "several runs share it: open it alone" for s in spare for p in s.files}
    if groups:
        homes = Counter(each.home for each in groups)
        for each in groups:
            each.alone = homes[each.home] == 1
        return Plan(root=root, groups=groups, left_out=left_out)
    refused = [(path, reason) for path, reason in found.left_out.items() if reason.startswith(UNREADABLE)]
    if refused:
        path, reason = refused[0]
        raise UnreadableSource(f"there is no readable log in {root}; {path}: {reason}", hint="check the permissions")
    if not found.files:
        raise NoData(f"there is no file in {root}", hint="give the directory that the trainer writes to")
    many = f"there is no log among the {found.files} files in {root}"
    raise NotALog(
        f"the only file in {root} is no log" if found.files == 1 else many, hint="rldk format-info lists the formats"
    )


def read_folder(root: Path, options: Options) -> list[Run]:
    """The runs below a directory; each names the files it was read from and those left out, with the reason.

    Raises `NoData` and `NotALog` when there is no run, or the error of the first run when no run can be read."""
    plan = plan_folder(root, options)
    left_out = dict(plan.left_out)
    homes: list[Path] = []
    runs: list[Run] = []
    failures: list[RldkError] = []
    for each in plan.groups:
        try:
            runs.append(read_group(each, options, root, left_out))
            homes.append(each.home)
        except (InputError, MissingExtra) as error:
            if options.strict and isinstance(error, MalformedInput):
                raise
            failures.append(error)
    if not runs:
        raise failures[0]
    told = share_left_out(left_out, homes, [run.meta.files for run in runs])
    return [
        replace(run, meta=replace(run.meta, left_out=run.meta.left_out | own))
        for run, own in zip(runs, told, strict=True)
    ]


def _read(source: Source, options: Options) -> _Read:
    given: dict[str, Any] = {"strict": options.strict, "field_map": dict(options.field_map)}
    if source.run is not None:
        given["run"] = source.run
    adapter = source.adapter(source.files if len(source.files) > 1 else source.files[0], **given)
    return _Read(source, adapter, adapter.read())


def _to_run(read: _Read, options: Options) -> Run:
    """The run. When none of its columns has a known name, rldk uses the closest metrics and adds a note."""
    if isinstance(read.adapter, FlexibleAdapter):
        return read.adapter.load_run()
    return to_run(read.log, read.adapter.origin, field_map=options.field_map, propose=True)


def read_group(each: Group, options: Options, root: Path, left_out: dict[str, str]) -> Run:
    """The run of a group, read from its best source, with the samples of the source that has some."""
    failures: list[RldkError] = []
    readable = _readable(each.sources, options, left_out, failures)
    main = next(readable, None)
    if main is None:
        raise failures[0]
    unfinished = main.source.adapter.name in _SNAPSHOTS and main.train.size > 0 and not main.finished
    detour = _further(main, readable) if unfinished else None
    if GENERIC < main.source.adapter.quality < WHOLE:
        main = _fuller(main, readable) or main
    chosen = detour or main
    _add_samples(chosen, each, options, left_out)
    read = {f.path for f in chosen.adapter.files}
    reason = f"same run, read from {chosen.adapter.files[0].path.name} instead"
    if detour:
        chosen.log = replace(chosen.log, config=main.log.config | detour.log.config)
        reason += f": it continues to step {detour.train.max()}"
    for path in (p for s in each.sources for p in s.files if p not in read):
        left_out.setdefault(str(path), reason)
    run = _to_run(chosen, options)
    named = chosen.source is each.best and chosen.adapter.options.get("run") is not None
    run = with_manifest(replace(run, id=_name(each, run, root, named=named)), each.home)
    return with_checkpoints(run, each.home) if each.alone else run


def _readable(
    sources: Iterable[Source], options: Options, left_out: dict[str, str], failures: list[RldkError]
) -> Iterator[_Read]:
    for source in sources:
        try:
            yield _read(source, options)
        except (InputError, MissingExtra) as error:
            if options.strict and isinstance(error, MalformedInput):
                raise
            failures.append(error)
            left_out |= {str(p): _why(error) for p in source.files}


def _why(error: RldkError) -> str:
    if isinstance(error, MissingExtra):
        return f"{error.message}: {error.hint}"
    return error.message if isinstance(error, NoData) else f"{UNREADABLE}: {error.message}"


def _further(main: _Read, others: Iterator[_Read]) -> _Read | None:
    """The best other source that has every training row of the snapshot and further rows after them."""
    for other in others:
        whole = other.source.adapter.quality > GENERIC and other.train.size > main.train.size
        if whole and int(other.train.max()) > int(main.train.max()):
            return other
    return None


def _fuller(main: _Read, others: Iterator[_Read]) -> _Read | None:
    """The best generic source that says more than a terminal showed: it has more metrics, on at least half as many
    training rows (a terminal may show the episodes of each environment)."""
    for other in others:
        kind = other.source.adapter
        metrics = len(other.log.table.columns) - len(main.log.table.columns)
        long = 2 * other.train.size >= main.train.size
        if kind.quality == GENERIC and not kind.samples_only and metrics > 0 and long:
            return other
    return None


def _add_samples(chosen: _Read, each: Group, options: Options, left_out: dict[str, str]) -> None:
    if chosen.log.samples is not None:
        return
    sources = [s for s in each.sources if s.adapter.samples_only and s is not chosen.source]
    found = next(_readable(sources, options, left_out, []), None)
    if found is not None:
        chosen.adapter.files += found.adapter.files
        chosen.log = replace(chosen.log, samples=found.log.samples, sample_reader=found.log.sample_reader)


def _name(each: Group, run: Run, root: Path, *, named: bool) -> str:
    """The id of the run. `named`: the log itself states an id."""
    if each.best.run is not None or named:
        return each.best.run or run.id
    if len(each.sources) > 1 or each.best.adapter.gathers:
        return (each.home.absolute().name or "run") if each.home != root or len(each.sources) > 1 else run.id
    return run_name(each.best.files[0])


def share_left_out(
    left_out: Mapping[str, str], homes: Sequence[Path], read: Sequence[Sequence[str]]
) -> list[dict[str, str]]:
    """The files that each run lists as not read, from the directory of the run and the files it was read from.

    A run lists the files in its directory. The first run lists the files that lie in no such directory."""
    used = {path for files in read for path in files}
    first: dict[Path, int] = {}
    for i, home in enumerate(homes):
        first.setdefault(home, i)
    told: list[dict[str, str]] = [{} for _ in homes]
    for path, reason in left_out.items():
        if path not in used:
            holder = next((first[folder] for folder in (Path(path), *Path(path).parents) if folder in first), 0)
            told[holder][path] = reason
    return told
