"""Opens anything as runs: a file, a directory, a pattern, a list, standard input, a URL."""

from __future__ import annotations

import glob
import os
import stat
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from msgspec.structs import replace

from rldk.adapters.base import BaseAdapter, adapters
from rldk.adapters.explore import MAX_FILES, Source, claims, sources_of
from rldk.adapters.folder import Options, read_folder, read_source
from rldk.adapters.formats.flexible import FlexibleAdapter, bare_columns, loose_columns
from rldk.adapters.formats.json_document import JsonDocument
from rldk.adapters.frame import from_frame, is_frame
from rldk.adapters.late import find_late_start
from rldk.adapters.remote import fetch, is_remote, is_store, read_store
from rldk.adapters.source import File
from rldk.adapters.wire.pairs import refusal_of_width
from rldk.core.model import Run
from rldk.core.table import MAX_METRICS
from rldk.errors import (
    InputError,
    MalformedInput,
    NoData,
    NotALog,
    RldkError,
    UnknownName,
    UnreadableSource,
    UsageError,
)

Paths = str | os.PathLike[str]
AnySource = Paths | Sequence[Paths] | Any
# Besides the registry, `adapter=` takes these documented classes; each of them chooses among formats.
CLASSES = {
    "trl": "TRLAdapter",
    "grpo": "GRPOAdapter",
    "openrlhf": "OpenRLHFAdapter",
    "wandb": "WandBAdapter",
    "custom_jsonl": "CustomJSONLAdapter",
    "flexible": "FlexibleAdapter",
}


def open_run(
    source: AnySource,
    *,
    adapter: str | None = None,
    field_map: Mapping[str, str] | None = None,
    strict: bool = False,
) -> Run:
    """The one run in `source`. Raises `UsageError` when `source` holds several."""
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
    """Every run in `source`, at least one: a path, a glob pattern, "-", an fsspec URL, a run on a server
    (wandb://project/run, mlflow://run_id), a list of these, or a table in memory (a DataFrame, anything with
    `to_pandas()`, a list of mappings).

    `adapter`: a name of the registry, or a documented class; it replaces detection. `field_map`: the user's keys and
    the metrics they mean. `strict`: a line that cannot be read is an error. Raises `UnreadableSource`, `NotALog`,
    `NoData`, `MalformedInput`, and `UnknownName` for an adapter."""
    if is_frame(source):
        return [from_frame(source, field_map)]
    options = options_of(adapter, field_map, strict=strict)
    many = [source] if isinstance(source, str | os.PathLike) else list(source)
    if not many:
        raise UsageError("the list of sources is empty", hint="give at least one path")
    runs = [run for item in many for run in _open(os.fspath(item), options)]
    return [replace(run, id=name) for run, name in zip(runs, make_unique([run.id for run in runs]), strict=True)]


def make_unique(names: Sequence[str]) -> list[str]:
    """The names, made unique: a second `metrics` becomes `metrics-2`."""
    seen: dict[str, int] = {}
    made = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        made.append(name if seen[name] == 1 else f"{name}-{seen[name]}")
    return made


def options_of(
    adapter: str | None = None, field_map: Mapping[str, str] | None = None, *, strict: bool = False
) -> Options:
    """The options that the arguments of `open_runs` stand for. Raises `UnknownName` for an unknown adapter."""
    if adapter is None:
        return Options(kinds=tuple(adapters), field_map=field_map or {}, strict=strict)
    chosen = find_adapter(adapter)
    formats = getattr(chosen, "formats", None)
    kinds = tuple(adapters.get(name) for name in formats if name in adapters) if formats else (chosen,)
    return Options(kinds=kinds, chosen=chosen, field_map=field_map or {}, strict=strict)


def find_adapter(name: str) -> type[BaseAdapter]:
    """The adapter with that name, from the registry or the documented classes. Raises `UnknownName`."""
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


def _open(source: str, options: Options) -> list[Run]:
    if is_store(source):
        return [read_store(source, options.field_map)]
    if is_remote(source):
        with TemporaryDirectory(prefix="rldk-") as folder:
            runs = _open_path(fetch(source, Path(folder)), options)
            return [replace(run, source=source) for run in runs]
    path = Path(os.path.expanduser(source))  # noqa: PTH111 - leaves an unknown user alone
    if glob.has_magic(source) and not os.path.exists(path):  # noqa: PTH110 - says no to an impossible name
        return _open_matches(source, sorted(glob.glob(str(path), recursive=True)), options)  # noqa: PTH207 - may be absolute
    return _open_path(path, options)


