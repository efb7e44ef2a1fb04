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


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leaves out the files of integrations where these are not asked for. To collect them would load torch and the
    trainers: that takes seconds, and what is loaded decides what a run records of its generators."""
    if collection_path.suffix != ".py" or "not integration" not in config.option.markexpr:
        return None
    return True if INTEGRATION.search(collection_path.read_text(encoding="utf-8")) else None


class WithoutLarge(PathFinder):
    """Finds every module but torch and wandb, as on a machine where they are not installed: to set a seed would load
    torch, which takes four seconds in each worker, and what a fast test says would depend on what is installed."""

    @classmethod
    def find_spec(cls, fullname: str, path: Any = None, target: ModuleType | None = None) -> ModuleSpec | None:
        return None if fullname in {"torch", "wandb"} else super().find_spec(fullname, path, target)


def pytest_configure(config: pytest.Config) -> None:
    if "not slow and not integration" in config.option.markexpr:
        sys.meta_path[:] = [WithoutLarge if finder is PathFinder else finder for finder in sys.meta_path]


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With --dist loadfile: a worker takes a whole file, and all files of the laws, which read the same sources."""
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class ByFile(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return "tests/laws" if nodeid.startswith("tests/laws/") else super()._split_scope(nodeid)

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
