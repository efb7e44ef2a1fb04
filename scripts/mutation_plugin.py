"""For pytest, on behalf of `mutate.py`: writes down which functions each test enters, or runs the chosen tests only.

RLDK_MUTATE_SOURCE is the folder of the package. With RLDK_MUTATE_RECORD every test is recorded into that folder; with
RLDK_MUTATE_TESTS only the tests listed in that file are run, in its order. With RLDK_MUTATE_SERVE (two descriptors)
every test is collected once, and each request is answered by a fork that gives the changed function its new code.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import json
import os
import resource
import select
import signal
import sys
import threading
from collections.abc import Generator, Iterator
from pathlib import Path
from types import CodeType, FrameType, FunctionType
from typing import Any

import pytest

SOURCE = os.environ.get("RLDK_MUTATE_SOURCE", "")
RECORD = os.environ.get("RLDK_MUTATE_RECORD")
TESTS = os.environ.get("RLDK_MUTATE_TESTS")
SERVE = os.environ.pop("RLDK_MUTATE_SERVE", None)
READY = "ready"  # the first answer: all modules are imported, and a file may be changed
CANNOT = "cannot"  # the answer where the new code cannot be put in place: a fresh process has to try
entered: set[tuple[str, int]] = set()


def _call(frame: FrameType, _event: str, _arg: object) -> None:
    code = frame.f_code
    if code.co_filename.startswith(SOURCE):
        entered.add((code.co_filename, code.co_firstlineno))


def _cpu_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def trace_child() -> None:
    """Records a process that a test starts; called by the `sitecustomize` of the copy."""
    if RECORD:
        _trace()
        atexit.register(_leave, Path(RECORD) / f"child-{os.getpid()}.json")


def _trace() -> None:
    threading.settrace(_call)
    sys.settrace(_call)


def _leave(path: Path) -> None:
    sys.settrace(None)
    part = path.with_suffix(".part")  # the process may be killed while it writes
    part.write_text(json.dumps(sorted(entered)))
    part.replace(path)


def _of_children(folder: Path) -> set[tuple[str, int]]:
    found: set[tuple[str, int]] = set()
    for path in folder.glob("child-*.json"):
        found |= {(name, line) for name, line in json.loads(path.read_text())}
        path.unlink()
    return found


class Recorder:
    """Appends a line a test: its name, whether it passed, its CPU seconds and the functions it entered."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.failed = folder, False

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        entered.clear()
        self.failed, began = False, _cpu_s()
        _trace()
        done = yield
        sys.settrace(None)
        functions = sorted(entered | _of_children(self.folder))
        line = {"test": item.nodeid, "passed": not self.failed, "cpu_s": _cpu_s() - began, "functions": functions}
        with (self.folder / "tests.jsonl").open("a") as out:
            out.write(json.dumps(line) + "\n")
        return done

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.failed = self.failed or report.failed


class Chooser:
    """Runs the listed tests, in the order of the list."""

    def __init__(self, names: list[str]) -> None:
        self.place = {name: i for i, name in enumerate(names)}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted((i for i in items if i.nodeid in self.place), key=lambda i: self.place[i.nodeid])


def codes(code: CodeType) -> Iterator[CodeType]:
    """A code object and all that are made inside it."""
    yield code
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from codes(inner)


def put_in_place(path: str, function: int) -> bool:
    """Gives the functions of a file that hold the changed one (which begins on line `function`) their new code."""
    new = {(c.co_name, c.co_firstlineno): c for c in codes(compile(Path(path).read_bytes(), path, "exec"))}
    done = False
    for made in gc.get_objects():
        if type(made) is not FunctionType or made.__code__.co_filename != path:
            continue
        code = new.get((made.__code__.co_name, made.__code__.co_firstlineno))
        if code is None or function not in {c.co_firstlineno for c in codes(code)}:
            continue
        if code.co_freevars != made.__code__.co_freevars:
            return False
        made.__code__ = code
        done = True
    return done


class Server:
    """Answers requests: runs tests in a fork until one fails, and says its name; "" where all of them pass, and None
    where the fork crashed or passed a limit."""

    def __init__(self, descriptors: str) -> None:
        asked, answer = map(int, descriptors.split(","))
        self.asked, self.answer, self.failed = os.fdopen(asked), os.fdopen(answer, "w"), ""

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        items = {item.nodeid: item for item in session.items}
        gc.freeze()
        print(json.dumps(READY), file=self.answer, flush=True)
        for line in self.asked:
            request = json.loads(line)
            read, write = os.pipe()
            child = os.fork()
            if not child:
                os.setsid()
                for stream in (0, 1, 2):
                    os.dup2(os.open(os.devnull, os.O_RDWR), stream)
                said = self.tried(request, [items[name] for name in request["tests"] if name in items])
                os.write(write, (said + "\n").encode())
                os._exit(0)
            os.close(write)
            ready, _, _ = select.select([read], [], [], request["limit_s"])
            said = os.read(read, 1 << 16).decode() if ready else ""
            os.close(read)
            _end(child)
            print(json.dumps(said.strip("\n") if said else None), file=self.answer, flush=True)
        return True

    def tried(self, request: dict[str, Any], items: list[pytest.Item]) -> str:
        resource.setrlimit(resource.RLIMIT_CPU, (request["cpu_s"], request["cpu_s"] + 5))
        gc.unfreeze()
        if request["path"] and not put_in_place(request["path"], request["function"]):
            return CANNOT
        for item, after in zip(items, [*items[1:], None][: len(items)], strict=True):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
            if self.failed:
                return self.failed
        return ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed = report.nodeid


def _end(child: int) -> None:
    """Ends a fork and what it has started, and waits for it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)


def pytest_configure(config: pytest.Config) -> None:
    atexit.unregister(_leave)  # this process is none that a test started
    if RECORD:
        config.pluginmanager.register(Recorder(Path(RECORD)))
    if SERVE:
        config.pluginmanager.register(Server(SERVE))
    if TESTS:
        config.pluginmanager.register(Chooser(Path(TESTS).read_text().splitlines()))