def _open_matches(pattern: str, matches: Sequence[str], options: Options) -> list[Run]:
    """The runs in all files that a pattern matches. Files that are not logs are left out, unless none is a log."""
    runs: list[Run] = []
    failures: dict[str, InputError] = {}
    for match in matches[:MAX_FILES]:
        try:
            runs += _open_path(Path(match), options)
        except InputError as error:
            if options.strict and isinstance(error, MalformedInput):
                raise
            failures[match] = error
    if not runs:
        raise next(iter(failures.values()), None) or UnreadableSource(
            f"nothing matches {pattern}", hint="quote the pattern and check the directory"
        )
    first = runs[0]
    left_out = {path: error.message for path, error in failures.items()}
    return [replace(first, meta=replace(first.meta, left_out=first.meta.left_out | left_out)), *runs[1:]]


def _open_path(path: Path, options: Options) -> list[Run]:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise UnreadableSource(f"no such file or directory: {path}", hint="check the path") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UnreadableSource(f"cannot read {path}: {reason}", hint="check the path") from None
    if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
        raise UnreadableSource(f"{path} is a pipe or a device, not a file", hint="pipe it into `rldk doctor -`")
    read = read_folder if stat.S_ISDIR(mode) else _open_file
    if not hasattr(options.chosen, "formats"):
        return read(path, options)
    try:
        return read(path, options)
    except NotALog:  # the documented classes name a trainer; its log may have a format that many trainers write
        return read(path, replace(options, kinds=tuple(adapters), chosen=None))


def _open_file(path: Path, options: Options) -> list[Run]:
    try:
        claimed = claims(File(path), options.kinds) or _late_claims(path, options)
    except (OSError, EOFError, zlib.error) as error:
        raise UnreadableSource(f"cannot read {path}: {error}", hint="check that the archive is complete") from None
    if not claimed:
        return [_unclaimed(path, options)]
    failures: list[RldkError] = []
    for confidence, kind in claimed:
        try:
            return [read_source(s, options) for s in sources_of(kind, [path], confidence, path.parent)]
        except (NoData, NotALog) as error:
            failures.append(error)
    raise failures[0]


def _late_claims(path: Path, options: Options) -> list[tuple[int, type[BaseAdapter]]]:
    """The claims on the file at the place where its metrics begin; for a file whose head has none."""
    found = find_late_start(File(path), options.kinds)
    return claims(found, options.kinds) if found is not None else []


def _unclaimed(path: Path, options: Options) -> Run:
    """The run in a file that no adapter recognises. rldk reads it as the user says, else as a table with a known
    column."""
    kind = options.chosen or FlexibleAdapter
    if options.chosen is None and not FlexibleAdapter.sniff(File(path)):
        raise _no_log(path)
    try:
        run = read_source(Source(adapter=kind, files=(path,), confidence=0, home=path.parent), options)
    except (NoData, NotALog):
        if options.chosen or options.field_map:
            raise
        raise _no_log(path) from None
    if not run.meta.names and options.chosen is None:
        raise _no_log(path)
    return run


WIDE_HINT = f"write such rows as JSON lines, which may have {MAX_METRICS:,} metrics, or print fewer numbers"


def _no_log(path: Path) -> RldkError:
    if path.stat().st_size == 0:
        return NoData(f"{path} is empty", hint="check that the run has written something")
    if JsonDocument.summarises(File(path)):
        hint = "give the file that has a value for every step, or the directory of the run"
        return NotALog(f"{path} is a summary: it has one value of each metric and no history", hint=hint)
    hint = "rldk format-info lists the formats it reads"
    if columns := loose_columns(File(path)) or bare_columns(File(path)):
        shown = ", ".join(columns[:6]) + ", ..." * (len(columns) > 6)
        hint = (
            f'it is a table of {shown}: name what you know, such as --field-map \'{{"{columns[-1]}": "reward_mean"}}\''
        )
        return NotALog(f"{path} is a table without a column that rldk knows", hint=hint)
    file = File(path)
    if file.is_text and (wide := refusal_of_width(file.head)):
        return NotALog(f"{path} is not read: {wide}", hint=WIDE_HINT)
    return NotALog(f"{path} is in no log format that rldk knows", hint=hint)
