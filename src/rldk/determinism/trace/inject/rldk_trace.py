"""Begins the trace of a process where the environment asks for one. Standard library only, until the script loads what
is traced."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from contextlib import suppress
from functools import partial, wraps
from types import FrameType
from typing import Any

FOLDER, START, BUDGET = "RLDK_TRACE", "RLDK_TRACE_START", "RLDK_TRACE_BUDGET"
CHILD = "RLDK_TRACE_CHILD"  # set in what a traced process starts
HERE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - pathlib would be loaded into the script


def safely(method: Any) -> Any:
    """The method, whose errors end the record and not the script."""

    @wraps(method)
    def call(self: TraceBook, *args: Any, **kwargs: Any) -> Any:
        try:
            return method(self, *args, **kwargs)
        except Exception as error:  # noqa: BLE001 - the script must run as it would without rldk
            self.fail(error)
            return 0

    return call


class TraceBook:
    """All that is recorded of this process: operations, draws, seeds and facts."""

    def __init__(self, path: str, start: int, budget: int) -> None:
        from rldk_trace_digest import NAME  # type: ignore[import-not-found]
        from rldk_trace_records import EventStream, ProcessNotes  # type: ignore[import-not-found]
        from rldk_trace_sites import Sites  # type: ignore[import-not-found]

        self.stream = EventStream(path + ".main", start, budget)
        self.draws = EventStream(path + ".draws", start, budget)
        self._notes = ProcessNotes(path)
        self._sites = Sites()
        self._main = threading.get_ident()
        self._inside = self._env = 0
        self._kept: list[Any] = []
        self.off = self.compiles = False
        self.note(argv=sys.argv[:1] if hasattr(sys, "argv") else [], digest=NAME)

    def site(self, stream: Any, frame: FrameType | None) -> int:
        """The number of the place in the source code from which a frame was called."""
        near, own = self._sites.find(frame)
        key = (id(near[0]) if near else 0, near[1] if near else 0, id(own[0]) if own else 0, own[1] if own else 0)
        known: int | None = stream.sites.get(key)
        if known is None:
            from rldk_trace_sites import words

            known = stream.sites[key] = int(stream.names.number("site", key, *words(near, own)))
        return known

    def enter(self) -> bool:
        """Whether a draw is recorded: one that no other draw makes, in the thread that began."""
        if self.off or self._inside or threading.get_ident() != self._main:
            return False
        self._inside += 1
        return True

    def leave(self) -> None:
        """The draw has ended."""
        self._inside -= 1

    def begin_env(self) -> bool:
        """Whether a step of an environment is recorded: that of the outermost one."""
        if self.off or self._env or threading.get_ident() != self._main:
            return False
        self._env += 1
        return True

    def end_env(self) -> None:
        """The step has ended."""
        self._env -= 1

    @safely
    def value(self, value: Any, tensor: Any = None) -> int:
        """The digest of a value; 0 where it has none."""
        from rldk_trace_digest import of_value

        return int(of_value(value, tensor))

    @safely
    def drawn(self, kind: int, name: str, given: int, made: int) -> None:
        """Records a draw of chance by the user's own code. Packages draw for names and places that decide nothing."""
        frame = sys._getframe(2)
        near, own = self._sites.find(frame)
        if near is not None and near == own and not self._sites.is_inner(frame):
            self._add(self.draws, kind, name, given, made)

    @safely
    def met(self, kind: int, name: str, given: int, made: int) -> None:
        """Records what came in from outside."""
        self._add(self.stream, kind, name, given, made)

    def _add(self, stream: Any, kind: int, name: str, given: int, made: int) -> None:
        site = self.site(stream, sys._getframe(3))
        stream.add(kind, 0, stream.names.number("op", name), site, 0, made, 0, given, self.stream.number, 0)

    @safely
    def seeded(self, what: str, state: int, *, given: bool) -> None:
        """Notes that a generator was made or seeded. `state`: the digest of its state then."""
        if self.off or self._inside or threading.get_ident() != self._main:
            return
        frame = sys._getframe(2)
        if self._sites.is_inner(frame):
            return
        from rldk_trace_sites import words

        place = words(*self._sites.find(frame))
        line = {"n": self.stream.number, "d": self.draws.number, "step": self.stream.step, "what": what}
        self._notes.seed({**line, "given": given, "state": f"{state:016x}", "site": place})

    @safely
    def advance(self) -> None:
        """An optimiser step has ended."""
        if not self.off and threading.get_ident() == self._main:
            self.stream.advance()
            self.draws.advance()

    def fail(self, error: Exception) -> None:
        """Stops recording after an unforeseen error. The script goes on."""
        self.off = True
        with suppress(Exception):
            self.note(failed=f"{type(error).__name__}: {error}"[:500])

    def note(self, **facts: Any) -> None:
        """Notes facts about the process."""
        self._notes.note(**facts)

    def count(self, name: str) -> None:
        """Counts something that cannot be looked into."""
        self._notes.count(name)

    def keep(self, thing: Any) -> None:
        """Keeps something alive as long as the process."""
        self._kept.append(thing)

    @safely
    def close(self) -> None:
        """Writes what is not written yet."""
        if not self.off:
            self.stream.cut()
            self.draws.cut()
            self.note(events=self.stream.number, draws=self.draws.number, step=self.stream.step, ended=True)

    def forked(self) -> None:
        """A copy of the process, such as a worker of a data loader, writes nothing into the files of the original."""
        self.off = True


