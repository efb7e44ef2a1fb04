"""The demonstrations of the Makefile, as a fresh checkout runs them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

ROOT = Path(__file__).parents[2]
SECONDS = 40


def checkout(folder: Path) -> Path:
    """A folder that looks like an installed checkout, with its own artifacts."""
    for name in ("Makefile", "pyproject.toml", "rules.yaml", "examples"):
        (folder / name).symlink_to(ROOT / name)
    bin_ = folder / ".venv" / "bin"
    bin_.mkdir(parents=True)
    for name, module in (("python", ""), ("rldk", "-m rldk")):
        (bin_ / name).write_text(f'#!/bin/sh\nexec {sys.executable} {module} "$@"\n')
        (bin_ / name).chmod(0o755)
    (folder / ".venv" / ".core").touch()
    return folder


def valid(document: dict[str, Any], kind: str) -> dict[str, Any]:
    schema = json.loads((ROOT / "docs" / f"monitor.{kind}.schema.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(document)
    return document


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")
@pytest.mark.parametrize(
    ("target", "steps", "rule", "action"),
    [("monitor-demo", 800, "kl_spike", "stop"), ("monitor-grpo", 600, "grpo_safe_grad_ratio_imbalance", "sentinel")],
)
def test_the_training_goes_wrong_is_seen_and_stopped(
    target: str, steps: int, rule: str, action: str, tmp_path: Path
) -> None:
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        ["make", target], cwd=checkout(tmp_path), env=env, capture_output=True, text=True, check=False, timeout=SECONDS
    )
    assert done.returncode == 0, done.stderr
    artifacts = tmp_path / "artifacts"
    alerts = [valid(json.loads(line), "alert") for line in (artifacts / "alerts.jsonl").read_text().splitlines()]
    report = valid(json.loads((artifacts / "report.json").read_text()), "report")
    (alert,) = (a for a in alerts if a["rule"] == rule and a["event"] == "begin")
    assert 150 <= alert["step"] <= 160
    assert report["health"] == "critical"
    assert (action, "done") in {(a["kind"], a["status"]) for a in report["actions"]}
    assert report["last_step"] < steps // 2
    if target == "monitor-grpo":
        assert alert["policy_over_value"] == pytest.approx(1 / alert["value_over_policy"])
