"""A training of GRPO that resumes from whole checkpoints is the same training; one that loses states is caught."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from rldk.resume import ResumeReport, check_resume

pytestmark = [pytest.mark.slow, pytest.mark.integration, pytest.mark.timeout(900)]
ROOT = Path(__file__).parents[2]
TRAINING = (ROOT / "tests" / "shared" / "resumable_grpo.txt").read_text(encoding="utf-8")


def _checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lose: str) -> ResumeReport:
    pytest.importorskip("trl")
    monkeypatch.chdir(tmp_path)
    Path("train.py").write_text(TRAINING.format(root=str(ROOT)))
    command = f"{sys.executable} train.py --out {{out}} --steps {{steps}} --lose '{lose}' {{resume}}"
    return check_resume(command, 2, 4, output_dir="kept")


def test_grpo_with_whole_checkpoints_passes_also_after_a_kill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = _checked(tmp_path, monkeypatch, "")
    assert (report.passed, report.lost, report.findings) == (True, (), ())
    results = {one.name: one.result for one in report.trials}
    assert results["resumed"] == results["killed-and-resumed"] == "is the uninterrupted run"
    assert results["killed"] == "was killed in its optimizer step 3"


def test_moments_and_generators_that_grpo_does_not_get_back_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = _checked(tmp_path, monkeypatch, "optimizer.pt rng_state.pth")
    found = {one.code: one.message for one in report.findings}
    assert not report.passed
    assert found.keys() >= {"CKPT020", "CKPT021", "CKPT024", "CKPT028"}
    assert "generator of torch" in found["CKPT021"]
    assert "AdamW is empty" in found["CKPT024"]
