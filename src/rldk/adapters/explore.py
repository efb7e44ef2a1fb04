"""Walks a directory: finds every file that an adapter claims, and says why the others are left out.

The walk is bounded and follows no links."""

from __future__ import annotations

import os
import re
import stat
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from msgspec import Struct, field

from rldk.adapters.base import BaseAdapter, able_kinds
from rldk.adapters.formats.flexible import FlexibleAdapter, bare_columns, loose_columns, only_column
from rldk.adapters.late import find_late_start
from rldk.adapters.layout import home
from rldk.adapters.naming.keys import says_metric
from rldk.adapters.source import File
from rldk.core.rundir import KEPT_FOLDERS, WRITER, is_kept
from rldk.core.text import later
from rldk.errors import RldkError

MAX_FILES = 20_000
MAX_DEPTH = 32
UNREADABLE = "rldk cannot read it"  # how the reason begins why a file was left out that cannot be opened
_SKIPPED = frozenset({".git", ".hg", ".venv", "__pycache__", "node_modules", ".ipynb_checkpoints"})
_FAMILIES = {"hf": "trl", "trl": "trl", "sb3": "sb3", "rllib": "rllib", "cleanrl": "cleanrl", "openrlhf": "openrlhf"}
_FAMILIES |= {"verl": "verl"}
_PROCESS = later(r"(?:(?<=^)|[_-])(?:rank|worker|proc|process|gpu)[_-]?\d+$", re.IGNORECASE)
GENERIC = 20  # a format of this quality or less says nothing about its writer


class Source(Struct, frozen=True, kw_only=True):
    """Files that one adapter reads as one log. `home`: the directory of the run, judged by folder names.

    `run`: the run to read when a file holds several; None when it holds one."""

    adapter: type[BaseAdapter]
    files: tuple[Path, ...]
    confidence: int
    home: Path
    run: str | None = None

    @property
    def rank(self) -> tuple[int, bool, int]:
        """The sort key. The trainer's own format ranks before a shared one, because it has keys that the others
        lack."""
        return self.adapter.quality, self.family is not None, self.confidence

    @property
    def family(self) -> str | None:
        """The framework whose format this is; None for formats that many frameworks write."""
        return _FAMILIES.get(self.adapter.name.replace("_", "-").split("-")[0])

    @property
    def stem(self) -> str:
        """The name that all files of one run share, without the number of the process that wrote the file."""
        stem = self.files[0].name.split(".")[0]
        return _PROCESS.sub("", stem) or "rank"


class Found(Struct):
    """What a walk found. `left_out`: path -> why rldk does not read it. `loose`: files that rldk opens when they are
    alone. They are tables with a known column name but without a column of steps."""

    sources: list[Source] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    loose: list[Path] = field(default_factory=list)
    files: int = 0


Claim = tuple[int, type[BaseAdapter]]


class Look(Struct, frozen=True, kw_only=True):
    """What a look at one file said. `claim`: the surest one. `left_out`: why there is none. `loose`: see `Found`.
    `sources`: those in the file, where they are known already."""

    claim: Claim | None = None
    left_out: str = ""
    loose: bool = False
    sources: tuple[Source, ...] = ()


Looks = Callable[[Sequence[Path]], Iterable[Look]]


def explore(root: Path, looks: Looks) -> Found:
    """Every source below `root`. The walk looks at no more than `MAX_FILES` files and follows no links.

    `looks`: looks at each of many files, in their order (see `look_into`)."""
    found = Found()
    walked = list(_walk(root))
    paths = [path for path, reason in walked if not reason]
    found.files = len(paths)
    each = iter(looks(paths))
    gathered: dict[tuple[type[BaseAdapter], Path], list[tuple[int, Path]]] = {}
    for path, reason in walked:
        look = Look(left_out=reason) if reason else next(each)
        if look.loose:
            found.loose.append(path)
        if look.claim is None:
            if look.left_out:
                found.left_out[str(path)] = look.left_out
            continue
        confidence, kind = look.claim
        folder = _inside(home(path), root)
        if kind.gathers:
            gathered.setdefault((kind, folder), []).append((confidence, path))
        else:
            found.sources += look.sources or sources_of(kind, [path], confidence, folder)
    for (kind, folder), files in gathered.items():
        paths = [path for _, path in files]
        found.sources += sources_of(kind, paths, max(c for c, _ in files), folder)
    _leave_out_copies(found)
    if not found.sources:
        found.sources += [
            Source(adapter=FlexibleAdapter, files=(path,), confidence=0, home=_inside(home(path), root))
            for path in found.loose
        ]
        for path in found.loose:
            del found.left_out[str(path)]
    return found


