"""Tables that grow beside a real monitor: under a header that is written anew, and through rotation."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from rldk.diagnosis import diagnose

SRC = Path(__file__).parents[2] / "src"
# What stable_baselines3.common.logger.CSVOutputFormat does, with a moment between the writes into the one file.
WRITER = """
import sys, time
file, keys = open("progress.csv", "w+t"), []
def write(row):
    extra = [key for key in row if key not in keys]
    if extra:
        keys.extend(extra)
        file.seek(0)
        lines = file.readlines()
        file.seek(0)
        file.write(",".join(keys) + "\\n")
        for i, line in enumerate(lines[1:]):
            file.write(line[:-1] + "," * len(extra) + "\\n")
            if i % 9 == 0:
                file.flush()
    file.write(",".join(str(row.get(key, "")) for key in keys) + "\\n")
    file.flush()
for i in range(90):
    row = {"time/total_timesteps": 100 * i, "rollout/ep_rew_mean": float(i % 4 == 0)}
    row |= {"train/approx_kl": 0.01, "train/loss": 1.0} if i >= 30 else {}
    row |= {"eval/mean_reward": 2.0} if i >= 60 and i % 10 == 0 else {}
    write(row)
    time.sleep(0.4 if i in (10, 45) else 0.01)
"""
RULES = "rules: [{id: high, metric: reward_mean, condition: value > 0.5, cooldown_steps: 0}, {use: GRAD001}]"
PARTS = ("findings", "incidents", "checked", "skipped", "notes", "verdict")


def monitor(*words: str, cwd: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "rldk", "monitor", *words, "--report", "r.json", "--alerts", "a.jsonl"]
    environment = {**os.environ, "PYTHONPATH": str(SRC)}
    return subprocess.Popen(
        command, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    )


def begun(path: Path) -> Counter[tuple[str, int]]:
    alerts: list[dict[str, Any]] = [json.loads(line) for line in (path / "a.jsonl").read_text().splitlines()]
    return Counter((a["rule"], a["step"]) for a in alerts if a["event"] == "begin")


@pytest.mark.slow
def test_a_header_written_anew_neither_repeats_nor_loses_an_alert(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(RULES)
    words = ["--stream", "progress.csv", "--rules", "rules.yaml", "--state", "s.json"]
    with monitor(*words, "--idle-timeout", "2", cwd=tmp_path) as process:
        subprocess.run([sys.executable, "-c", WRITER], check=True, cwd=tmp_path)
        process.communicate(timeout=60)
    assert begun(tmp_path) == Counter({("high", 100 * i): 1 for i in range(0, 90, 4)})
    (run,) = json.loads((tmp_path / "r.json").read_text())["runs"]
    assert (run["source"]["lines"], run["source"]["rejected"]) == (90, 0)
    with monitor(*words, "--idle-timeout", "1", cwd=tmp_path) as again:
        again.communicate(timeout=60)
    assert set(begun(tmp_path).values()) == {1}


@pytest.mark.slow
def test_a_rewritten_table_is_judged_as_the_finished_one(tmp_path: Path) -> None:
    with monitor("--stream", "progress.csv", "--idle-timeout", "2", cwd=tmp_path) as process:
        subprocess.run([sys.executable, "-c", WRITER], check=True, cwd=tmp_path)
        process.communicate(timeout=60)
    (run,) = json.loads((tmp_path / "r.json").read_text())["runs"]
    report = diagnose(tmp_path / "progress.csv").to_dict()
    assert {part: run[part] for part in PARTS} == {part: report[part] for part in PARTS}


@pytest.mark.slow
@pytest.mark.parametrize("way", ["rename", "copytruncate", "replace"])
def test_rotation_of_a_table_loses_nothing(way: str, tmp_path: Path) -> None:
    path, header = tmp_path / "progress.csv", "step,reward,loss"
    (tmp_path / "rules.yaml").write_text(RULES)
    path.write_text(f"{header}\n0,1.0,1.0\n")
    with monitor("--stream", "progress.csv", "--rules", "rules.yaml", "--idle-timeout", "3", cwd=tmp_path) as process:
        assert process.stdout is not None
        process.stdout.readline()
        for step in range(1, 90):
            if step == 45:
                time.sleep(0.5)  # a copy that is cut before it was read is lost to everybody
                rotate(path, way, header)
            with path.open("a") as log:
                log.write(f"{step},0.0,{1.0 if step < 70 else 'nan'}\n")
            time.sleep(0.01)
        process.communicate(timeout=60)
    (run,) = json.loads((tmp_path / "r.json").read_text())["runs"]
    assert (run["source"]["lines"], run["source"]["rejected"], run["source"]["gaps"]) == (90, 0, 0)
    assert begun(tmp_path) == {("high", 0): 1, ("GRAD001", 70): 1}


def rotate(path: Path, way: str, header: str) -> None:
    """Gives the name to an empty table, takes the content away, or puts another file of the same rows in its place."""
    if way == "copytruncate":
        os.truncate(path, 0)
    elif way == "rename":
        path.rename(path.with_suffix(".csv.1"))
        path.write_text(header + "\n")
    else:
        made = path.with_suffix(".new")
        made.write_text(path.read_text().replace("1.0\n", "1\n"))
        made.replace(path)
