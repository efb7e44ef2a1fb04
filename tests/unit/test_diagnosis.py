"""`rldk doctor` as a function."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest

import rldk
from rldk.diagnosis import diagnose_all, diagnose_run
from rldk.errors import UnknownName, UsageError
from rldk.testing import run_of

FIXTURES = Path(__file__).parents[1] / "fixtures"
LOSS = [1 / i if i < 31 else math.nan for i in range(1, 61)]


def test_a_run_a_path_and_a_frame_are_sources(tmp_path: Path) -> None:
    frame = pd.DataFrame({"step": range(1, 61), "loss": [str(v) for v in LOSS], "grad_norm": 1.0})
    path = tmp_path / "log.csv"
    frame.to_csv(path, index=False)
    for source in (run_of({"loss": LOSS}), path, str(path)):
        assert [(f.code, f.first_step) for f in rldk.diagnose(source).findings][:1] == [("GRAD001", 31)]


def test_select_and_ignore_take_text_or_lists() -> None:
    run = run_of({"loss": LOSS})
    assert diagnose_run(run, select="GRAD001").checked == ("GRAD001",)
    assert diagnose_run(run, select=["GRAD001"]).to_dict() == diagnose_run(run, select="GRAD001,").to_dict()
    assert "GRAD001" not in diagnose_run(run, ignore="GRAD").checked
    with pytest.raises(UnknownName, match="GRAD999"):
        diagnose_run(run, select="GRAD999")


def test_an_unknown_preset_is_an_error() -> None:
    with pytest.raises(UnknownName, match="unknown rule preset 'strictest'"):
        rldk.diagnose(run_of({"loss": LOSS}), rules="strictest")


def test_a_preset_judges_by_its_own_rules_and_can_be_narrowed() -> None:
    run = run_of({"grad_norm_policy": [9.0], "grad_norm_value": [1.0]})
    report = rldk.diagnose(run, rules="grpo_safe")
    assert {f.code for f in report.findings} == {"grpo_safe_policy_grad_spike", "grpo_safe_grad_ratio_imbalance"}
    assert not rldk.diagnose(run, rules="grpo_safe", ignore="GRAD").findings
    assert len(rldk.diagnose(run, rules="grpo_safe", select="grpo_safe_policy_grad_spike").findings) == 1


def test_the_configuration_of_the_log_wins_over_the_callers() -> None:
    run = run_of({"grad_norm": [1.0] * 40}, config={"max_grad_norm": 1.0}, framework="trl")
    assert diagnose_run(run, config={"max_grad_norm": 9.0}) == diagnose_run(run)


def test_several_runs_are_an_error_for_one_report_and_a_list_for_all(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "trainer_state.json").write_bytes((FIXTURES / "trl-sft/trainer_state.json").read_bytes())
    with pytest.raises(UsageError, match="holds 2 runs: a, b"):
        rldk.diagnose(tmp_path)
    reports = diagnose_all(tmp_path)
    assert [r.meta["run"] for r in reports] == ["a", "b"]
    assert all(rldk.diagnose(r.meta["source"]).verdict == r.verdict for r in reports)


def test_the_report_carries_the_curves_of_its_findings() -> None:
    report = rldk.diagnose(run_of({"loss": LOSS, "grad_norm": [1.0] * 60}))
    assert {f.metric for f in report.findings} <= set(report.meta["series"])
    assert "<svg" in report._repr_html_()


def test_public_names_are_lazy_and_complete() -> None:
    assert set(rldk.__all__) <= set(dir(rldk))
    assert all(getattr(rldk, name) is not None for name in rldk.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nope'"):
        rldk.nope  # noqa: B018
