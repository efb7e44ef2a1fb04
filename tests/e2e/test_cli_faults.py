"""What the command does when the machine fails it: a full disk, a closed pipe, an endless input, a signal."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
RLDK = [sys.executable, "-m", "rldk"]
LOG = b"".join(b'{"step": %d, "kl": 0.1}\n' % i for i in range(50))


def rldk(*words: str, **options: object) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*RLDK, *words], capture_output=True, check=False, timeout=60, **options)  # type: ignore[call-overload]


@pytest.mark.parametrize("words", [["rules", "list"], ["--help"], ["doctor", "log.jsonl", "--json"]])
def test_a_full_disk_behind_stdout_is_one_line(words: list[str], tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_bytes(LOG)
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*RLDK, *words], stdout=full, stderr=subprocess.PIPE, cwd=tmp_path, check=False, timeout=60
        )
    assert done.returncode == 2
    assert done.stderr.startswith(b"error: cannot write the output: No space left on device\n")


def test_what_is_no_log_is_refused_before_it_is_kept(tmp_path: Path) -> None:
    done = rldk("doctor", "-", input=bytes(1 << 20), env=os.environ | {"TMPDIR": str(tmp_path)})
    assert (done.returncode, b"standard input is in no log format" in done.stderr) == (3, True)
    assert list(tmp_path.iterdir()) == []


def test_a_packed_log_is_read_from_a_pipe() -> None:
    assert b"50 rows" in rldk("doctor", "-", input=gzip.compress(LOG)).stdout


def test_sigterm_leaves_nothing_behind(tmp_path: Path) -> None:
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    with subprocess.Popen([*RLDK, "doctor", "-"], stdin=subprocess.PIPE, env=environment) as child:
        assert child.stdin is not None
        child.stdin.write(LOG * 2000)
        child.stdin.flush()
        deadline = time.monotonic() + 30
        while not list(tmp_path.glob("rldk-*/stdin")) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert list(tmp_path.glob("rldk-*/stdin"))
        child.send_signal(signal.SIGTERM)
        assert child.wait(20) == 128 + signal.SIGTERM
    assert list(tmp_path.iterdir()) == []
