"""Replicas on a real local Ray, and on submitit's local executor: the same verdict as on this machine, and no process
left behind. No Slurm is asked."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rldk.determinism import check
from rldk.engine.processes.marked import MARK
from rldk.errors import InputError, RldkError, UsageError

NEEDS = {"ray": "ray", "slurm": "submitit"}
ROWS = "for s in range(8): print('step', s, 'loss', 1.0 / (s + 1))\n"
pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RLDK_SLURM_EXECUTOR", "local")
    monkeypatch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    yield
    deadline = time.monotonic() + 10
    while (left := _alive(str(tmp_path))) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert left == []


@pytest.fixture(scope="module", autouse=True)
def _one_cluster() -> Iterator[None]:
    yield
    ray = sys.modules.get("ray")
    if ray is not None and ray.is_initialized():
        ray.shutdown()


def _alive(folder: str) -> list[str]:
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            environment = (place / "environ").read_bytes()
            if MARK.encode() in environment and f"PWD={folder}".encode() in environment:
                found.append((place / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


def _script(text: str) -> str:
    Path("train.py").write_text(text)
    return f"{sys.executable} train.py {{out}}"


@pytest.mark.parametrize("launcher", NEEDS)
def test_replicas_run_elsewhere_with_the_environment_of_the_check(
    launcher: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(NEEDS[launcher])
    monkeypatch.setenv("OF_THE_CHECK", "7")
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    text = (
        ROWS
        + "import os\nprint('step', 8, 'loss', float(os.environ['OF_THE_CHECK'] + os.environ['OMP_NUM_THREADS']))\n"
    )
    report = check(_script(text), replicas=2, jobs=2, launcher=launcher, timeout=60, output_dir=tmp_path / "kept")
    assert (report.passed, report.classification, report.numbers["steps"]) == (True, "bitwise", 9)
    printed = (tmp_path / "kept/check-1/replica-1/stdout.txt").read_text()
    assert printed.endswith("step 8 loss 73.0\n")


@pytest.mark.parametrize("launcher", NEEDS)
def test_a_difference_is_found_elsewhere(launcher: str, tmp_path: Path) -> None:
    pytest.importorskip(NEEDS[launcher])
    text = "import random\nfor s in range(8): print('step', s, 'loss', random.random())\n"
    report = check(_script(text), replicas=2, launcher=launcher, timeout=60, output_dir=tmp_path / "kept")
    assert (report.passed, report.classification) == (False, "input-level")


HOSTILE: dict[str, tuple[str, type[RldkError], str]] = {
    "fails": ("raise SystemExit(3)", InputError, "exit code 3"),
    "hangs with a child in another session": (
        "import os, time, signal\nif not os.fork():\n  os.setsid()\n  signal.signal(15, signal.SIG_IGN)\n"
        "time.sleep(600)",
        InputError,
        "time limit",
    ),
}  # fmt: skip


@pytest.mark.parametrize("how", HOSTILE)
@pytest.mark.parametrize("launcher", NEEDS)
def test_a_hostile_command_is_ended_elsewhere(launcher: str, how: str, tmp_path: Path) -> None:
    pytest.importorskip(NEEDS[launcher])
    text, kind, message = HOSTILE[how]
    with pytest.raises(kind, match=message):
        check(_script(text), replicas=2, timeout=3.0, launcher=launcher, output_dir=tmp_path / "kept")


@pytest.mark.parametrize("launcher", NEEDS)
def test_a_missing_program_is_a_wrong_call_elsewhere(launcher: str, tmp_path: Path) -> None:
    pytest.importorskip(NEEDS[launcher])
    with pytest.raises(UsageError, match="no-such-program"):
        check("no-such-program", replicas=2, launcher=launcher, output_dir=tmp_path / "kept")


@pytest.mark.parametrize("launcher", NEEDS)
def test_a_job_that_is_killed_is_an_exit_code(launcher: str, tmp_path: Path) -> None:
    pytest.importorskip(NEEDS[launcher])
    # the parent is the job itself
    text = "import os, signal, time\nos.kill(os.getppid(), signal.SIGKILL)\ntime.sleep(3)\n"
    with pytest.raises(InputError, match="exit code 255"):
        check(_script(text), replicas=2, timeout=40.0, launcher=launcher, output_dir=tmp_path / "kept")
    time.sleep(3.5)
    assert os.environ["RLDK_SLURM_EXECUTOR"] == "local"
