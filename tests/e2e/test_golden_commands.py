"""Whole outputs of commands on runs that one rule of the catalogue looks at; kept in tests/golden."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from rldk.cli.main import main

RULES = """
description: one limit
rules:
  - {id: kl_high, metric: kl, condition: value > 0.5, severity: critical, cooldown_steps: 3}
  - {id: reward_low, metric: reward_mean, condition: value < 0.1}
"""


@pytest.fixture
def _runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three runs: fine, broken, and one with an unknown and a refused line; a rule file; no settings of a user."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name, bad in (("fine", 99), ("broken", 20), ("odd", 99)):
        (tmp_path / name).mkdir()
        rows = [
            {
                "step": i,
                "kl": 0.9 if i > bad else 0.1 + 0.001 * (i % 3),
                "reward_mean": 0.5 + 0.01 * i,
                "my own": i,
                "loss": math.nan if i > bad else 1 / i,
            }
            for i in range(1, 31)
        ]
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (tmp_path / name / "metrics.jsonl").write_text(text + ("{torn\n" if name == "odd" else ""))
    (tmp_path / "rules.yaml").write_text(RULES)
    (tmp_path / "wrong.yaml").write_text("rules:\n  - {id: a, metric: kl, condition: vale > 1}\n")
    (tmp_path / "rldk.toml").write_text('fail_on = "warn"\n')


COMMANDS = [
    "doctor fine --select GRAD001", "doctor broken --select GRAD001 --all", "broken --select GRAD001 --json",
    "doctor fine broken odd --select GRAD001", "doctor fine broken --select GRAD001 --fail-on never",
    "doctor odd --select GRAD001 --strict", "doctor fine absent --select GRAD001", "doctor absent",
    "doctor broken --select GRAD001 --format github", "doctor broken --select GRAD001 --format junit",
    "doctor fine --select GRAD001 --select nothing", "doctor fine --rule x",
    "ingest odd", "ingest odd --json", "ingest odd -o out.csv", "ingest odd --validation-mode strict",
    "ingest fine --required-fields kl,loss", "ingest fine --required-fields loss --validation-mode lenient",
    "ingest fine --required-fields loss --no-validate", "ingest fine -o out.xyz", "ingest fine --adapter nope",
    "validate-format odd/metrics.jsonl", "validate-format odd/metrics.jsonl --json", "validate-format rules.yaml",
    "rules validate rules.yaml", "rules validate wrong.yaml", "rules validate absent.yaml",
    "rules show rules.yaml",
    "rules test rules.yaml broken", "rules test rules.yaml fine --all", "rules test rules.yaml broken --json",
    "config", "config --json", "runs list", "runs list --last 1", "runs show fine", "runs show absent",
    "runs list --json",
    "monitor --once broken/metrics.jsonl --rules rules.yaml --exit-code",
    "monitor --once absent --rules rules.yaml",
    "monitor --once fine/metrics.jsonl --rules rules.yaml --stop-on warn", "monitor --once a --stream b",
    "emit out.jsonl --step 3 --name kl --value 0.5", "emit out.jsonl --step x --name kl --value 1",
    "explain exit-codes",
    "explain nothing", "version", "rules list --nothing", "completion bash",
]  # fmt: skip


@pytest.mark.usefixtures("_runs")
def test_golden_commands(golden: Callable[[str, str], None], tmp_path: Path) -> None:
    runner, parts = CliRunner(), []
    for command in COMMANDS:
        done = runner.invoke(main, command.split())
        assert "Traceback" not in done.stderr, command
        parts.append(f"$ rldk {command}\n{done.stdout}-- stderr\n{done.stderr}-- exit code {done.exit_code}")
    parts.append((tmp_path / "out.csv").read_text())
    golden("commands.txt", _plain("\n".join(parts), tmp_path))


def _plain(text: str, tmp_path: Path) -> str:
    """The text without what differs from one machine or moment to the next."""
    text = text.replace(str(tmp_path), "TMP").replace(tmp_path.name, "TMP")
    text = re.sub(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?Z?", "MOMENT", text)
    text = re.sub(r'"(seconds|time|written)": [\d.e+]+', r'"\1": 0', text)
    return re.sub(r"(rldk|[Pp]ython) v?\d[\w.+]*", r"\1 VERSION", text)
