"""`rldk run -- COMMAND`, and a training piped into `rldk monitor`: with real processes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from rldk.cli.main import main
from rldk.core.manifest import read_manifest

ROOT = Path(__file__).parents[2]
ENV = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
RLDK = [sys.executable, "-m", "rldk"]
BROKEN = r"""
import json, sys, time
for step in range(400):
    print(json.dumps({"step": step, "loss": 1.0 if step < 30 else float("nan"), "kl": 0.1}), flush=True)
    time.sleep(float(sys.argv[1]))
"""
RULES = """
rules:
  - use: GRAD001
    actions:
      - stop: {}
"""


def run(*words: str, cwd: Path, **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*RLDK, *words], cwd=cwd, capture_output=True, text=True, check=False, env=ENV, **more)


Here = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def here(capfd: pytest.CaptureFixture[str]) -> Here:
    """The command in this process; what it starts are real processes, and what they print is passed on."""

    def call(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        with contextlib.chdir(cwd), pytest.raises(SystemExit) as ended:
            main(list(words))
        assert isinstance(ended.value.code, int)
        return subprocess.CompletedProcess(words, ended.value.code, *capfd.readouterr())

    return call


@pytest.mark.parametrize(("script", "code"), [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137), ("kill -15 $$", 143)])
def test_the_exit_code_is_the_commands(script: str, code: int, tmp_path: Path, here: Here) -> None:
    done = here("run", "--", "sh", "-c", f"echo as it was; {script}", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (code, "as it was\n")


def test_a_command_that_is_not_there_is_a_usage_error(tmp_path: Path, here: Here) -> None:
    done = here("run", "--", "no-such-command", cwd=tmp_path)
    assert done.returncode == 2
    assert "cannot start no-such-command" in done.stderr


@pytest.mark.slow
def test_what_it_prints_is_passed_on_and_watched(tmp_path: Path, here: Here) -> None:
    done = here("run", "--report", "r.json", "--", sys.executable, "-c", BROKEN, "0", cwd=tmp_path)
    assert len(done.stdout.splitlines()) == 400
    assert "[critical] GRAD001 step 30" in done.stderr
    assert json.loads((tmp_path / "r.json").read_text())["source"]["lines"] == 400


@pytest.mark.slow
def test_exit_code_judges_a_command_that_went_well(tmp_path: Path, here: Here) -> None:
    done = here("run", "--exit-code", "--", sys.executable, "-c", BROKEN, "0", cwd=tmp_path)
    assert done.returncode == 1


@pytest.mark.slow
def test_a_run_directory_is_left_and_opens(tmp_path: Path, here: Here) -> None:
    done = here("run", "--run-dir", "mine", "--", sys.executable, "-c", BROKEN, "0", cwd=tmp_path)
    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == [
        "alerts.jsonl", "report.html", "report.json", "run.json", "stdout.txt",
    ]  # fmt: skip
    assert (tmp_path / "mine" / "stdout.txt").read_text() == done.stdout
    assert done.stderr.splitlines()[-1] == "next: rldk mine"
    assert here("mine", cwd=tmp_path).stdout.startswith("Critical since step 30")


def test_the_manifest_tells_what_ran_and_how_it_ended(tmp_path: Path, here: Here) -> None:
    here("run", "--run-dir", "mine", "--", "sh", "-c", "exit 3", "--api-key", "hunter2hunter2", cwd=tmp_path)
    found = read_manifest(tmp_path / "mine")
    assert found is not None
    assert (found.run_id, found.status, found.exit_code) == ("mine", "crashed", 3)
    assert found.command == ("sh", "-c", "exit 3", "--api-key", "[redacted]")
    here("run", "--run-dir", "mine", "--", "sh", "-c", "exit 0", cwd=tmp_path)
    again = read_manifest(tmp_path / "mine")
    assert again is not None
    assert (again.started_at, again.status, again.exit_code, again.restarts) == (found.started_at, "finished", 0, 1)


@pytest.mark.slow
def test_a_training_that_writes_its_own_manifest_keeps_it(tmp_path: Path, here: Here) -> None:
    code = "import rldk\nrldk.init('mine', name='own')\nrldk.log({'kl': 0.1})\nrldk.finish()"
    here("run", "--run-dir", "mine", "--", sys.executable, "-c", code, cwd=tmp_path)
    found = read_manifest(tmp_path / "mine")
    assert found is not None
    assert (found.name, found.status, found.records, found.restarts, found.exit_code) == (
        "own",
        "finished",
        1,
        None,
        None,
    )


def test_a_manifest_of_a_later_version_is_left_alone(tmp_path: Path, here: Here) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "run.json").write_text('{"schema_version": 9}')
    done = here("run", "--run-dir", "mine", "--", "sh", "-c", "exit 0", cwd=tmp_path)
    assert (done.returncode, "has schema_version 9" in done.stderr) == (3, True)
    assert (tmp_path / "mine" / "run.json").read_text() == '{"schema_version": 9}'


def test_a_run_directory_may_be_used_again(tmp_path: Path, here: Here) -> None:
    words = ["run", "--run-dir", "mine", "--", "sh", "-c", "echo once"]
    assert [here(*words, cwd=tmp_path).returncode for _ in range(2)] == [0, 0]
    assert (tmp_path / "mine" / "stdout.txt").read_text() == "once\nonce\n"


@pytest.mark.slow
def test_a_log_that_the_command_writes_is_the_next_step(tmp_path: Path, here: Here) -> None:
    script = BROKEN.replace("flush=True", "file=open('m.jsonl', 'a')").replace("400", "40")
    done = here("run", "--run-dir", "d", "--stream", "m.jsonl", "--", sys.executable, "-c", script, "0", cwd=tmp_path)
    assert done.stderr.splitlines()[-1] == "next: rldk m.jsonl"
    assert (tmp_path / "d" / "report.html").exists()


@pytest.mark.slow
def test_stop_on_needs_no_rule_file(tmp_path: Path) -> None:
    done = run("run", "--stop-on", "critical", "--", sys.executable, "-c", BROKEN, "0.02", cwd=tmp_path)
    assert done.returncode == 128 + signal.SIGTERM
    assert 30 < len(done.stdout.splitlines()) < 100


def test_stop_on_without_a_process_is_a_usage_error(tmp_path: Path, here: Here) -> None:
    done = here("monitor", "--stop-on", "warn", "--stream", "m.jsonl", cwd=tmp_path)
    assert (done.returncode, "give --pid" in done.stderr) == (2, True)


@pytest.mark.slow
def test_a_signal_reaches_the_command_once(tmp_path: Path) -> None:
    script = "n=0; trap 'n=$((n+1))' 2; echo ready; for i in $(seq 40); do sleep 0.02; done; echo $n"
    with subprocess.Popen(
        [*RLDK, "run", "--", "sh", "-c", script], cwd=tmp_path, env=ENV, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.read() == "1\n"


@pytest.mark.slow
def test_stop_ends_the_command(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(RULES)
    words = ["--rules", "rules.yaml", "--report", "r.json", "--", sys.executable, "-c", BROKEN, "0.02"]
    done = run("run", *words, cwd=tmp_path)
    assert done.returncode == 128 + signal.SIGTERM
    (action,) = json.loads((tmp_path / "r.json").read_text())["actions"]
    assert (action["kind"], action["status"], action["step"]) == ("stop", "done", 30)
    assert len(done.stdout.splitlines()) < 100


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_are_the_commands_to_answer(number: signal.Signals, tmp_path: Path) -> None:
    script = f"trap 'echo caught; exit 5' {int(number)}; echo ready; while :; do sleep 0.05; done"
    words = [*RLDK, "run", "--report", "r.json", "--", "sh", "-c", script]
    with subprocess.Popen(words, cwd=tmp_path, env=ENV, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert process.stdout.read() == "caught\n"
    assert process.returncode == 5
    assert (tmp_path / "r.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize("tee", [True, False])
def test_stdin_is_watched_to_its_end(tee: bool, tmp_path: Path) -> None:
    text = "".join(json.dumps({"step": i, "loss": 1.0 if i < 30 else float("nan")}) + "\n" for i in range(60))
    done = run("monitor", *(["--tee"] if tee else []), cwd=tmp_path, input=text)
    assert done.returncode == 0
    assert done.stdout == text if tee else done.stdout.startswith("[critical] GRAD001 step 30")
    assert not tee or done.stderr.startswith("[critical] GRAD001 step 30")


@pytest.mark.slow
def test_a_reader_of_tee_that_goes_away_does_not_end_the_watch(tmp_path: Path) -> None:
    text = "".join(json.dumps({"step": i, "loss": 1.0, "pad": "x" * 200}) + "\n" for i in range(5000))
    command = f"{sys.executable} -m rldk monitor --tee --report r.json | head -1"
    done = subprocess.run(
        ["sh", "-c", command], cwd=tmp_path, env=ENV, input=text, capture_output=True, text=True, check=True
    )
    assert len(done.stdout.splitlines()) == 1
    assert json.loads((tmp_path / "r.json").read_text())["source"]["lines"] == 5000


@pytest.mark.slow
def test_interrupting_writes_the_report(tmp_path: Path) -> None:
    words = [*RLDK, "monitor", "--alerts-txt", "a.txt", "--report", "r.json"]
    with subprocess.Popen(
        words, cwd=tmp_path, env=ENV, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for i in range(4):
            process.stdin.write(json.dumps({"step": i, "loss": 1.0 if i < 3 else float("nan")}) + "\n")
        process.stdin.flush()
        assert "GRAD001 step 3" in process.stdout.readline()  # said while the log is still open, four rows into it
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
        assert time.monotonic() - began < 5
    assert json.loads((tmp_path / "r.json").read_text())["ended"] == "interrupted"


def test_a_command_is_ended_when_its_run_directory_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("[]")
    begun = time.monotonic()
    words = ["run", "--run-dir", str(tmp_path), "--", sys.executable, "-c", "import time; time.sleep(60)"]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 3
    assert "is no JSON object" in result.stderr or "not a JSON object" in result.stderr
    assert time.monotonic() - begun < 30
