"""Places in source code that decide whether a run can be repeated."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field


class Site(Struct, frozen=True, kw_only=True):
    """One place. `kind`: what was seen there (the names stand in `rules.audit`). `line`: counted from 1, in the cell
    where the file is a notebook. `text`: the line, without secrets. `detail`: what matters in it, such as the call."""

    kind: str
    file: str
    line: int
    text: str = ""
    detail: str = ""
    cell: int | None = None

    @property
    def place(self) -> str:
        """The file with the line: `train.py:12`, or `a.ipynb, cell 3, line 2`."""
        return f"{self.file}:{self.line}" if self.cell is None else f"{self.file}, cell {self.cell}, line {self.line}"


class CodeFacts(Struct, frozen=True, kw_only=True):
    """What was seen in source code. `files`: how many were read. `unread`: file -> why it was not. `imports`: the
    packages that the code imports. `programs`: files that are started, rather than imported. `dropped`: kind -> how
    many further places there are."""

    root: str = ""
    files: int = 0
    sites: tuple[Site, ...] = ()
    imports: frozenset[str] = frozenset()
    programs: tuple[str, ...] = ()
    unread: Mapping[str, str] = field(default_factory=dict)
    dropped: Mapping[str, int] = field(default_factory=dict)
