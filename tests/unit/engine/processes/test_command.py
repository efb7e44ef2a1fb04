from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

import pytest

from rldk.engine.processes.command import KEPT_BYTES, run


def test_status_and_both_streams() -> None:
    done = run(["sh", "-c", "echo out; echo err >&2; exit 3"], timeout_s=10)
    assert (done.code, done.output) == (3, "out\nerr\n")


def test_arguments_are_not_read_by_a_shell(tmp_path: Path) -> None:
    hostile = f"$(touch {tmp_path}/made); `id`"
    assert run([sys.executable, "-c", "import sys; print(sys.argv[1])", hostile], timeout_s=10).output == hostile + "\n"
    assert not list(tmp_path.iterdir())


def test_a_slow_one_is_ended_with_its_children() -> None:
    started = time.monotonic()
    assert run(["sh", "-c", "sleep 60 & sleep 60"], timeout_s=0.2).code is None
    assert time.monotonic() - started < 10


def test_output_is_bounded_and_does_not_block_the_writer() -> None:
    done = run(["sh", "-c", "head -c 1000000 /dev/zero | tr '\\0' x"], timeout_s=10)
    assert (done.code, done.output) == (0, "x" * KEPT_BYTES)


def test_a_daemon_that_holds_the_pipe_is_not_waited_for() -> None:
    started = time.monotonic()
    assert run(["sh", "-c", "sleep 3 & echo done"], timeout_s=60).output == "done\n"
    assert time.monotonic() - started < 2.5


def test_one_that_closes_its_streams_is_waited_for() -> None:
    assert run(["sh", "-c", "exec >&- 2>&-; sleep 0.2; exit 4"], timeout_s=10).code == 4


def test_hurry_ends_it() -> None:
    hurry = threading.Event()
    hurry.set()
    assert run(["sleep", "60"], timeout_s=60, hurry=hurry).code is None


@pytest.mark.parametrize("argv", [["/nonexistent/program"], ["echo", "a\0b"]])
def test_what_cannot_start_raises(argv: list[str]) -> None:
    with pytest.raises((OSError, ValueError)):
        run(argv, timeout_s=1)
