"""Every snippet of the page on PPO forensics, run in order as a reader would."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from rldk.forensics.anomalies import ANOMALIES, KL_DRIFT, LENGTH_BIAS

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "ppo-forensics.md"


def _logs(folder: Path) -> None:
    folder.mkdir()
    rows = [{"step": i, "kl": 0.1 + 0.01 * (i % 3), "reward_mean": i / 60} for i in range(60)]
    (folder / "run.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    lines = [f"{i},{0.1 + 0.01 * (i % 3):.2f},0.2" for i in range(60)]
    (folder / "own.csv").write_text("\n".join(["it,divergence,beta", *lines]) + "\n")


@pytest.mark.slow
def test_the_page_on_forensics_does_what_it_says(tmp_path: Path) -> None:
    _logs(tmp_path / "artifacts")
    snippets = re.findall(r"^```(python|sh)\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    python = "".join(code for kind, code in snippets if kind == "python")
    said = subprocess.run([sys.executable, "-c", python], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert said.stdout.startswith("coef_adaptation_anomaly 151 ")
    assert (tmp_path / "artifacts" / "ppo_comprehensive_analysis_step_199.json").is_file()
    for line in "".join(code for kind, code in snippets if kind == "sh").splitlines():
        argv = [sys.executable, "-m", *shlex.split(line)]
        subprocess.run(argv, cwd=tmp_path, env={**os.environ, "NO_COLOR": "1"}, check=True, capture_output=True)
    assert len(list((tmp_path / "artifacts" / "drift").iterdir())) == 4


def test_the_page_lists_every_name_with_its_rule() -> None:
    cells = re.findall(r"`(\w+_anomaly)` \| ([A-Z0-9, ]+) \|", PAGE.read_text())
    named = dict(cells)
    assert named.keys() == {*ANOMALIES, KL_DRIFT, LENGTH_BIAS}
    assert {name: named[name] for name in ANOMALIES} == dict(ANOMALIES)
