"""What every test starts from, however the suite itself was started."""

from __future__ import annotations

import gc
import os
import re
import signal
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import Phase, settings

# A busy machine is no fault of the code. The examples follow from the test alone, so that a build never fails over what
# it did not change; --hypothesis-profile=explore looks for new ones.
settings.register_profile("default", deadline=None, derandomize=True)
settings.load_profile("default")
settings.register_profile("quick", settings.get_profile("default"), max_examples=5)  # the slow set tries a hundred
settings.register_profile("explore", deadline=None, max_examples=300)
# of scripts/mutate.py: that a test fails is enough, the smallest example of it is of no use
settings.register_profile("unshrunk", max_examples=5, deadline=None, phases=(Phase.explicit, Phase.generate))

# Thousands of collected tests are alive all the time; looking for garbage among them again and again is a sixth of all.
gc.set_threshold(50_000, 20, 100)


# of a file whose tests are all integrations
INTEGRATION = re.compile(r"^pytestmark = (?:\[[^\]]*|.*)\bintegration\b", re.MULTILINE)
# what a file says that has a test of such a set
WANTED = {
    "integration": re.compile(r"mark\.integration"),
    "(slow or hypothesis) and not integration": re.compile(r"mark\.slow|every\(|hypothesis"),
}


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leaves out the files that have no test of the set. To collect the integrations would load torch and the trainers:
    that takes seconds, and what is loaded decides what a run records of its generators."""
    if not (collection_path.name.startswith("test_") and collection_path.suffix == ".py"):
        return None
    marks, text = config.option.markexpr, collection_path.read_text(encoding="utf-8")
    if "not integration" in marks and INTEGRATION.search(text):
        return True
    return True if marks in WANTED and not WANTED[marks].search(text) else None


class WithoutLarge(PathFinder):
    """Finds every module but an installed torch and wandb, as on a machine without them: to set a seed would load
    torch, which takes four seconds in each worker, and what a fast test says would depend on what is installed."""

    @classmethod
    def find_spec(cls, fullname: str, path: Any = None, target: ModuleType | None = None) -> ModuleSpec | None:
        found = super().find_spec(fullname, path, target)
        installed = found is not None and "site-packages" in str(found.origin)
        return None if installed and fullname in {"torch", "wandb"} else found


def pytest_configure(config: pytest.Config) -> None:
    if "not slow and not integration" in config.option.markexpr:
        sys.meta_path[:] = [WithoutLarge if finder is PathFinder else finder for finder in sys.meta_path]


TOGETHER = ("tests/laws/", "tests/integration/test_(launchers|rllib_training)")  # the package's sources; Ray


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With --dist loadfile: a worker takes a whole file, and all of a group, whose files read the same sources or start
    the same server."""
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class ByFile(LoadFileScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            return next((group for group in TOGETHER if re.match(group, nodeid)), super()._split_scope(nodeid))

    return ByFile(config, log)


def pytest_collection() -> None:
    gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="module", autouse=True)
def _settled() -> None:
    """What is alive when a file of tests begins is not looked at again: not for garbage, and not by what counts the
    objects of a process, which are a million by the end."""
    gc.freeze()


# A job in the background, or under nohup, inherits ignored signals and hands them on to every process a test starts.
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="session")
def golden() -> Callable[[str, str], None]:
    """Compares a text with the file of that name in tests/golden. `make golden` writes the files anew: what has
    changed is then read in the diff."""

    def same(name: str, text: str) -> None:
        path = GOLDEN / name
        if os.environ.get("RLDK_GOLDEN") == "write":
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert text.splitlines() == path.read_text(encoding="utf-8").splitlines(), f"read tests/golden/{name}"

    return same
