"""`rldk diff` as a user calls it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from rldk.cli.main import main


def log(folder: Path, seed: int, shift: float = 0.0) -> str:
    rng = np.random.default_rng(seed)
    path = folder / f"s{seed}.jsonl"
    rows = ({"step": i, "kl": 0.01 * i + rng.normal() * 0.1 + shift * 0.1 * (i >= 80)} for i in range(1, 151))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.fixture
def runs(tmp_path: Path) -> tuple[str, str, str, list[str]]:
    """A, a B with its seed only, a B that changed, and the flags of the baselines."""
    others = [word for seed in range(10, 15) for word in ("--baseline", log(tmp_path, seed))]
    return log(tmp_path, 1), log(tmp_path, 2), log(tmp_path, 3, shift=9), others


def diff(*words: str) -> Result:
    return CliRunner().invoke(main, ["diff", *words])


def test_a_change_ends_with_1_and_is_named(runs: tuple[str, str, str, list[str]], tmp_path: Path) -> None:
    a, _, changed, others = runs
    done = diff("--a", a, "--b", changed, "--signals", "kl", *others, "--html", str(tmp_path / "d.html"))
    assert done.exit_code == 1
    assert "B leaves the range of 6 runs of A's kind at step 80, `kl` first" in " ".join(done.stdout.split())
    page = (tmp_path / "d.html").read_text()
    assert 'class="range"' in page
    assert 'class="other"' in page
    assert 'class="band onset"' in page


def test_a_seed_ends_with_0(runs: tuple[str, str, str, list[str]]) -> None:
    a, seed, _, others = runs
    done = diff("--a", a, "--b", seed, *others)
    assert done.exit_code == 0
    assert "within the seed noise" in done.stdout


@pytest.mark.slow
def test_a_gate_passes_what_one_pair_cannot_tell(runs: tuple[str, str, str, list[str]]) -> None:
    a, _, changed, others = runs
    assert diff("--a", a, "--b", changed).exit_code == 1
    assert diff("--a", a, "--b", changed, "--gate").exit_code == 0
    assert diff("--a", a, "--b", changed, "--gate", *others).exit_code == 1
    assert diff("--a", a, "--b", changed, "--gate-codes", "0,7,8").exit_code == 7
    assert diff("--a", a, "--b", changed, "--gate-codes", "0,7,8", *others).exit_code == 8


def test_a_gate_never_passes_what_was_not_tested(runs: tuple[str, str, str, list[str]]) -> None:
    a, seed, _, _ = runs
    assert diff("--a", a, "--b", seed, "--window", "500", "--gate-codes", "0,0,0").exit_code == 3


@pytest.mark.parametrize("codes", ["0,1", "0,1,2,3", "a,b,c", "0,1,256", ""])
def test_codes_of_a_gate_are_three_exit_codes(runs: tuple[str, str, str, list[str]], codes: str) -> None:
    a, seed, _, _ = runs
    done = diff("--a", a, "--b", seed, "--gate-codes", codes)
    assert done.exit_code == 2
    assert "PASS,WARN,FAIL" in done.stderr


@pytest.mark.parametrize(
    ("form", "said"), [("junit", "<failure"), ("github", "::error"), ("sarif", '"error"'), ("md", "DIVERGED")]
)
def test_the_formats_of_ci(runs: tuple[str, str, str, list[str]], form: str, said: str) -> None:
    a, _, changed, others = runs
    assert said in diff("--a", a, "--b", changed, *others, "--format", form).stdout


def test_json_is_the_report(runs: tuple[str, str, str, list[str]]) -> None:
    a, _, changed, others = runs
    found = json.loads(diff("--a", a, "--b", changed, *others, "--json").stdout)
    assert (found["kind"], found["question"], found["first_mover"]) == ("divergence", "seed-noise", "kl")
    assert "series" not in found["meta"]


def test_what_cannot_be_read_or_tested_ends_with_3(runs: tuple[str, str, str, list[str]], tmp_path: Path) -> None:
    a, seed, _, _ = runs
    assert diff("--a", a, "--b", str(tmp_path / "none")).exit_code == 3
    assert diff("--a", a, "--b", seed, "--window", "500").exit_code == 3
    assert diff("--a", a, "--b", seed, "--signals", "nothing").exit_code == 2