def _own_path(folder: str) -> str | None:
    """Where this process writes: by its rank, or by its turn among the processes that are started one after another."""
    rank = os.environ.get("RANK", "")
    if os.environ.get(CHILD) and not rank.isdigit():
        return None
    name = f"rank-{int(rank)}" if rank.isdigit() else "main"
    for turn in range(1, 100):
        path = os.path.join(folder, f"{name}-{turn}")  # noqa: PTH118
        try:
            os.close(os.open(path + ".facts", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
        except FileExistsError:
            continue
        return path
    return None


def install() -> None:
    """Begins to wait for what is traced."""
    folder = os.environ.get(FOLDER)
    if not folder or not os.path.isdir(folder):  # noqa: PTH112
        return
    sys.path.insert(0, HERE)
    try:
        path = _own_path(folder)
        if path is not None:
            _begin(path)
    finally:
        sys.path.remove(HERE)


def _begin(path: str) -> None:
    import rldk_trace_chance  # type: ignore[import-not-found]
    import rldk_trace_torch  # type: ignore[import-not-found]
    import rldk_trace_world  # type: ignore[import-not-found]
    from rldk_after_import import AfterImport  # type: ignore[import-not-found]  # beside sitecustomize

    book = TraceBook(path, int(os.environ.get(START, "0")), int(os.environ.get(BUDGET, "500000")))
    os.environ[CHILD] = "1"
    hooks = {
        "torch": rldk_trace_torch.attach,
        "torch.utils.data.dataloader": rldk_trace_world.attach_loaders,
        "numpy.random": rldk_trace_chance.attach_numpy,
        "gymnasium.core": rldk_trace_world.attach_environments,
        "gymnasium.spaces.space": rldk_trace_world.attach_spaces,
    }
    rldk_trace_chance.attach_random(book)
    waiting = {name: partial(hook, book=book) for name, hook in hooks.items()}
    AfterImport(waiting, lambda name, why: book.note(**{f"not hooked: {name}": str(why)})).install()
    atexit.register(book.close)
    os.register_at_fork(after_in_child=book.forked, after_in_parent=partial(book.count, "forks"))
    start = threading.Thread.start

    @wraps(start)
    def started(thread: threading.Thread) -> None:
        book.count("threads")
        start(thread)

    threading.Thread.start = started  # type: ignore[method-assign,assignment]