def _leave_out_copies(found: Found) -> None:
    """Leaves out `a_metrics.csv` beside `a_events.jsonl`: the callbacks write the same rows in both."""
    names = {path for source in found.sources for path in source.files}
    for source in list(found.sources):
        (path, *more) = source.files
        events = path.with_name(path.name.removesuffix("_metrics.csv") + "_events.jsonl")
        if not more and path.name.endswith("_metrics.csv") and events in names:
            found.sources.remove(source)
            found.left_out[str(path)] = f"the rows of {events.name} as a table"


def claims(file: File, kinds: Iterable[type[BaseAdapter]]) -> list[Claim]:
    """The adapters that recognise the file, as (confidence, adapter): the surest first, then the best quality.

    Raises what `File.open` raises, and `UnreadableSource` for a damaged archive."""
    scored = [(kind.sniff(file), kind) for kind in able_kinds(kinds, file.head)]
    return sorted((s for s in scored if s[0] > 0), key=lambda s: (-s[0], -s[1].quality, s[1].name))


def sources_of(kind: type[BaseAdapter], paths: Sequence[Path], confidence: int, folder: Path) -> list[Source]:
    """The sources in files of one format that lie together: a single one, or one for each run."""
    files = [File(path) for path in paths]
    runs = kind.runs(files[0]) if hasattr(kind, "runs") and len(files) == 1 else []
    parts = dict.fromkeys(runs, files) if len(runs) > 1 else kind.split(files)
    return [
        Source(adapter=kind, files=tuple(f.path for f in part), confidence=confidence, home=folder, run=name)
        for name, part in parts.items()
    ]


def look_into(path: Path, kinds: Sequence[type[BaseAdapter]], root: Path) -> Look:
    """The look at a file below `root`, with its sources where the file is a log by itself."""
    look = best_claim(path, kinds)
    if look.claim is None or look.claim[1].gathers:
        return look
    confidence, kind = look.claim
    return Look(claim=look.claim, sources=tuple(sources_of(kind, [path], confidence, _inside(home(path), root))))


def best_claim(path: Path, kinds: Sequence[type[BaseAdapter]]) -> Look:
    """The surest claim on the file, or the reason why there is none."""
    try:
        file = File(path)
        claimed = claims(file, kinds)
        if not claimed and (begun := find_late_start(file, kinds)) is not None:
            claimed = claims(begun, kinds)
    except RldkError as error:
        return Look(left_out=f"{UNREADABLE}: {error.message}")
    except (OSError, EOFError, zlib.error) as error:
        return Look(left_out=f"{UNREADABLE}: {error}")
    if claimed:
        return Look(claim=claimed[0])
    loose = bool(only_column(file)) or says_metric(loose_columns(file) or bare_columns(file))
    return Look(loose=loose, left_out="empty" if path.stat().st_size == 0 else "not a log")


def _walk(root: Path) -> Iterator[tuple[Path, str]]:
    """The regular files below `root` in a fixed order, each with "". What the walk skips has the reason instead."""
    files = 0
    refused: list[tuple[Path, str]] = []
    for folder, subfolders, names in os.walk(root, onerror=lambda e: refused.append(_refusal(e))):
        yield from refused
        refused.clear()
        depth = len(Path(folder).relative_to(root).parts)
        subfolders[:] = sorted(s for s in subfolders if s not in _SKIPPED) if depth < MAX_DEPTH else []
        if WRITER in names:  # a tracked run: what was kept of its code and data is no log of it
            subfolders[:] = [s for s in subfolders if s not in KEPT_FOLDERS]
            names[:] = [name for name in names if not is_kept(name)]
        for name in sorted(names):
            path = Path(folder, name)
            try:
                mode = path.lstat().st_mode
            except OSError as error:
                yield path, f"{UNREADABLE}: {error.strerror}"
                continue
            if not stat.S_ISREG(mode):
                yield path, "a link" if stat.S_ISLNK(mode) else "it is not a regular file"
                continue
            if files == MAX_FILES:
                yield root, f"there are more than {MAX_FILES} files: rldk did not look at the rest"
                return
            files += 1
            yield path, ""
    yield from refused


def _refusal(error: OSError) -> tuple[Path, str]:
    return Path(error.filename), f"{UNREADABLE}: {error.strerror}"


def _inside(folder: Path, root: Path) -> Path:
    return folder if folder.is_relative_to(root) else root
