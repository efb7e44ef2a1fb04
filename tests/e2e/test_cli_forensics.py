"""`rldk log-scan` and `rldk forensics ...`, as a user types them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from rldk.cli.main import main


def rldk(*words: object) -> Result:
    return CliRunner().invoke(main, [str(w) for w in words], env={"COLUMNS": "100"})


@pytest.fixture(name="drifting")
def _drifting(tmp_path: Path) -> Path:
    rows = [{"it": i, "divergence": 0.1 + 0.001 * (i % 7) if i < 60 else 0.6, "beta": 0.2} for i in range(120)]
    path = tmp_path / "run.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


COLUMNS = ("--step-col", "it", "--kl-col", "divergence", "--kl-coef-col", "beta")


@pytest.mark.slow
def test_a_scan_names_what_it_found_and_what_it_did_not_look_for() -> None:
    result = rldk("log-scan", "tests/fixtures/trl-grpo-collapse")
    assert result.exit_code == 1
    assert "constant_reward (REW001), steps 37-79" in result.output
    assert "needs kl: kl_trend_anomaly" in result.output
    assert result.output == rldk("forensics", "log-scan", "tests/fixtures/trl-grpo-collapse").output


def test_a_scan_of_a_healthy_log_is_calm_and_its_json_is_the_documented_one(tmp_path: Path) -> None:
    out = tmp_path / "scan.json"
    result = rldk("log-scan", "tests/fixtures/trl-ppo", "--json", "-o", out)
    assert result.exit_code == 0
    document = json.loads(out.read_text())
    assert (document["anomalies"], document["source"], document["earliest_step"]) == (
        [],
        "tests/fixtures/trl-ppo",
        None,
    )
    assert document["rules_fired"] == []


def test_the_exit_code_is_what_fail_on_says() -> None:
    assert rldk("log-scan", "tests/fixtures/trl-dpo-hot").exit_code == 0
    assert rldk("log-scan", "tests/fixtures/trl-dpo-hot", "--fail-on", "warn").exit_code == 1
    assert rldk("log-scan", "no-such-file").exit_code == 3


def test_a_drift_is_told_with_its_start_and_its_files(drifting: Path, tmp_path: Path) -> None:
    result = rldk("forensics", "kl-drift", drifting, *COLUMNS, "--output-dir", tmp_path / "out")
    assert result.exit_code == 0
    assert result.output.startswith("The KL drifts from step 62 on")
    assert "Jensen-Shannon" in result.output
    names = sorted(p.name for p in (tmp_path / "out").iterdir())
    kinds = (
        "comprehensive_analysis.json",
        "comprehensive_metrics.csv",
        "comprehensive_metrics.json",
        "health_summary.json",
    )
    assert len(names) == 4
    assert all(name.endswith(f"_{kind}") for name, kind in zip(names, kinds, strict=True))
    assert rldk("forensics", "kl-drift", drifting, *COLUMNS, "--fail-on", "warn").exit_code == 1


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], {"detected": True, "reference_steps": [0, 59], "current_steps": [60, 119]}),
        (["--drift-threshold", 1], {"detected": False, "threshold": 1.0}),
        (["--drift-window-size", 30], {"reference_steps": [0, 29], "current_steps": [90, 119]}),
        (["--reference-period", 20], {"reference_steps": [0, 19], "current_steps": [20, 119]}),
    ],
)
def test_the_options_of_the_drift_are_used(drifting: Path, options: list[Any], expected: dict[str, Any]) -> None:
    result = rldk("forensics", "kl-drift", drifting, *COLUMNS, *options, "--json")
    assert json.loads(result.output).items() >= expected.items()


@pytest.mark.parametrize(("threshold", "code"), [(0, 0), (1, 0), (-0.01, 2), (1.01, 2)])
def test_a_threshold_is_from_zero_to_one(drifting: Path, threshold: float, code: int) -> None:
    result = rldk("forensics", "kl-drift", drifting, *COLUMNS, "--drift-threshold", threshold)
    assert result.exit_code == code


def test_a_column_that_is_not_there_is_named_with_the_nearest(drifting: Path) -> None:
    result = rldk("forensics", "kl-drift", drifting, "--kl-col", "divergenc")
    assert result.exit_code == 2
    assert "did you mean divergence" in result.output


def test_a_log_without_a_kl_cannot_be_analysed() -> None:
    result = rldk("forensics", "kl-drift", "tests/fixtures/trl-dpo")
    assert (result.exit_code, result.output.splitlines()[0][:20]) == (3, "No KL in this log, s")


def test_a_preset_says_whose_names_the_log_has(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("step,objective/kl\n" + "".join(f"{i},0.{100 + i % 7}\n" for i in range(50)))
    result = rldk("forensics", "kl-drift", path, "--preset", "trl", "--json")
    assert json.loads(result.output)["rows"] == 50


def test_the_doctor_is_there_as_well() -> None:
    assert (
        rldk("forensics", "doctor", "tests/fixtures/trl-ppo").output == rldk("doctor", "tests/fixtures/trl-ppo").output
    )
