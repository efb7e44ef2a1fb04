"""Options whose effect only the output shows, each with its opposite."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Event, Thread
from time import perf_counter
from typing import Any, ClassVar

import pytest
from click.testing import CliRunner
from examples import every

from rldk.adapters.servers import wandb
from rldk.cli.main import main

FIXTURES = Path(__file__).parents[1] / "fixtures"
COLLAPSE = str(FIXTURES / "trl-grpo-collapse")
POST = """\
rules:
  - id: kl_high
    metric: kl
    condition: "value > 0.5"
    actions:
      - http:
          url: "http://127.0.0.1:{port}/"
"""
STOP = """\
rules:
  - id: kl_high
    metric: kl
    condition: "value > 0.5"
    actions:
      - stop: {}
"""


def run(*args: object, **env: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, list(map(str, args)), env=env or None)
    assert "Traceback" not in result.stderr
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Four faults, one after the other."""
    faults = [{"loss": float("nan")}, {"entropy": -5.0}, {"clip_frac": 7.0}, {"grad_norm": float("inf")}]
    healthy = {"loss": 0.5, "entropy": 1.0, "clip_frac": 0.1, "grad_norm": 1.0}
    rows = [{"step": i} | healthy | (faults[i // 100] if i % 100 in (50, 51, 52) else {}) for i in range(400)]
    path = tmp_path / "m.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize("command", every(3, ["doctor", "log-scan", "forensics kl-drift"]))
def test_colour_is_on_or_off_as_asked_for(log: Path, command: str) -> None:
    shown = {flag: run(*command.split(), log, flag)[1] for flag in ("--color", "--no-color")}
    assert ["\x1b[" in shown["--color"], "\x1b[" in shown["--no-color"]] == [True, False]


@pytest.mark.slow
def test_as_many_incidents_are_shown_as_asked_for(log: Path) -> None:
    of = len(json.loads(run("doctor", log, "--json")[1])["incidents"])
    assert of >= 2
    for most in (1, of - 1, of, of + 1):
        shown = run("doctor", log, "--max", most)[1]
        titles = [line for line in shown.splitlines() if line[:1].isdigit() and ". " in line[:4]]
        assert len(titles) == min(most, of), most


def test_a_trainer_that_is_named_is_not_guessed(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("learning_rate: 1e-6\nseed: 1\n")
    for framework in ("trl", "verl", "openrlhf"):
        report = json.loads(run("preflight", tmp_path / "c.yaml", "--framework", framework, "--json")[1])
        assert report["meta"]["framework"] == framework


@pytest.mark.slow
def test_cublas_is_asked_for_determinism_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    said = []
    for flag in ("--deterministic", "--non-deterministic"):
        words = ["seed", "exec", "--seed", "1", flag, "--", sys.executable, "-c"]
        code = "import os; print(os.environ.get('CUBLAS_WORKSPACE_CONFIG'))"
        done = subprocess.run([sys.executable, "-m", "rldk", *words, code], capture_output=True, text=True, check=True)
        said.append(done.stdout.strip())
    assert said == [":4096:8", "None"]


def test_the_tables_of_a_measurement_are_written_where_asked_for(tmp_path: Path) -> None:
    pairs = sorted(p for p in (FIXTURES.parent / "corpus" / "pairs").iterdir() if p.is_dir())
    shutil.copytree(pairs[0], tmp_path / "c" / pairs[0].name)
    code, out, err = run("bench", tmp_path / "c", "--markdown", tmp_path / "t.md", "--jobs", 1)
    assert (code, err) == (0, f"wrote {tmp_path / 't.md'}\n"), out
    assert (tmp_path / "t.md").read_text().startswith("0 of 1 healthy runs warned.\n\n### Figures\n")


class _Refusing(BaseHTTPRequestHandler):
    asked = 0

    def do_POST(self) -> None:
        type(self).asked += 1
        self.send_response(503)
        self.send_header("Retry-After", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        return


@pytest.mark.parametrize("retries", [0, 1])
def test_a_post_that_fails_is_tried_again_as_often_as_asked_for(tmp_path: Path, retries: int) -> None:
    class Server(_Refusing):
        asked = 0

    server = HTTPServer(("127.0.0.1", 0), Server)
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    (tmp_path / "r.yaml").write_text(POST.format(port=server.server_port))
    (tmp_path / "m.jsonl").write_text('{"step": 1, "kl": 0.9}\n')
    words = ["--rules", tmp_path / "r.yaml", "--retries", retries, "--allow-actions", "http"]
    code, _, err = run("monitor", "--once", tmp_path / "m.jsonl", *words)
    server.shutdown()
    server.server_close()
    assert (code, Server.asked) == (0, retries + 1), err


@pytest.mark.slow
def test_a_run_is_compared_with_the_approved_one(tmp_path: Path) -> None:
    def written(name: str, lr: float) -> Path:
        rows = ({"step": i, "lr": lr, "kl": 0.02 + 0.001 * (i % 3)} for i in range(40))
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
        return tmp_path / name

    approved, same, other = written("a.jsonl", 1e-5), written("b.jsonl", 1e-5), written("c.jsonl", 1e-3)
    for command in ("doctor", "monitor --once"):
        cases = ((other, (), False), (same, ("--reference", approved), False), (other, ("--reference", approved), True))
        for path, more, differs in cases:
            out = run(*command.split(), path, "--json", *more)[1]
            assert ("where the reference run had 1e-05" in out) is differs, (command, path.name)


class _Silent(_Refusing):
    """Answers no sooner than it is let."""

    let: Event

    def do_POST(self) -> None:
        self.let.wait(30)
        self.send_response(200)
        self.end_headers()


@pytest.mark.parametrize(("limit_s", "at_once"), [(0.1, False), (20, True)])
def test_a_post_is_waited_for_as_long_as_asked_for(tmp_path: Path, limit_s: float, at_once: bool) -> None:
    class Server(_Silent):
        let = Event()

    if at_once:
        Server.let.set()
    server = HTTPServer(("127.0.0.1", 0), Server)
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    (tmp_path / "r.yaml").write_text(POST.format(port=server.server_port))
    (tmp_path / "m.jsonl").write_text('{"step": 1, "kl": 0.9}\n')
    words = ["--rules", tmp_path / "r.yaml", "--retries", 0, "--allow-actions", "http", "--http-timeout-sec", limit_s]
    began = perf_counter()
    _, _, err = run("monitor", "--once", tmp_path / "m.jsonl", *words)
    took = perf_counter() - began
    Server.let.set()
    server.shutdown()
    server.server_close()
    assert took < 8, "the default is 10 s"
    assert ("failed: " in err, "answered 200" in err) == (not at_once, at_once), err


def test_a_process_that_ignores_sigterm_is_killed_after_the_time_asked_for(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(STOP)
    (tmp_path / "m.jsonl").write_text('{"step": 1, "kl": 0.9}\n')
    with subprocess.Popen(["sh", "-c", "trap '' TERM; echo ready; exec sleep 60"], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        words = ["--rules", tmp_path / "r.yaml", "--pid", child.pid, "--kill-timeout-sec", 0.1]
        _, _, err = run("monitor", "--once", tmp_path / "m.jsonl", *words)
        assert child.wait(20) == -9
    assert f"process {child.pid} ignored SIGTERM for 0.1 s: SIGKILL" in err


def test_a_run_on_weights_and_biases_is_followed_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    class StoredRun:
        """What the client of W&B shows of a run that has ended."""

        state, config, lastHistoryStep = "finished", {"lr": 0.1}, 39
        summary_metrics: ClassVar[dict[str, Any]] = {}

        def load(self, force: bool = False) -> None:
            return

        def scan_history(self, *, min_step: int, max_step: int, page_size: int) -> list[dict[str, Any]]:
            rows = [{"_step": i, "loss": math.nan if i > 30 else 0.5} for i in range(40)]
            return rows[min_step:max_step]

    asked = []

    def connect(path: str) -> tuple[StoredRun, str]:
        asked.append(path)
        return StoredRun(), "http://host"

    monkeypatch.setattr(wandb, "_connect", connect)
    code, out, err = run("monitor", "--from-wandb", "team/proj/abc", "--exit-code")
    assert (code, asked) == (1, ["team/proj/abc"]), err
    assert "[critical] GRAD001 step 31: loss is NaN after 31 finite values" in out
