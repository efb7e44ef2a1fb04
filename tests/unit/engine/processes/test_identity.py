from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen

import pytest
from examples import each_of
from msgspec.structs import replace

import rldk
from rldk.engine.processes import identity
from rldk.engine.processes.identity import Process, identify, stop
from rldk.engine.processes.marked import marked
from rldk.errors import UsageError

Spawn = Callable[..., "Popen[str]"]
STUBBORN = "trap '' TERM; echo ready; while :; do sleep 0.05; done"


def _known(pid: int) -> Process:
    found = identify(pid)
    assert found is not None
    return found


def _wait_until(done: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 5
    while not done() and time.monotonic() < deadline:
        time.sleep(0.01)
    return done()


def test_sigterm_ends_a_willing_process(spawn: Spawn) -> None:
    child = spawn("exec sleep 60")
    stopped = stop(_known(child.pid), kill_timeout_s=5)
    assert (stopped.how, child.wait()) == ("ended", -signal.SIGTERM)


def test_sigkill_ends_one_that_ignores_sigterm(spawn: Spawn) -> None:
    child = spawn(STUBBORN, ready=True)
    stopped = stop(_known(child.pid), kill_timeout_s=0.1)
    assert (stopped.how, child.wait()) == ("killed", -signal.SIGKILL)


def test_a_child_with_a_session_of_its_own_ends_too_and_is_named(spawn: Spawn) -> None:
    child = spawn("setsid sh -c 'echo $$; exec sleep 60' & wait")
    assert child.stdout is not None
    grandchild = int(child.stdout.readline())
    stopped = stop(_known(child.pid), kill_timeout_s=5)
    assert stopped.how == "ended"
    assert str(grandchild) in stopped.detail
    assert identify(grandchild) is None


def test_a_suspended_process_ends_too(spawn: Spawn) -> None:
    child = spawn("exec sleep 60")
    child.send_signal(signal.SIGSTOP)
    assert stop(_known(child.pid), kill_timeout_s=5).how == "ended"


def test_the_children_in_its_group_end_with_it(spawn: Spawn) -> None:
    child = spawn("sleep 60 & echo $!; wait")
    assert child.stdout is not None
    grandchild = int(child.stdout.readline())
    assert stop(_known(child.pid), kill_timeout_s=5).how == "ended"
    assert identify(grandchild) is None


def test_what_the_leader_leaves_behind_is_killed(spawn: Spawn) -> None:
    child = spawn(f"({STUBBORN}) & echo $!; wait")
    assert child.stdout is not None
    grandchild = sorted((child.stdout.readline().strip(), child.stdout.readline().strip()))[0]
    stopped = stop(_known(child.pid), kill_timeout_s=0.2)
    assert (stopped.how, identify(int(grandchild))) == ("killed", None)


def test_a_process_that_leads_no_group_ends_alone(spawn: Spawn) -> None:
    child, sibling = spawn("exec sleep 60", session=False), spawn("exec sleep 60", session=False)
    assert stop(_known(child.pid), kill_timeout_s=5).how == "ended"
    assert sibling.poll() is None


def test_a_pid_that_was_reused_is_left_alone(spawn: Spawn) -> None:
    child = spawn("exec sleep 60")
    before = replace(_known(child.pid), start="1")
    assert stop(before, kill_timeout_s=0.1).how == "reused"
    assert child.poll() is None


def test_a_group_without_a_member_seen_before_is_another_one(spawn: Spawn) -> None:
    child = spawn("exec sleep 60")
    pack = identity._Pack(replace(_known(child.pid), start="1"))
    with pytest.raises(ProcessLookupError):
        pack.send(signal.SIGKILL)
    assert child.poll() is None


def test_one_that_has_ended_is_gone_reaped_or_not(spawn: Spawn) -> None:
    child = spawn("exec sleep 60")
    known = _known(child.pid)
    child.kill()
    assert _wait_until(lambda: identify(known.pid) is None)
    assert stop(known, kill_timeout_s=0.1).how == "gone"
    child.wait()
    assert stop(known, kill_timeout_s=0.1).how == "gone"


LEADERLESS = """
import ctypes, threading, time
threading.Thread(target=time.sleep, args=(20,)).start()
print("begun", flush=True)
ctypes.CDLL(None).pthread_exit(None)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
def test_one_whose_first_thread_has_ended_lives_on_in_the_others() -> None:
    mark = {**os.environ, "RLDK_REPLICA": "leaderless"}
    with Popen([sys.executable, "-c", LEADERLESS], stdout=PIPE, env=mark, process_group=0) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"begun\n"
        stat = Path(f"/proc/{child.pid}/stat")
        assert _wait_until(lambda: stat.read_bytes().rpartition(b") ")[2].startswith(b"Z"))
        assert child.poll() is None
        assert [one.pid for one in marked("leaderless")] == [child.pid]
        stopped = stop(_known(child.pid), kill_timeout_s=5)
        assert (stopped.how, child.poll()) == ("ended", -signal.SIGTERM)  # not "still running" for a while


def test_never_our_own_group() -> None:
    script = (
        "import os\nfrom rldk.engine.processes.identity import identify, stop\n"
        "parent = identify(os.getppid())\nassert parent.group == os.getpgrp() == parent.pid\n"
        "print(stop(parent, kill_timeout_s=5).how)"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(rldk.__file__).parents[1]), "CODE": script}
    read, write = os.pipe()
    command = ["sh", "-c", f'{sys.executable} -c "$CODE" & wait']
    with Popen(command, stdout=write, stderr=DEVNULL, start_new_session=True, env=environment) as shell:
        os.close(write)
        with os.fdopen(read) as out:
            assert out.read().strip() == "ended"
        assert shell.wait() == -signal.SIGTERM


@each_of("pid", [-1, 0, 1, "own"])
def test_some_pids_are_refused_at_once(pid: int | str) -> None:
    with pytest.raises(UsageError, match="cannot be watched"):
        identify(os.getpid() if pid == "own" else int(pid))


@pytest.mark.skipif(not Path("/proc/self/comm").exists(), reason="needs /proc")
def test_a_name_with_brackets_and_blanks_is_read(spawn: Spawn) -> None:
    child = spawn("printf 'a) S 1 (b' > /proc/$$/comm; echo ready; sleep 60 & wait", ready=True)
    assert _known(child.pid).group == child.pid


@pytest.mark.skipif(shutil.which("ps") is None, reason="needs ps")
def test_without_proc_ps_tells_the_same(spawn: Spawn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(identity, "PROC", tmp_path)
    child = spawn("sleep 60 & wait")
    known = _known(child.pid)
    assert known.group == child.pid
    assert stop(replace(known, start="Thu Jan  1 00:00:00 1970"), kill_timeout_s=0.1).how == "reused"
    assert stop(known, kill_timeout_s=5).how == "ended"


def test_a_process_that_may_not_be_signalled_is_said_to_be_so(spawn: Spawn, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise PermissionError

    child = spawn("exec sleep 60")
    with monkeypatch.context() as patch:
        patch.setattr(os, "kill", refused)
        patch.setattr(os, "killpg", refused)
        stopped = stop(_known(child.pid), kill_timeout_s=0.1)
    assert (stopped.how, stopped.detail) == ("refused", f"not permitted to signal process group {child.pid}")
    assert child.poll() is None
