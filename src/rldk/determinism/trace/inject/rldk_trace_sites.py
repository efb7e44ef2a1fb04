"""Which line of whose code calls: the nearest one outside torch and Python, and the nearest of the user's own."""

from __future__ import annotations

import os
import sysconfig
from types import CodeType, FrameType

HERE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - pathlib would be loaded into the script
_OUR, _LIBRARY, _USER = 0, 1, 2
_ENGINES = ("torch", "numpy", "gymnasium", "xxhash")  # below which nobody looks for a fault of theirs
_FOLDERS = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")

Place = tuple[CodeType, int]


class Sites:
    """Places in source code by the frames that are on the stack."""

    def __init__(self) -> None:
        paths = sysconfig.get_paths()
        self._own = tuple(os.path.realpath(paths[name]) + os.sep for name in ("stdlib", "platstdlib"))
        # by address, as a code object hashes all of its constants each time; they are kept alive
        self._kinds: dict[int, int] = {}
        self._kept: list[CodeType] = []

    def _kind(self, code: CodeType) -> int:
        known = self._kinds.get(id(code))
        if known is None:
            known = self._kinds[id(code)] = self._look(code.co_filename)
            self._kept.append(code)
        return known

    def _look(self, name: str) -> int:
        if name.startswith(("<", HERE)) or name.endswith(f"{os.sep}rldk_after_import.py"):
            return _OUR
        for folder in _FOLDERS:
            _, found, rest = name.rpartition(folder)
            if found:
                return _OUR if rest.partition(os.sep)[0].partition(".")[0] in _ENGINES else _LIBRARY
        return _OUR if os.path.realpath(name).startswith(self._own) else _USER

    def is_inner(self, frame: FrameType | None) -> bool:
        """Whether a module of Python itself asks for a number, as for the name of a temporary file."""
        while frame is not None:
            name = frame.f_code.co_filename
            if not name.startswith(HERE) and os.path.basename(name) != "random.py":  # noqa: PTH119
                return self._kind(frame.f_code) == _OUR and "numpy" not in name and "torch" not in name
            frame = frame.f_back
        return True

    def find(self, frame: FrameType | None) -> tuple[Place | None, Place | None]:
        """The nearest place outside torch, NumPy and Python itself, and the nearest in the user's own code."""
        near: Place | None = None
        kinds = self._kinds
        while frame is not None:
            kind = kinds.get(id(frame.f_code))
            if kind is None:
                kind = self._kind(frame.f_code)
            if kind != _OUR:
                place = (frame.f_code, frame.f_lasti)
                near = near or place
                if kind == _USER:
                    return near, place
            frame = frame.f_back
        return near, None


def line_of(place: Place) -> int:
    """The line of a place."""
    code, last = place
    for start, end, line in code.co_lines():
        if start <= last < end and line is not None:
            return line
    return code.co_firstlineno


def words(near: Place | None, own: Place | None) -> list[list[object]]:
    """Both places in plain words: file, line, function."""
    return [[p[0].co_filename, line_of(p), p[0].co_qualname] if p is not None else [] for p in (near, own)]
