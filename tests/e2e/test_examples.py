"""The example trainings: real ones that go wrong on purpose, and obey a stop."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rldk import diagnose

EXAMPLES = Path(__file__).parents[2] / "examples"
LOOPS = ("minimal_streaming_loop", "grpo_minimal_loop")


def _argv(loop: str, *options: object) -> list[str]:
    return [sys.executable, str(EXAMPLES / f"{loop}.py"), *map(str, options)]


def _train(loop: str, folder: Path, *options: object) -> Path:
    log = folder / "run.jsonl"
    argv = _argv(loop, "--out", log, "--sentinel", folder / "STOP", *options)
    subprocess.run(argv, check=True, capture_output=True, timeout=120)
    return log


@pytest.mark.slow
@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("seed", [0, 1])
def test_a_healthy_loop_gets_no_verdict(loop: str, seed: int, tmp_path: Path) -> None:
    report = diagnose(_train(loop, tmp_path, "--healthy", "--seed", seed))
    assert [f.code for f in report.findings if f.severity != "info"] == []


@pytest.mark.slow
@pytest.mark.parametrize("loop", LOOPS)
def test_a_broken_loop_is_named_at_the_step_of_the_mistake(loop: str, tmp_path: Path) -> None:
    report = diagnose(_train(loop, tmp_path, "--break-at", 120, "--steps", 220))
    found = {f.code: f for f in report.findings}
    assert found["OPT003"].first_step == 120
    assert {"KL002", "ENT001", "REW012"} & found.keys()
    assert any(f.severity == "critical" for f in report.findings)
    assert min(f.first_step or 0 for f in report.findings if f.severity != "info") == 120


PIPES = {
    "minimal_streaming_loop": "python examples/minimal_streaming_loop.py | rldk monitor --rules ppo_safe --preset trl "
    "--alerts artifacts/alerts.jsonl",
    "grpo_minimal_loop": "python examples/grpo_minimal_loop.py | rldk monitor --rules grpo_safe --preset grpo "
    "--alerts artifacts/alerts.jsonl",
}


def _as_typed(line: str, folder: Path) -> str:
    """Typed into a shell in a checkout: what was printed, on stdout and stderr."""
    (folder / "examples").symlink_to(EXAMPLES)
    (folder / "bin").mkdir()
    for name, module in (("python", ""), ("rldk", "-m rldk")):
        (folder / "bin" / name).write_text(f'#!/bin/sh\nexec {sys.executable} {module} "$@"\n')
        (folder / "bin" / name).chmod(0o755)
    env = {**os.environ, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": str(EXAMPLES.parent / "src")}
    done = subprocess.run(
        ["sh", "-c", line], cwd=folder, env=env, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0
    return done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("loop", LOOPS)
def test_the_documented_pipe_works_as_typed(loop: str, tmp_path: Path) -> None:
    said = _as_typed(PIPES[loop], tmp_path)
    alerts = [json.loads(line) for line in (tmp_path / "artifacts/alerts.jsonl").read_text().splitlines()]
    assert min(a["finding"]["first_step"] for a in alerts if a["severity"] != "info") == 150
    assert any(a["severity"] == "critical" for a in alerts)
    assert "Critical: at step" in said or "Critical since step" in said


@pytest.mark.slow
@pytest.mark.parametrize(("loop", "log"), [("minimal_streaming_loop", "run"), ("grpo_minimal_loop", "grpo_run")])
def test_a_loop_that_is_not_piped_writes_its_log(loop: str, log: str, tmp_path: Path) -> None:
    _as_typed(f"python examples/{loop}.py --steps 3 > said.txt", tmp_path)
    assert len((tmp_path / "artifacts" / f"{log}.jsonl").read_text().splitlines()) == 3
    assert (tmp_path / "said.txt").read_text() == ""


@pytest.mark.slow
def test_the_groups_of_grpo_give_both_gradient_norms(tmp_path: Path) -> None:
    log = _train("grpo_minimal_loop", tmp_path, "--break-at", 60, "--steps", 80)
    rows = [json.loads(line)["metrics"] for line in log.read_text().splitlines()]
    ratios = [row["grad_norm_policy"] / row["grad_norm_value"] for row in rows]
    assert max(ratios[:59]) < 3.5  # the strictest preset speaks above it
    assert max(ratios[59:]) > 4.5
    assert max(row["grad_norm_policy"] for row in rows[59:]) > 8


@pytest.mark.slow
@pytest.mark.parametrize("loop", LOOPS)
def test_sigterm_ends_a_loop_after_its_step(loop: str, tmp_path: Path) -> None:
    argv = _argv(loop, "--out", "-", "--sentinel", tmp_path / "STOP", "--steps", 100000)
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["step"] == 1
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    last = json.loads(out.splitlines()[-1])["step"] if out else 1
    assert (process.returncode, err) == (0, f"stopped after step {last}: SIGTERM\n")


@pytest.mark.slow
@pytest.mark.parametrize("loop", LOOPS)
def test_a_sentinel_ends_a_loop(loop: str, tmp_path: Path) -> None:
    sentinel = tmp_path / "STOP"
    sentinel.touch()  # of an earlier run: ignored
    argv = _argv(loop, "--out", "-", "--sentinel", sentinel, "--steps", 100000)
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        sentinel.touch()
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert err.endswith(f": {sentinel} is there\n")


@pytest.mark.slow
def test_the_forensics_example_tells_a_mistake_from_learning(tmp_path: Path) -> None:
    def run(*options: object) -> dict[str, Any]:
        argv = _argv("comprehensive_ppo_forensics_example", "--out", tmp_path / "ppo", *options)
        subprocess.run(argv, check=True, capture_output=True, timeout=120)
        health: dict[str, Any] = json.loads((tmp_path / "ppo_health_summary.json").read_text())
        analysis = json.loads((tmp_path / "ppo_comprehensive_analysis.json").read_text())
        return {**health, "found": {a["code"]: a["first_step"] for a in analysis["anomalies"]}}

    healthy, broken = run("--healthy"), run()
    assert (healthy["status"], healthy["found"]) == ("healthy", {})
    assert broken["status"] in {"warning", "critical"}
    assert broken["found"]["OPT003"] == 200 == min(broken["found"].values())


@pytest.mark.integration
@pytest.mark.parametrize("broken", [False, True])
def test_the_watched_loop_names_the_optimizer_of_a_copy(broken: bool, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    options = ["--out", tmp_path, "--steps", 12, *(["--break"] if broken else [])]
    subprocess.run(_argv("watched_loop", *options), check=True, capture_output=True, timeout=300)
    alerts = json.loads((tmp_path / "watched_alerts.json").read_text())
    loud = {(a["rule"], a["step"]) for a in alerts if a["severity"] != "info"}
    assert (("OPT006", 1) in loud) == broken
    assert broken or not loud


@pytest.mark.integration
def test_the_watched_trainers_of_trl_leave_runs_that_open(tmp_path: Path) -> None:
    pytest.importorskip("trl")
    argv = _argv("trl_integration/watched_grpo_and_dpo", "--out", tmp_path, "--steps", 4)
    subprocess.run(argv, check=True, capture_output=True, timeout=400)
    for name in ("grpo", "dpo"):
        report = json.loads((tmp_path / "rldk" / f"{name}_final_report.json").read_text())
        assert (report["meta"]["status"], report["meta"]["failures"]) == ("finished", {})
    assert (tmp_path / "rldk" / "samples-grpo.jsonl").is_file()
