"""The monitor beside real writers: what it says of a growing log is what doctor says of the finished one."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from rldk.diagnosis import diagnose

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "tests" / "fixtures"
ENV = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
WRITER = """
import os, random, sys, time
source, target, seed = sys.argv[1:]
rng, data = random.Random(int(seed)), open(source, "rb").read()
fd = os.open(target, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
while data:
    size = rng.choice([1, 7, 80, 500, 4000, 20000])
    os.write(fd, data[:size])
    data = data[size:]
    time.sleep(rng.choice([0, 0, 0, 0.001, 0.02, 0.15]))
"""
FLAPPING = """
rules:
  - {id: high_kl, metric: kl, condition: value > 0.5, cooldown_steps: 0}
  - {id: low_entropy, metric: entropy, condition: value < 0.5, cooldown_steps: 0}
"""
PARTS = ("findings", "incidents", "checked", "skipped", "notes", "verdict")


@contextmanager
def monitoring(*words: str, cwd: Path, **more: Any) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "rldk", "monitor", *words]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=cwd, env=ENV, **pipes, **more) as process:
        try:
            yield process
        finally:
            process.kill()


def report_of(path: Path) -> dict[str, Any]:
    (run,) = json.loads(path.read_text())["runs"]
    return {part: run[part] for part in PARTS}


def event(step: int, **metrics: float) -> str:
    return json.dumps({"step": step, "metrics": metrics}) + "\n"


def alerts_in(path: Path) -> list[dict[str, Any]]:
    """The alerts that can be read; a torn line is none."""
    found = []
    for line in path.read_text().splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "seed"),
    [
        ("trl-grpo/stdout.txt", 1),
        ("verl-grpo-format/proj/toy_grpo.jsonl", 2),
        ("openrlhf-ppo-format/stdout.txt", 3),
        ("sb3-a2c/stdout.txt", 4),
        ("sb3-ppo/log/progress.json", 5),
        ("cleanrl-ppo-hot/stdout.txt", 6),
        ("rllib-ppo/trial/result.json", 7),
        ("sb3-ppo/log/progress.csv", 8),
        ("sb3-a2c/train.monitor.csv", 9),
        ("rllib-ppo/trial/progress.csv", 10),
    ],
)
def test_a_replay_in_random_pieces_finds_what_doctor_finds(name: str, seed: int, tmp_path: Path) -> None:
    log = tmp_path / Path(name).name
    with monitoring("--stream", log.name, "--report", "r.json", "--idle-timeout", "2", cwd=tmp_path) as process:
        subprocess.run([sys.executable, "-c", WRITER, str(FIXTURES / name), str(log), str(seed)], check=True)
        process.communicate(timeout=60)
    report = diagnose(log).to_dict()
    assert report_of(tmp_path / "r.json") == {part: report[part] for part in PARTS}


@pytest.mark.slow
def test_every_alert_is_said_exactly_once_however_often_the_monitor_is_killed(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(FLAPPING)
    rng = random.Random(7)
    words = ["--stream", "m.jsonl", "--rules", "rules.yaml", "--alerts", "a.jsonl", "--state", "s.json"]
    step = 0
    for _ in range(6):
        with monitoring(*words, cwd=tmp_path) as process, (tmp_path / "m.jsonl").open("a") as log:
            deadline = time.monotonic() + rng.uniform(0.4, 1.5)
            while time.monotonic() < deadline:
                log.write(event(step, kl=float(step % 3 == 0), entropy=float(step % 5 != 0)))
                log.flush()
                step += 1
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
    with monitoring(*words, "--idle-timeout", "1", cwd=tmp_path) as process:
        process.communicate(timeout=60)
    said = Counter((a["rule"], a["event"], a["step"]) for a in alerts_in(tmp_path / "a.jsonl"))
    expected = {("high_kl", "begin", i) for i in range(0, step, 3)} | {
        ("low_entropy", "begin", i) for i in range(0, step, 5)
    }
    assert {key for key in said if key[1] == "begin"} == expected
    assert set(said.values()) == {1}


@pytest.mark.slow
@pytest.mark.parametrize("way", ["rename", "copytruncate"])
def test_rotation_loses_nothing(way: str, tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    rules = "rules: [{use: GRAD001}, {id: ready, metric: ready, condition: value > 0}]"
    (tmp_path / "rules.yaml").write_text(rules)
    words = ["--stream", "m.jsonl", "--rules", "rules.yaml", "--report", "r.json", "--idle-timeout", "6"]
    with monitoring(*words, cwd=tmp_path) as process:
        path.write_text(event(0, ready=1.0))
        assert process.stdout is not None
        process.stdout.readline()
        for step in range(1, 90):
            with path.open("a") as log:
                log.write(event(step, loss=1.0 if step < 70 else float("nan"), kl=0.1))
            if step == 45:
                time.sleep(0.5)  # a copy that is cut before it was read is lost to everybody
                if way == "rename":
                    path.rename(tmp_path / f"m.{step}")
                else:
                    os.truncate(path, 0)
            time.sleep(0.01)
        process.communicate(timeout=60)
    report = json.loads((tmp_path / "r.json").read_text())
    assert (report["source"]["lines"], report["source"]["rejected"], report["source"]["gaps"]) == (90, 0, 0)
    assert ("GRAD001", 70) in [(f["code"], f["first_step"]) for f in report["runs"][0]["findings"]]
    changes = {"rename": {"rotated": 1}, "copytruncate": {"truncated": 1, "unseen": 1}}[way]  # no copy is left
    assert report["runs"][0]["source"]["changes"] == changes


@pytest.mark.slow
def test_a_writer_killed_in_the_middle_of_a_line_costs_that_line(tmp_path: Path) -> None:
    writer = (
        "import os, json, sys, time\n"
        "fd = os.open('m.jsonl', os.O_WRONLY | os.O_APPEND | os.O_CREAT)\n"
        "for step in range(40): os.write(fd, (json.dumps({'step': step, 'loss': 1.0}) + '\\n').encode())\n"
        'os.write(fd, b\'{"step": 40, "lo\')\n'
        "print('torn', flush=True)\n"
        "time.sleep(60)\n"
    )
    words = ["--stream", "m.jsonl", "--report", "r.json", "--idle-timeout", "1.5"]
    with monitoring(*words, cwd=tmp_path) as process:
        with subprocess.Popen([sys.executable, "-c", writer], cwd=tmp_path, stdout=subprocess.PIPE) as trainer:
            assert trainer.stdout is not None
            trainer.stdout.readline()
            trainer.send_signal(signal.SIGKILL)
        time.sleep(0.5)
        with (tmp_path / "m.jsonl").open("a") as log:  # the restarted trainer knows nothing of the torn line
            for step in range(40, 80):
                log.write(json.dumps({"step": step, "loss": 1.0 if step < 60 else float("nan")}) + "\n")
        process.communicate(timeout=60)
    report = json.loads((tmp_path / "r.json").read_text())
    assert (report["source"]["lines"], report["source"]["rejected"]) == (80, 1)
    assert [(f["code"], f["first_step"]) for f in report["runs"][0]["findings"]] == [("GRAD001", 60)]


@pytest.mark.slow
def test_a_full_disk_is_told_once_and_watching_goes_on(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(FLAPPING)
    (tmp_path / "m.jsonl").write_text("".join(event(i, kl=float(i % 2), entropy=1.0) for i in range(40)))
    script = "import resource, sys, runpy; resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000)); "
    script += "sys.argv = ['rldk', *sys.argv[1:]]; runpy.run_module('rldk', run_name='__main__')"
    words = ["monitor", "--once", "m.jsonl", "--rules", "rules.yaml", "--alerts", "a.jsonl"]
    done = subprocess.run(
        [sys.executable, "-c", script, *words], cwd=tmp_path, env=ENV, capture_output=True, text=True, check=False
    )
    begun = [line for line in done.stdout.splitlines() if line.startswith("[warn]")]
    written = alerts_in(tmp_path / "a.jsonl")
    assert done.returncode == 0, done.stderr
    assert len(begun) == 20
    assert 0 < len(written) < 20
    assert (tmp_path / "a.jsonl").read_text().endswith("}\n"), "half a line was taken back"
    assert done.stderr.count("cannot write a.jsonl") == 1
    assert "Alerts wait until this is mended; monitoring goes on." in done.stderr


@pytest.mark.slow
def test_alerts_that_could_not_be_written_are_written_later(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file where a directory is due")
    (tmp_path / "rules.yaml").write_text(FLAPPING)
    words = ["--stream", "m.jsonl", "--rules", "rules.yaml", "--alerts", "out/a.jsonl", "--idle-timeout", "2"]
    with monitoring(*words, cwd=tmp_path) as process:
        (tmp_path / "m.jsonl").write_text("".join(event(i, kl=float(i % 2), entropy=1.0) for i in range(10)))
        assert process.stdout is not None
        process.stdout.readline()
        (tmp_path / "out").unlink()
        process.communicate(timeout=60)
    assert [a["step"] for a in alerts_in(tmp_path / "out" / "a.jsonl") if a["event"] == "begin"] == [1, 3, 5, 7, 9]


@pytest.mark.slow
def test_rules_are_read_once(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(FLAPPING)
    words = ["--stream", "m.jsonl", "--rules", "rules.yaml", "--alerts", "a.jsonl", "--idle-timeout", "1.5"]
    with monitoring(*words, cwd=tmp_path) as process:
        (tmp_path / "m.jsonl").write_text(event(0, kl=1.0, entropy=1.0))
        assert process.stdout is not None
        process.stdout.readline()
        (tmp_path / "rules.yaml").write_text("rules: [")
        with (tmp_path / "m.jsonl").open("a") as log:
            log.write("".join(event(i, kl=float(i % 2), entropy=1.0) for i in range(1, 10)))
        process.communicate(timeout=60)
    begun = [a["step"] for a in alerts_in(tmp_path / "a.jsonl") if a["event"] == "begin"]
    assert begun == [0, 1, 3, 5, 7, 9] or begun == [0, 3, 5, 7, 9]


@pytest.mark.slow
def test_the_end_of_the_process_ends_the_watch(tmp_path: Path) -> None:
    script = (
        "import time; print(open('m.jsonl', 'a').write('{\"step\": 1, \"loss\": 1.0}\\n'), flush=True); time.sleep(1)"
    )
    words = ["--stream", "m.jsonl", "--report", "r.json", "--pid"]
    with (
        subprocess.Popen([sys.executable, "-c", script], cwd=tmp_path, stdout=subprocess.DEVNULL) as trainer,
        monitoring(*words, str(trainer.pid), cwd=tmp_path) as process,
    ):
        trainer.wait()
        process.communicate(timeout=30)
    assert json.loads((tmp_path / "r.json").read_text())["ended"] == f"process {trainer.pid} ended"


@pytest.mark.slow
def test_an_incident_that_is_over_does_not_stop_a_training_that_was_restarted(tmp_path: Path) -> None:
    rules = "rules:\n  - {id: nan, metric: kl, condition: value > 0.5, cooldown_steps: 5, actions: [{stop: {}}]}\n"
    (tmp_path / "rules.yaml").write_text(rules)
    (tmp_path / "m.jsonl").write_text("".join(event(i, kl=float(10 < i < 15)) for i in range(60)))
    words = ["--stream", "m.jsonl", "--rules", "rules.yaml", "--alerts", "a.jsonl", "--idle-timeout", "1"]
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], process_group=0) as trainer:
        with monitoring(*words, "--pid", str(trainer.pid), cwd=tmp_path) as process:
            process.communicate(timeout=30)
        assert trainer.poll() is None
        trainer.kill()
    assert [a["event"] for a in alerts_in(tmp_path / "a.jsonl")] == ["begin", "recovered"]


@pytest.mark.slow
def test_scalar_events_of_the_newest_step_are_not_waited_for(tmp_path: Path) -> None:
    lines = [{"step": step, "name": name, "value": 1.0} for step in range(120) for name in ("loss", "kl")]
    lines.append({"step": 120, "name": "loss", "value": float("nan")})
    words = ["--stream", "m.jsonl", "--alerts", "a.jsonl", "--idle-timeout", "2", "--report", "r.json"]
    with monitoring(*words, cwd=tmp_path) as process:
        (tmp_path / "m.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        assert process.stdout is not None
        assert "GRAD001 step 120" in process.stdout.readline()
        with (tmp_path / "m.jsonl").open("a") as log:
            log.write(json.dumps({"step": 120, "name": "kl", "value": 1.0}) + "\n")
            log.write(json.dumps({"step": 121, "name": "loss", "value": 1.0}) + "\n")
        process.communicate(timeout=30)
    assert [(a["rule"], a["step"]) for a in alerts_in(tmp_path / "a.jsonl")] == [("GRAD001", 120)]
    assert [f["first_step"] for f in report_of(tmp_path / "r.json")["findings"]] == [120]


@pytest.mark.slow
def test_ranks_are_watched_side_by_side(tmp_path: Path) -> None:
    for rank in range(3):
        bad = rank == 1
        rows = (event(i, loss=float("nan") if bad and i > 20 else 1.0) for i in range(40))
        (tmp_path / f"m.rank{rank}.jsonl").write_text("".join(rows))
    words = [word for rank in range(3) for word in ("--stream", f"m.rank{rank}.jsonl")]
    with monitoring(
        *words, "--report", "r.json", "--alerts", "a.jsonl", "--idle-timeout", "1", cwd=tmp_path
    ) as process:
        process.communicate(timeout=30)
    report = json.loads((tmp_path / "r.json").read_text())
    assert [run["health"] for run in report["runs"]] == ["partly", "critical", "partly"]
    assert report["health"] == "critical"
    assert {a["run"] for a in alerts_in(tmp_path / "a.jsonl")} == {report["runs"][1]["run"]}


LAST_PID = Path("/proc/sys/kernel/ns_last_pid")  # the next process gets the number behind it, if that is free


def process_with(pid: int) -> subprocess.Popen[bytes]:
    """A process that has this very number. Skips the test where numbers cannot be chosen."""
    for _ in range(200):
        try:
            LAST_PID.write_text(str(pid - 1))
        except OSError as error:
            pytest.skip(f"process numbers cannot be chosen here: {error}")
        process = subprocess.Popen(["sleep", "60"], process_group=0)
        if process.pid == pid:
            return process
        process.kill()
        process.wait()
    pytest.skip(f"number {pid} could not be had again")


@pytest.mark.slow
def test_a_process_that_got_the_number_later_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text("rules: [{id: high, metric: kl, condition: value > 5, actions: [{stop: {}}]}]")
    words = ["--stream", "m.jsonl", "--rules", "rules.yaml", "--report", "r.json", "--alerts-txt", "a.txt", "--pid"]
    trainer = subprocess.Popen(["sleep", "60"], process_group=0)
    with monitoring(*words, str(trainer.pid), "--state", "s.json", cwd=tmp_path) as process:
        (tmp_path / "m.jsonl").write_text(event(0, kl=0.1))
        while not (tmp_path / "s.json").exists() and process.poll() is None:
            time.sleep(0.02)
        trainer.kill()
        trainer.wait()
        other = process_with(trainer.pid)
        with (tmp_path / "m.jsonl").open("a") as log:
            log.write(event(1, kl=9.0) + event(2, kl=0.1))
        process.communicate(timeout=30)
    report = json.loads((tmp_path / "r.json").read_text())
    assert other.poll() is None
    other.kill()
    other.wait()
    assert report["ended"] == f"process {trainer.pid} ended"
    (action,) = report["actions"]
    assert (action["kind"], action["status"]) == ("stop", "failed")
    assert "belongs to another process" in action["detail"]
