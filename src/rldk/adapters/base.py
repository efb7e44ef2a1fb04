"""What an adapter is: it recognises a file by content and reads it into a Log, in the source's own names."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from rldk.adapters.log import Log, Origin
from rldk.adapters.source import File
from rldk.core.model import Run
from rldk.core.registry import Registry

if TYPE_CHECKING:
    import pandas as pd

    from rldk.adapters.live.lineformat import LineFormat


class BaseAdapter(ABC):
    """Subclass, set `name`, `describes`, `quality`, write `sniff` and `read`, decorate with `@adapter`.

    `quality` ranks the sources of one run that lie side by side: 90 is lossless with configuration, 80 lossless, 70
    lossless with fewer keys, 60 needs care, 40 rounded or partial, 20 generic. `gathers`: all files of this format
    below the directory of a run belong together as `split` says (event files, nested checkpoints); otherwise each file
    is a log of its own. `samples_only`: the format holds per-sample records and no metrics. `lines`: how rldk follows
    the format while it grows; None when the format is not made of lines, and rldk reads the whole log again whenever
    one of its `parts` has changed. `landmark`: bytes that stand in every line that `marks` accepts. `uncounted`: bytes
    for which rldk asks `marks` about a line even without a count. `resumes`: `read` may be called again on the same
    adapter and then decodes only what is new. `keeps`, `loses`: what such a log has of a run and what it lacks, as
    Markdown.
    """

    name: ClassVar[str]
    describes: ClassVar[str]
    quality: ClassVar[int] = 20
    gathers: ClassVar[bool] = False
    samples_only: ClassVar[bool] = False
    lines: ClassVar[LineFormat | None] = None
    resumes: ClassVar[bool] = False
    keeps: ClassVar[str] = ""
    loses: ClassVar[str] = ""
    landmark: ClassVar[bytes] = b""
    uncounted: ClassVar[bytes] = b""

    def __init__(self, source: str | os.PathLike[str] | Iterable[str | os.PathLike[str]], **options: Any) -> None:
        many = [source] if isinstance(source, str | os.PathLike) else list(source)
        self.source = str(many[0]) if len(many) == 1 else ", ".join(map(str, many))
        self.files: tuple[File, ...] = tuple(f for item in many for f in self._collect(Path(item)))
        self.options = options

    @classmethod
    @abstractmethod
    def sniff(cls, file: File) -> int:
        """Confidence from 0 to 100 that the content of `file` has this format: 20 is possible, 60 likely, 90 certain.

        The method must not raise on any bytes and must look at `file.head` only."""

    @classmethod
    def parts(cls, path: Path) -> Iterable[Path]:
        """The files that hold the log at `path`; some of them may not exist yet."""
        return (path,)

    @abstractmethod
    def read(self) -> Log:
        """The log in `self.files`. A bad line is rejected and counted; it never ends the reading.

        Raises `NoData` when no row is left."""

    @classmethod
    def marks(cls, line: bytes) -> bool:  # noqa: ARG003
        """Whether a line far into a text holds metrics of this format. It serves texts whose head has no metrics.

        rldk asks only about lines with a word for steps, epochs or episodes that a number follows directly, and about
        lines with `uncounted`."""
        return False

    @classmethod
    def split(cls, files: Sequence[File]) -> dict[str | None, list[File]]:
        """The runs among files of this format that lie together, as {run: its files}; the run is None without a
        name."""
        return {None: list(files)}

    def can_handle(self) -> bool:
        return bool(self.files) and all(self.sniff(f) > 0 for f in self.files)

    @property
    def origin(self) -> Origin:
        """Where the log comes from. The answer may change, because files may be added to an adapter."""
        run = self.options.get("run")
        files = tuple(str(f.path) for f in self.files)
        return Origin(name=self.name, source=self.source, files=files, run=None if run is None else str(run))

    def load_run(self) -> Run:
        from rldk.adapters.naming.columns import to_run

        return to_run(self.read(), self.origin)

    def load(self) -> pd.DataFrame:
        from rldk.adapters.frame import to_frame

        return to_frame(self.load_run())

    @classmethod
    def _collect(cls, path: Path) -> list[File]:
        if not path.is_dir():
            return [File(path)]
        return [f for f in (File(p) for p in sorted(path.rglob("*")) if p.is_file()) if cls.sniff(f) > 0]


def _load_adapters(head: bytes | None = None) -> None:
    """Loads the formats; with the head of a file, it skips the formats that cannot recognise that file."""
    for name in _modules() if head is None else _able(head):
        import_module(name)


def able_kinds(kinds: Iterable[type[BaseAdapter]], head: bytes) -> list[type[BaseAdapter]]:
    """The adapters among `kinds` that may recognise a file with this head. Their own `sniff` says whether they do."""
    own, able = _modules(), _able(head)
    return [kind for kind in kinds if kind.__module__ not in own or kind.__module__ in able]


def _able(head: bytes) -> list[str]:
    """The modules whose formats may recognise a file with this head."""
    is_json = head.lstrip().startswith(b"{")
    gist = b"\n".join({*_without_numbers(head).split(b"\n")})
    return [
        name
        for name, (marks, not_json) in _modules().items()
        if not (is_json and not_json)
        and (marks is None or any(part in gist and mark in head for mark, part in marks.items()))
    ]


def _without_numbers(text: bytes) -> bytes:
    """The lines of a log are then few, and soon searched for many marks."""
    return text.translate(None, b"0123456789.+-")


@cache
def _modules() -> dict[str, tuple[dict[bytes, bytes] | None, bool]]:
    """The modules of the formats, each with its marks and whether it is never JSON. A mark has a part beside it that
    stands in each line without numbers that the mark stands in."""
    from pkgutil import iter_modules

    from rldk.adapters import consoles, formats

    return {
        f"{package.__name__}.{module.name}": (
            {mark: _without_numbers(mark).split(b"\n")[0] for mark in package.MARKS[module.name]}
            if module.name in package.MARKS
            else None,
            module.name in package.NOT_JSON,
        )
        for package in (consoles, formats)
        for module in iter_modules(package.__path__)
    }


adapters: Registry[type[BaseAdapter]] = Registry("adapter", group="rldk.adapters", builtins=_load_adapters)


def adapters_for(head: bytes) -> tuple[type[BaseAdapter], ...]:
    """The adapters that may recognise a file with this head, including plugins."""
    _load_adapters(head)
    return adapters.list_known()


A = TypeVar("A", bound=type[BaseAdapter])


def adapter(cls: A) -> A:
    """Registers an adapter class under its `name`."""
    adapters.register(cls.name, cls)
    return cls
