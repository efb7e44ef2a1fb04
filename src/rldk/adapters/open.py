"""Opening anything as runs: a file, a directory, a pattern, a list, standard input, a URL."""

from __future__ import annotations

import glob
import os
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rldk.adapters.base import BaseAdapter, Log, adapters
from rldk.adapters.explore import MAX_FILES, Source, claims, explore, sources_of
from rldk.adapters.flexible import field_map_hint, proposed_map
from rldk.adapters.frame import from_frame, is_frame
from rldk.adapters.grouping import Group, group
from rldk.adapters.layout import run_name
from rldk.adapters.manifest import with_manifest
from rldk.adapters.normalise import to_run
from rldk.adapters.remote import fetch, is_remote
from rldk.adapters.source import File
from rldk.core.model import Run
from rldk.errors import InputError, NoData, NotALog, RldkError, UnknownName, UnreadableSource, UsageError

Paths = str | os.PathLike[str]
AnySource = Paths | Sequence[Paths] | Any
# Names that `adapter=` takes besides those of the registry: the documented classes, each a choice among formats.
CLASSES = {
    "trl": "TRLAdapter",
    "grpo": "GRPOAdapter",
    "openrlhf": "OpenRLHFAdapter",
    "wandb": "WandBAdapter",
    "custom_jsonl": "CustomJSONLAdapter",
    "flexible": "FlexibleAdapter",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How to read, the same for every source of one call."""

    kinds: tuple[type[BaseAdapter], ...]
    chosen: type[BaseAdapter] | None = None
    field_map: Mapping[str, str] = field(default_factory=dict)
    strict: bool = False

    def log(self, source: Source) -> tuple[BaseAdapter, Log]:
        options: dict[str, Any] = {"strict": self.strict, "field_map": dict(self.field_map)}
        if source.run is not None:
            options["run"] = source.run
        made = source.adapter(source.files if len(source.files) > 1 else source.files[0], **options)
        return made, made.read()


def open_run(
    source: AnySource,
    *,
    adapter: str | None = None,
    field_map: Mapping[str, str] | None = None,
    strict: bool = False,
) -> Run:
    """The one run in `source`. Raises `UsageError` when there are several."""
    runs = open_runs(source, adapter=adapter, field_map=field_map, strict=strict)
    if len(runs) > 1:
        names = ", ".join(r.id for r in runs[:5])
        raise UsageError(f"{source} holds {len(runs)} runs", hint=f"name one of them: {names}")
    return runs[0]


def open_runs(
    source: AnySource,
    *,
    adapter: str | None = None,
    field_map: Mapping[str, str] | None = None,
    strict: bool = False,
) -> list[Run]:
    """Every run in `source`, at least one: a path, a glob pattern, "-", an fsspec URL, a list of these, or a table in
    memory (a DataFrame, anything with `to_pandas()`, a list of mappings).

    `adapter`: a name of the registry or a documented class in place of detection. `field_map`: the user's keys and the
    metrics they mean. `strict`: a line that cannot be read is an error. Raises `UnreadableSource`, `NotALog`, `NoData`,
    `MalformedInput`, and `UnknownName` for an adapter."""
    if is_frame(source):
        return [from_frame(source, field_map)]
    reading = _reading(adapter, field_map, strict=strict)
    many = [source] if isinstance(source, str | os.PathLike) else list(source)
    if not many:
        raise UsageError("an empty list of sources", hint="give at least one path")
    return _told_apart([run for item in many for run in _open(os.fspath(item), reading)])


def _told_apart(runs: list[Run]) -> list[Run]:
    """The runs with ids of their own: a second `metrics` becomes `metrics-2`."""
    seen: dict[str, int] = {}
    made = []
    for run in runs:
        seen[run.id] = seen.get(run.id, 0) + 1
        made.append(run if seen[run.id] == 1 else replace(run, id=f"{run.id}-{seen[run.id]}"))
    return made


def _reading(adapter: str | None, field_map: Mapping[str, str] | None, *, strict: bool) -> Reading:
    if adapter is None:
        return Reading(kinds=tuple(adapters), field_map=field_map or {}, strict=strict)
    chosen = find_adapter(adapter)
    formats = getattr(chosen, "formats", None)
    kinds = tuple(adapters.get(name) for name in formats) if formats else (chosen,)
    return Reading(kinds=kinds, chosen=chosen, field_map=field_map or {}, strict=strict)


def find_adapter(name: str) -> type[BaseAdapter]:
    """The adapter of that name, from the registry or the documented classes. Raises `UnknownName`."""
    import rldk.adapters as package

    wanted = name.strip()
    for spelled in (wanted, wanted.replace("_", "-"), wanted.replace("-", "_")):
        if spelled in adapters:
            return adapters.get(spelled)
        if spelled in CLASSES:
            found: type[BaseAdapter] = getattr(package, CLASSES[spelled])
            return found
    if wanted in CLASSES.values():
        return find_adapter(next(k for k, v in CLASSES.items() if v == wanted))
    raise UnknownName("adapter", name, {*adapters.names(), *CLASSES})


def _open(source: str, reading: Reading) -> list[Run]:
    if is_remote(source):
        with TemporaryDirectory(prefix="rldk-") as folder:
            runs = _open_path(fetch(source, Path(folder)), reading)
            return [replace(run, source=source) for run in runs]
    path = Path(source).expanduser()
    if not path.exists() and glob.has_magic(source):
        return _open_matches(source, sorted(glob.glob(str(path), recursive=True)), reading)  # noqa: PTH207 - may be absolute
    return _open_path(path, reading)


def _open_matches(pattern: str, matches: Sequence[str], reading: Reading) -> list[Run]:
    """The runs of all that a pattern matches; what is no log among it is left out, unless nothing is one."""
    runs: list[Run] = []
    failures: dict[str, InputError] = {}
    for match in matches[:MAX_FILES]:
        try:
            runs += _open_path(Path(match), reading)
        except (NoData, NotALog) as error:
            failures[match] = error
    if not runs:
        raise next(iter(failures.values()), None) or UnreadableSource(
            f"nothing matches {pattern}", hint="quote the pattern and check the directory"
        )
    first = runs[0]
    left_out = {path: error.message for path, error in failures.items()}
    return [replace(first, meta=replace(first.meta, left_out=first.meta.left_out | left_out)), *runs[1:]]


def _open_path(path: Path, reading: Reading) -> list[Run]:
    try:
        exists, folder = path.exists(), path.is_dir()
    except OSError as error:
        raise UnreadableSource(f"cannot read {path}: {error.strerror}", hint="check the path") from None
    if not exists:
        raise UnreadableSource(f"no such file or directory: {path}", hint="check the path")
    return _open_folder(path, reading) if folder else _open_file(path, reading)


def _open_file(path: Path, reading: Reading) -> list[Run]:
    try:
        claimed = claims(File(path), reading.kinds)
    except (OSError, EOFError, zlib.error) as error:
        raise UnreadableSource(f"cannot read {path}: {error}", hint="is the archive whole?") from None
    if not claimed and (reading.chosen is not None or reading.field_map):
        claimed = [(0, reading.chosen or find_adapter("flexible"))]
    if not claimed:
        raise _no_log(path)
    failures: list[RldkError] = []
    for confidence, kind in claimed:
        try:
            return [_read_one(s, reading) for s in sources_of(kind, path, confidence, path.parent)]
        except (NoData, NotALog) as error:
            failures.append(error)
    raise failures[0]


def _no_log(path: Path) -> RldkError:
    if path.stat().st_size == 0:
        return NoData(f"{path} is empty", hint="has the run written anything yet?")
    return NotALog(f"{path} is in no log format that rldk knows", hint="rldk format-info lists the formats it reads")


def _read_one(source: Source, reading: Reading) -> Run:
    made, log = reading.log(source)
    return with_manifest(_known(log, made, reading), source.home)


def _known(log: Log, made: BaseAdapter, reading: Reading) -> Run:
    """The run; when not one of its columns has a known name, with the names they come closest to, and a note."""
    if reading.chosen is not None and reading.chosen.name == "flexible":
        return reading.chosen(made.source, **made.options).load_run()
    run = to_run(log, adapter=made, field_map=reading.field_map)
    if run.meta.names or reading.field_map or not run.metrics.columns:
        return run
    note = f"no column has a known name; {field_map_hint(run)}"
    guessed = to_run(log, adapter=made, field_map=proposed_map(run.metrics.columns))
    return replace(guessed, meta=replace(guessed.meta, notes=(*guessed.meta.notes, note)))


def _open_folder(root: Path, reading: Reading) -> list[Run]:
    found = explore(root, reading.kinds)
    groups, spare = group(found.sources, root)
    left_out = dict(found.left_out)
    for source in spare:
        left_out |= {str(p): "shared by several runs: open it alone" for p in source.files}
    runs: list[tuple[Path, Run]] = []
    failures: list[RldkError] = []
    for each in groups:
        try:
            runs.append((each.home, _read_group(each, reading, root, left_out)))
        except InputError as error:
            failures.append(error)
    if not runs:
        raise failures[0] if failures else _no_runs(root, found.files)
    return _with_left_out(runs, left_out)


def _no_runs(root: Path, files: int) -> RldkError:
    if not files:
        return NoData(f"no file in {root}", hint="give the directory that the trainer writes to")
    return NotALog(f"no log among the {files} files in {root}", hint="rldk format-info lists the formats it reads")


def _read_group(each: Group, reading: Reading, root: Path, left_out: dict[str, str]) -> Run:
    """The run of a group, read from the first source that gives rows, with samples from the one that has them."""
    made: BaseAdapter | None = None
    log: Log | None = None
    failures: list[RldkError] = []
    for source in each.sources:
        if log is not None and not (source.adapter.samples_only and log.samples is None):
            continue
        try:
            adapter, found = reading.log(source)
        except InputError as error:
            failures.append(error)
            left_out |= {str(p): f"unreadable: {error.message}" for p in source.files}
            continue
        if log is None or made is None:
            made, log = adapter, found
        else:
            made.files += adapter.files
            log = replace(log, samples=found.samples)
    if log is None or made is None:
        raise failures[0]
    read = {f.path for f in made.files}
    others = [p for s in each.sources for p in s.files if p not in read]
    reason = f"same run, read from {made.files[0].path.name} instead"
    for path in others:
        left_out.setdefault(str(path), reason)
    folder = each.home
    run = _known(log, made, reading)
    name = each.best.run or (run.id if folder == root and len(each.sources) == 1 else None) or _name(each, folder)
    return with_manifest(replace(run, id=name), folder)


def _name(each: Group, folder: Path) -> str:
    if len(each.sources) > 1 or each.best.adapter.gathers:
        return folder.absolute().name or "run"
    return run_name(each.best.files[0])


def _with_left_out(runs: Iterable[tuple[Path, Run]], left_out: Mapping[str, str]) -> list[Run]:
    """Each file that was not read, told by the run in whose directory it lies, else by the first run."""
    runs = list(runs)
    told: list[dict[str, str]] = [{} for _ in runs]
    for path, reason in left_out.items():
        holders = [i for i, (folder, _) in enumerate(runs) if Path(path).is_relative_to(folder)]
        told[max(holders, key=lambda i: len(runs[i][0].parts), default=0)][path] = reason
    return [
        replace(run, meta=replace(run.meta, left_out=run.meta.left_out | told[i])) for i, (_, run) in enumerate(runs)
    ]
