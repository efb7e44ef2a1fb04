"""What every test starts from, however the suite itself was started."""

from __future__ import annotations

import gc
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

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


def pytest_collection() -> None:
    gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


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
