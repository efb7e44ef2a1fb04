"""Real processes that are killed, that share a file, that meet a full disk."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rldk.core.jsonl import decode

WRITER = """
import sys
from rldk.emit import EventWriter
writer = EventWriter(sys.argv[1], run_id="r")
row = {f"group/metric_{i:05d}": i / 7 for i in range(int(sys.argv[3]))}
for step in range(int(sys.argv[2]), 1 << 40):
    writer.log(row, step=step)
    print(step, flush=True)
"""
APPENDER = """
import sys
from rldk.emit import EventWriter
with EventWriter(sys.argv[1]) as writer:
    for step in range(500):
        writer.log({sys.argv[2]: 1.0, "pad": 0.5}, step=step)
"""
FULL = """
import resource, sys
from rldk.emit import EventWriter
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
writer = EventWriter(sys.argv[1])
for step in range(40):
    writer.log({"kl": 0.5}, step=step)
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
for step in range(40, 50):
    writer.log({"kl": 0.5}, step=step)
writer.close()
print(writer.written, writer.lost)
"""
FORK = """
import os, sys, threading
from rldk.emit import EventWriter
writer = EventWriter(sys.argv[1])
held, done = threading.Event(), threading.Event()
def hold():
    with writer._lock:
        held.set()
        done.wait()
thread = threading.Thread(target=hold)
thread.start()
held.wait()
if os.fork() == 0:
    writer.log({"kl": 0.1}, step=1)
    os._exit(0)
_, status = os.wait()
done.set()
thread.join()
sys.exit(os.waitstatus_to_exitcode(status))
"""


def _start(code: str, *arguments: object) -> subprocess.Popen[str]:
    argv = [sys.executable, "-W", "ignore", "-c", code, *map(str, arguments)]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_kill_9_loses_at_most_the_line_being_written(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    told: list[int] = []
    for attempt in range(8):
        with _start(WRITER, path, 1_000_000 * attempt, 20_000) as process:
            assert process.stdout is not None
            told += [int(process.stdout.readline()) for _ in range(3 + attempt % 3)]
            process.send_signal(signal.SIGKILL)
            told += map(int, process.stdout.read().splitlines())
    found = decode(path)
    assert found.rejected_count <= 8
    assert set(told) <= set(found.table.step.tolist())
    assert found.records - len(told) <= 8  # written, but killed before it could say so


@pytest.mark.slow
def test_processes_that_share_a_file_do_not_cut_each_others_lines(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    processes = [_start(APPENDER, path, f"rank{i}") for i in range(3)]
    assert [p.wait() for p in processes] == [0, 0, 0]
    for process in processes:
        process.communicate()
    found = decode(path)
    assert (found.records, found.rejected_count) == (1500, 0)


def test_a_full_disk_is_said_once_and_what_fits_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    with _start(FULL, path) as process:
        out, err = process.communicate()
    written, lost = map(int, out.split())
    found = decode(path)
    assert (process.returncode, written + lost) == (0, 50)
    assert (found.records, found.rejected_count) == (written, 1)
    assert found.table.step.tolist()[-10:] == [*range(40, 50)]
    assert err.count("cannot write") == 1
    assert f"missing: {lost} records of m.jsonl (steps {39 - lost + 1} to 39)" in err
    assert err.count("\n") == 2


def test_a_fork_while_another_thread_writes_does_not_hang(tmp_path: Path) -> None:
    with _start(FORK, tmp_path / "m.jsonl") as process:
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert decode(tmp_path / "m.jsonl").records == 1
