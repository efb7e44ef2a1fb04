"""For pytest, on behalf of `mutate.py`: writes down which functions each test enters, or runs the chosen tests only.

RLDK_MUTATE_SOURCE is the folder of the package. With RLDK_MUTATE_RECORD every test is recorded into that folder; with
RLDK_MUTATE_TESTS only the tests listed in that file are run, in its order.
"""

from __future__ import annotations

import atexit
import json
import os
import resource
import sys
import threading
from collections.abc import Generator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

SOURCE = os.environ["RLDK_MUTATE_SOURCE"]
RECORD = os.environ.get("RLDK_MUTATE_RECORD")
TESTS = os.environ.get("RLDK_MUTATE_TESTS")
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


def pytest_configure(config: pytest.Config) -> None:
    atexit.unregister(_leave)  # this process is none that a test started
    if RECORD:
        config.pluginmanager.register(Recorder(Path(RECORD)))
    if TESTS:
        config.pluginmanager.register(Chooser(Path(TESTS).read_text().splitlines()))
