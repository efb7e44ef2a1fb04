"""The formats of CI, for every command that has a gate: each is valid for whoever reads it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as Xml

import jsonschema
import numpy as np
import pytest
from click.testing import CliRunner, Result

from rldk.cli.main import main

FIXTURES = Path(__file__).parents[1] / "fixtures"
SARIF = jsonschema.Draft4Validator(json.loads((FIXTURES / "schemas" / "sarif-schema-2.1.0.json").read_bytes()))
CHECKPOINTS = FIXTURES / "checkpoints"
NOISY = "import random\nfor i in range(12):\n    print({'step': i, 'loss': random.random()})\n"


def run(*words: str) -> Result:
    return CliRunner().invoke(main, list(words))


def log(name: str, seed: int, shift: float = 0.0) -> str:
    rng = np.random.default_rng(seed)
    Path(name).parent.mkdir(exist_ok=True)
    rows = [
        {"step": i, "reward_mean": i / 60 + 0.02 * rng.normal() - shift, "kl": 0.1 + 0.01 * rng.normal()}
        for i in range(80)
    ]
    Path(name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return name


def _diff() -> list[str]:
    others = [word for seed in range(10, 15) for word in ("--baseline", log(f"s{seed}.jsonl", seed))]
    return ["diff", "--a", log("a.jsonl", 1), "--b", log("b.jsonl", 2, shift=3.0), *others]


def _compare() -> list[str]:
    return [
        "compare",
        *(log(f"old/o{i}.jsonl", i) for i in range(4)),
        *(log(f"n/new{i}.jsonl", i, 3) for i in range(4)),
    ]


def _checkpoints() -> list[str]:
    return ["diff-ckpt", str(CHECKPOINTS / "checkpoint-1"), str(CHECKPOINTS / "checkpoint-2")]


def _determinism() -> list[str]:
    Path("train.py").write_text(NOISY)
    return ["check-determinism", "--cmd", f"{sys.executable} train.py", "--replicas", "2"]


def _card() -> list[str]:
    return ["card", "kl-drift", str(FIXTURES / "trl-ppo"), "--output-dir", "o"]


def _doctor() -> list[str]:
    return ["doctor", str(FIXTURES / "trl-grpo-collapse")]


COMMANDS: dict[str, Callable[[], list[str]]] = {
    "diff": _diff,
    "compare": _compare,
    "diff-ckpt": _checkpoints,
    "check-determinism": _determinism,
    "card": _card,
    "doctor": _doctor,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_every_format_of_every_gated_command_is_valid(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    words = [*COMMANDS[name](), "--gate-codes", "10,11,12", "--format"]
    made = {form: run(*words, form) for form in ("sarif", "junit", "github", "md", "html", "json")}
    codes = {form: done.exit_code for form, done in made.items()}
    assert len(set(codes.values())) == 1, codes
    assert codes["json"] in (10, 11, 12)
    SARIF.validate(document := json.loads(made["sarif"].stdout))
    suites = Xml.fromstring(made["junit"].stdout)
    cases = [case.get("name", "") for case in suites.iter("testcase")]
    assert len(cases) == len(set(cases)) > 0
    assert (int(suites.get("failures", "0")) > 0) == (codes["json"] == 12)
    assert ("::error" in made["github"].stdout) == (codes["json"] == 12)
    assert bool(document["runs"][0]["results"]) or codes["json"] == 10
    assert (tmp_path / "summary.md").read_text().startswith("## ")
    assert made["md"].stdout.startswith("## ")
    assert made["html"].stdout.startswith("<!doctype html>")
    assert "<script" not in made["html"].stdout
    assert json.loads(made["json"].stdout)["schema_version"] == 1


def test_no_gate_passes_what_could_not_be_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("odd.jsonl").write_text("".join(json.dumps({"step": i, "zzz": float(i % 3)}) + "\n" for i in range(40)))
    passing = ("--gate-codes", "0,0,0")
    assert run("doctor", "odd.jsonl").exit_code == run("doctor", "odd.jsonl", *passing).exit_code == 3
    few = ["compare", log("o/o1.jsonl", 1), log("n/n1.jsonl", 2, 3)]
    assert (run(*few).exit_code, run(*few, *passing).exit_code) == (0, 3)


@pytest.mark.slow
def test_a_gate_of_the_doctor_lets_warnings_pass_and_codes_change_that() -> None:
    warned, broken = str(FIXTURES / "trl-dpo-hot"), str(FIXTURES / "trl-grpo-collapse")
    assert [run("doctor", source, "--gate").exit_code for source in (warned, broken)] == [0, 1]
    assert [run("doctor", source, "--gate-codes", "4,5,6").exit_code for source in (warned, broken)] == [5, 6]
