"""Looks at the files of a directory on several processes: to tell the format of a file takes a fifth of what a short
run costs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from rldk.adapters.explore import UNREADABLE, Look, Looks, look_into
from rldk.adapters.open import options_of
from rldk.engine.executors import Job, Processes, run_all

PIECE = 32  # files
DIED = f"{UNREADABLE}: the process that looked at it died"


class Looking(Struct, frozen=True, kw_only=True):
    """How to look. `reading`: the options of `open_runs`. `prepare`, `given`: as of the other jobs of the processes.
    `workers`: the processes for so many files, or one for a look in this process."""

    reading: Mapping[str, Any]
    workers: Callable[[int], Processes | int]
    prepare: Callable[..., None]
    given: tuple[Any, ...]

    def below(self, root: Path) -> Looks:
        """The looks at files below a directory."""
        return lambda paths: self._look(root, paths)

    def _look(self, root: Path, paths: Sequence[Path]) -> Iterator[Look]:
        job = Job(work=look_at, lost=_lost, prepare=self.prepare, given=self.given)
        pieces = [_Piece(root, tuple(paths[at : at + PIECE]), self.reading) for at in range(0, len(paths), PIECE)]
        workers = self.workers(len(paths))
        for piece, looks in zip(pieces, run_all(job, pieces, workers), strict=True):
            if looks:
                yield from looks
                continue
            each = [_Piece(root, (path,), self.reading) for path in piece.paths]
            for again in run_all(job, each, workers.count if isinstance(workers, Processes) else workers):
                yield from again or [Look(left_out=DIED)]


class _Piece(Struct, frozen=True):
    root: Path
    paths: tuple[Path, ...]
    reading: Mapping[str, Any]


def look_at(piece: _Piece) -> list[Look]:
    kinds = options_of(**piece.reading).kinds
    return [look_into(path, kinds, piece.root) for path in piece.paths]


def _lost(_: _Piece) -> list[Look]:
    return []
