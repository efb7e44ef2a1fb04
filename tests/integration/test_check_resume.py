"""Resuming of programs without torch: what is caught by their numbers, and what ends in a clear message."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from rldk.cli.main import main
from rldk.errors import InputError, UsageError
from rldk.resume import ResumeReport, check_resume

pytestmark = pytest.mark.slow
# a training with a checkpoint in JSON; {FAULT} stands for what goes wrong
PROGRAM = """
import json, os, random, sys, time
fault, out, steps, every = sys.argv[1], sys.argv[2], int(sys.argv[3]), 0
for word in sys.argv[4:]:
    if word.startswith("every="): every = int(word[6:])
    if word.startswith("from=") and fault == "fails": raise SystemExit("cannot load " + word)
source = next((word[5:] for word in sys.argv[4:] if word.startswith("from=")), None)
random.seed(None if fault == "chance" else 3)
weight, begin = 1.0, 0
path = os.path.join(out, "model.ckpt")
def save(step):
    if fault == "draws": random.random()
    with open(path + ".part", "w") as file:
        json.dump({"weight": weight, "step": step, "random": random.getstate()}, file)
    os.replace(path + ".part", path)
if source and fault != "begins again":
    state = json.load(open(source))
    weight, begin = state["weight"], state["step"]
    if fault != "forgets": random.setstate((state["random"][0], tuple(state["random"][1]), state["random"][2]))
for step in range(begin, steps):
    weight *= 0.9 + 0.1 * random.random() + (0.01 * steps if fault == "knows its end" else 0)
    print("step", step + 1, "loss", weight, flush=True)
    if every and (step + 1) % every == 0: save(step + 1)
    time.sleep(float(os.environ.get("PAUSE", "0")))
if fault != "saves nothing": save(steps)
"""
RESUME = "from={checkpoint}"


def _check(fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: str = "", **how: Any) -> ResumeReport:
    monkeypatch.chdir(tmp_path)
    Path("train.py").write_text(PROGRAM)
    command = f"{sys.executable} -S train.py '{fault}' {{out}} {{steps}} {more} {{resume}}"
    return check_resume(command, resume=RESUME, save="every=1", output_dir="kept", **how)


def test_a_correct_program_passes_also_after_a_kill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAUSE", "0.3")
    report = _check("none", tmp_path, monkeypatch, "every=1")
    assert report.passed
    results = {one.name: one.result for one in report.trials}
    assert results["killed"] == "was killed while it ran"
    assert results["killed-and-resumed"] == "is the uninterrupted run"
    killed = next(one for one in report.trials if one.name == "killed")
    assert 5 < killed.rows < 10


def test_lost_random_state_is_seen_in_the_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = _check("forgets", tmp_path, monkeypatch)
    assert (report.passed, report.inconclusive) == (False, False)
    finding = next(one for one in report.findings if one.code == "CKPT020")
    assert (finding.first_step, finding.metric) == (6, "loss")
    assert {check.code for check in report.skipped} >= {"CKPT021", "CKPT022", "CKPT023", "CKPT024", "CKPT028"}


def test_a_run_that_begins_again_is_no_resume_although_its_numbers_are_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = _check("begins again", tmp_path, monkeypatch)
    assert not report.passed
    assert "began again with step 1" in report.verdict


def test_a_resume_that_fails_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = _check("fails", tmp_path, monkeypatch)
    assert not report.passed
    assert report.verdict.startswith("The resumed run failed: it ended with exit code 1 (cannot load from=")


def test_a_program_that_does_not_repeat_itself_is_inconclusive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = _check("chance", tmp_path, monkeypatch)
    assert (report.passed, report.inconclusive, report.findings) == (False, True, ())
    assert report.verdict.startswith("Inconclusive")


def test_saving_that_draws_changes_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = _check("draws", tmp_path, monkeypatch, "{save}")
    assert any(one.code == "CKPT026" and "saves on its way" in one.message for one in report.findings)
    assert not any(one.code == "CKPT026" for one in _check("none", tmp_path, monkeypatch, "{save}").findings)


def test_a_schedule_that_knows_the_end_is_judged_by_the_kill_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = _check("knows its end", tmp_path, monkeypatch)
    assert report.inconclusive
    assert "begins as the whole one" in next(c.reason for c in report.skipped if c.code == "CKPT020")
    monkeypatch.setenv("PAUSE", "0.3")
    assert _check("knows its end", tmp_path, monkeypatch, "every=1").passed


def test_no_checkpoint_is_no_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="wrote no checkpoint"):
        _check("saves nothing", tmp_path, monkeypatch)


HOSTILE = {
    "ends with an error": ("raise SystemExit(4)", "exit code 4"),
    "measures nothing": ("print('hello')", "ended well, but"),
    "hangs in another session": ("import os, time\nif not os.fork(): os.setsid()\ntime.sleep(99)", "time limit"),
    "writes without end": (
        "import sys\nwith open(sys.argv[1] + '/m.pt', 'wb') as f:\n  while True: f.write(bytes(1 << 20)); f.flush()",
        "wrote more than",
    ),
}


@pytest.mark.parametrize("how", HOSTILE)
def test_a_hostile_command_ends_in_one_clear_message(how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text, message = HOSTILE[how]
    Path("bad.py").write_text(text)
    limits: dict[str, Any] = {"timeout": 2.0} if "hangs" in how else {"max_output_gib": 0.05}
    with pytest.raises(InputError, match=message):
        check_resume(f"{sys.executable} -S bad.py {{out}} {{steps}} {{resume}}", output_dir="kept", **limits)


def test_wrong_calls_are_refused_before_anything_runs() -> None:
    for command in ("python train.py", "python train.py {out} {steps}", "python train.py {out} {resume}", ""):
        with pytest.raises(UsageError):
            check_resume(command)
    with pytest.raises(UsageError, match="cannot be stopped at step 10"):
        check_resume("python train.py {out} {steps} {resume}", 10, 10)
    with pytest.raises(UsageError, match="no-such-program"):
        check_resume("no-such-program {out} {steps} {resume}")


def test_the_command_gives_codes_and_documents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("train.py").write_text(PROGRAM)
    words = ["check-resume", "--resume", RESUME, "--output-dir", "kept", "--cmd"]
    start = f"{sys.executable} -S train.py"
    fine = CliRunner().invoke(main, [*words, f"{start} none {{out}} {{steps}} {{resume}}", "--json"])
    assert fine.exit_code == 0, fine.output
    report = ResumeReport.from_dict(json.loads(fine.stdout))
    assert isinstance(report, ResumeReport)
    assert report.passed
    lost = CliRunner().invoke(main, [*words, f"{start} forgets {{out}} {{steps}} {{resume}}", "--format", "junit"])
    assert (lost.exit_code, lost.stdout.count("<failure")) == (1, 1)
    unsure = CliRunner().invoke(main, [*words, f"{start} chance {{out}} {{steps}} {{resume}}", "--gate"])
    assert unsure.exit_code == 0
    assert unsure.stdout.startswith("Inconclusive")
