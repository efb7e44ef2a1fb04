"""Trainings with torch that lose one state each when they resume: each is caught and named; a correct one passes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from rldk.resume import ResumeReport, check_resume

pytestmark = [pytest.mark.slow, pytest.mark.integration]
TRAINING = (Path(__file__).parents[1] / "shared" / "resumable_training.txt").read_text(encoding="utf-8")
LOST = {
    "rng": ("CKPT021", "random", "generator of torch"),
    "scheduler": ("CKPT022", "schedule", "learning rate is 0.00125 instead of 0.005"),
    "data": ("CKPT023", "data", "other data"),
    "optimizer": ("CKPT024", "optimizer", "AdamW is empty"),
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


@pytest.mark.parametrize("lose", LOST)
def test_a_lost_state_is_caught_and_named(lose: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, kind, message = LOST[lose]
    report = _checked(tmp_path, monkeypatch, f"{lose},atomic")
    assert not report.passed
    assert not report.inconclusive
    found = {one.code for one in report.findings}
    assert found >= {"CKPT020", "CKPT028", code}
    assert not found & {LOST[other][0] for other in LOST if other != lose}, "no other state is blamed"
    assert [one.kind for one in report.lost] == [kind]
    assert message in report.lost[0].message
    assert "CKPT027" in found, "it opens its checkpoint and writes over it"
    assert report.in_place == ("checkpoint.pt",)
