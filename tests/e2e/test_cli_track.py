"""`rldk track`: once, from a pipe, at a terminal; and what `rldk runs` shows of it."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from rldk import ExperimentTracker, TrackingConfig
from rldk.cli.main import main
from rldk.core.manifest import Manifest, read_manifest


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("RLDK_DIR", "RLDK_MODE", "RANK"):
        monkeypatch.delenv(name, raising=False)


def call(*words: str, typed: str | None = None) -> Result:
    return CliRunner().invoke(main, list(words), input=typed)


def read(path: str) -> Manifest:
    found = read_manifest(Path(path))
    assert found
    return found


def test_a_run_is_recorded_at_once() -> None:
    done = call("track", "first try", "--tags", "a, b", "--notes", "why", "--no-wandb")
    assert done.exit_code == 0
    assert "run directory runs/first-try" in done.stderr
    assert done.stdout.startswith("first-try (finished).")
    found = read("runs/first-try")
    assert (found.tags, found.notes, found.status, found.seeds) == (("a", "b"), "why", "finished", {})
    assert call("track", "first try", "--output-dir", "runs").exit_code == 0
    assert Path("runs/first-try-2/run.json").is_file()


def test_one_document_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RLDK_DIR", "elsewhere")
    found = json.loads(call("track", "x", "--json").stdout)
    assert (found["run_id"], found["state"], found["path"]) == ("x", "finished", "elsewhere/x")
    assert found["manifest"]["environment"]["python"]


def test_what_cannot_be_is_one_clear_error() -> None:
    assert (call("track").exit_code, call("track", " ").exit_code) == (2, 2)
    Path("file").touch()
    done = call("track", "x", "--output-dir", "file/below")
    assert (done.exit_code, "output_dir" in done.stderr) == (3, True)


def test_disabled_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RLDK_MODE", "disabled")
    done = call("track", "x", "--interactive", typed="snapshot\nstatus\n")
    assert (done.exit_code, "nothing was written" in done.stderr) == (0, True)
    assert not Path("runs").exists()


LINES = """note the reward model was changed
tag sweep, late
metric reward_mean 0.5 100
metric reward_mean 0.75

snapshot
status
?
finish
note too late
"""


def test_a_pipe_is_answered_line_by_line() -> None:
    done = call("track", "x", "--interactive", typed=LINES)
    assert done.exit_code == 0, done.output
    assert "Tags: sweep, late." in done.stdout
    assert "reward_mean = 0.75 is in the log." in done.stdout
    assert "snapshots/0001.json: nothing has changed since the start." in done.stdout
    assert "metrics   2" in done.stdout
    assert "metric NAME VALUE [STEP]" in done.stdout
    found = read("runs/x")
    assert (found.notes, found.tags, found.records) == ("the reward model was changed", ("sweep", "late"), 2)
    steps = [json.loads(line)["step"] for line in Path("runs/x/metrics.jsonl").read_text().splitlines()]
    assert steps == [100, 101]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("snapshop", "did you mean snapshot?"),
        ("metric x", "write `metric reward_mean 0.5 100`"),
        ("metric x 1 2 3", "takes a name, a number and a step"),
        ("metric x y", "needs a name and a number"),
        ("note", "a note needs a text"),
        ("tag ,", "a tag needs a name"),
    ],
)
def test_a_mistake_is_answered_and_the_run_goes_on(line: str, said: str) -> None:
    done = call("track", "x", "--interactive", typed=f"{line}\ntag after\n")
    assert (done.exit_code, said in done.stdout) == (2, True)
    assert (read("runs/x").status, read("runs/x").tags) == ("finished", ("after",))


def test_a_document_is_not_mixed_with_answers() -> None:
    done = call("track", "x", "--interactive", "--json", typed="tag a\n")
    assert json.loads(done.stdout)["tags"] == ["a"]
    assert "Tags: a." in done.stderr


def _at_a_terminal(*typed: bytes | int) -> tuple[str, int]:
    """What a terminal shows while a user types, and the exit code; a number is a signal."""
    ours, theirs = pty.openpty()
    code = "import sys; sys.argv[0] = 'rldk'; from rldk.cli.main import main; main()"
    argv = [sys.executable, "-c", code, "track", "x", "--interactive"]
    process = subprocess.Popen(argv, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    shown = b""
    for key in typed:
        while b"track> " not in shown.rsplit(b"\n", 1)[-1]:
            shown += os.read(ours, 4096)
        if isinstance(key, int):
            time.sleep(0.1)
            process.send_signal(key)
        else:
            os.write(ours, key)
            shown += b"\n"
    try:
        while chunk := os.read(ours, 4096):
            shown += chunk
    except OSError:  # the other end is closed
        pass
    os.close(ours)
    return shown.decode(errors="replace"), process.wait(timeout=60)


@pytest.mark.slow
@pytest.mark.parametrize("end", [b"\x04", signal.SIGINT, b"finish\n"], ids=["end of file", "Ctrl-C", "finish"])
def test_a_terminal_has_a_prompt_and_every_end_is_clean(end: bytes | int) -> None:
    shown, code = _at_a_terminal(b"tag typed\n", end)
    assert (code, "Tags: typed." in shown, "Traceback" in shown) == (0, True, False)
    assert (read("runs/x").status, read("runs/x").tags) == ("finished", ("typed",))


def test_runs_show_what_was_tracked() -> None:
    config = TrackingConfig("sums", tags=["sweep"], notes="why", metadata={"lr": 0.1, "api_key": "SEKRIT"})
    with ExperimentTracker(config) as run:
        made = run.track_dataset([{"a": 1}, {"a": 2}], "train")
        run.track_dataset(np.zeros(9), "part", max_rows=4)
        model = run.track_model({"w": np.zeros((2, 3))}, "policy")
        run.set_seeds(42)
    assert made
    assert model
    shown = call("runs", "show", "sums").stdout
    for text in (
        "sweep",
        "why",
        "first 4",
        made.fingerprint[:19],
        model.weights[:19],
        "42",
        "seeds.json",
        "[redacted]",
    ):
        assert text in shown, text
    listed = call("runs", "list").stdout
    assert "tags" in listed
    assert "sweep" in listed
    (one,) = json.loads(call("runs", "list", "--json").stdout)["runs"]
    assert (one["tags"], one["seed"]) == (["sweep"], 42)
    assert (one["datasets"]["train"], one["models"]) == (made.fingerprint, {"policy": model.weights})
    assert json.loads(call("runs", "show", "sums", "--json").stdout)["manifest"]["datasets"]["part"]["sampled"]
