"""Options whose effect only the output shows, each with its opposite."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from click.testing import CliRunner
from examples import every

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
