"""A training with torch that loses states when it resumes is caught, and they are named; a correct one passes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from rldk.resume import ResumeReport, check_resume

pytestmark = [pytest.mark.slow, pytest.mark.integration]
TRAINING = (Path(__file__).parents[1] / "shared" / "resumable_training.txt").read_text(encoding="utf-8")
LOST = {
    "CKPT021": "generator of torch",
    "CKPT022": "learning rate is 0.00125 instead of 0.005",
    "CKPT024": "AdamW is empty",
    "CKPT032": "scale has seen 4 values instead of 16",
    "CKPT033": "kl_ctl, is 0.2 instead of 0.2178",
    "CKPT034": "reference has other weights",
}


def _checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lose: str) -> ResumeReport:
    pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    Path("train.py").write_text(TRAINING)
    command = f"{sys.executable} train.py --out {{out}} --steps {{steps}} --lose {lose} {{resume}}"
    return check_resume(command, 3, 6, output_dir="kept")


def test_a_correct_training_passes_also_after_a_kill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = _checked(tmp_path, monkeypatch, "none")
    assert (report.passed, report.lost, report.findings) == (True, (), ())
    results = {one.name: one.result for one in report.trials}
    assert results["resumed"] == results["killed-and-resumed"] == "is the uninterrupted run"
    assert results["killed"] == "was killed in its optimizer step 5"
    assert report.checkpoint is not None
    assert report.checkpoint.inventory is not None
    assert all(report.checkpoint.inventory[kind] for kind in ("optimizer state", "schedule", "random state", "step"))


def test_all_that_was_lost_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One check for all of them; that each is told from the others is tested in test_resumed_states."""
    report = _checked(tmp_path, monkeypatch, "rng,scheduler,data,optimizer,kl,normaliser,reference,atomic")
    assert (report.passed, report.inconclusive) == (False, False)
    found = {one.code: one.message for one in report.findings}
    for code, message in LOST.items():
        assert message in found[code]
    assert found.keys() >= {"CKPT020", "CKPT028"}
    assert "CKPT027" in found, "it opens its checkpoint and writes over it"
    assert report.in_place == ("checkpoint.pt",)
