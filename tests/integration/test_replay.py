"""Replays of real runs: from the recorded commit with its changes, and what ends in a clear message."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from msgspec.structs import replace
from small_wheel import small_wheel
from tracked_project import COMMAND, TrackedProject, digest_of_tree, tracked_project

from rldk.cli.main import main
from rldk.core.manifest import Manifest, read_manifest, write_manifest
from rldk.errors import InputError, UnknownName, UsageError
from rldk.replay import ReplayReport, replay

pytestmark = pytest.mark.slow


@pytest.fixture
def project(tmp_path: Path) -> TrackedProject:
    return tracked_project(tmp_path)


def test_a_run_is_replayed_from_its_commit_with_the_changes(project: TrackedProject, tmp_path: Path) -> None:
    (project.root / "scale.py").write_text("SCALE = 100.0\n")  # what is there now does not count
    (project.root / "factor.py").unlink()
    before = digest_of_tree(project.root)
    report = replay(project.run, COMMAND, tolerance=0.0, output_dir=tmp_path / "out")
    assert (report.passed, report.classification, report.numbers["steps"]) == (True, "bitwise", 12)
    assert (report.original_seed, report.replay_seed) == (7, 7)
    assert set(report.metrics_compared) == {"loss", "reward_mean"}
    assert report.original_metrics == report.replay_metrics
    assert [(one.name, one.status) for one in report.inputs] == [("train", "passed")]
    assert digest_of_tree(project.root) == before
    assert not list((tmp_path / "out").rglob("train.py")), "the work tree is removed"


def test_another_seed_differs_and_says_from_where_on(project: TrackedProject, tmp_path: Path) -> None:
    report = replay(project.run, COMMAND, "loss", seed=8, output_dir=tmp_path / "out")
    assert (report.passed, report.classification) == (False, "input-level")
    assert [(one.code, one.severity) for one in report.findings] == [("DET080", "critical")]
    assert report.mismatches[0].step == 0
    assert any("seed 8" in note.text for note in report.notes)


def test_fewer_steps_are_compared_when_asked(project: TrackedProject, tmp_path: Path) -> None:
    report = replay(project.run, COMMAND + " {steps}", "loss", 0.0, 5, output_dir=tmp_path / "out")
    assert (report.passed, report.numbers["steps"]) == (True, 5)
    assert report.original_metrics["step"] == [0, 1, 2, 3, 4]


def test_changed_data_is_no_difference_but_no_replay(project: TrackedProject, tmp_path: Path) -> None:
    (project.root / "data.csv").write_text("x\n1.0\n")
    with pytest.raises(InputError, match="could not replay: data train"):
        replay(project.run, COMMAND, output_dir=tmp_path / "out")
    report = replay(project.run, COMMAND, changed_inputs=True, output_dir=tmp_path / "out")
    assert not report.passed
    assert {one.code for one in report.findings} == {"DET080", "DET082"}
    assert "Before the program is blamed" in report.verdict


def test_packages_that_differ_are_named_and_pass(tmp_path: Path) -> None:
    project = tracked_project(tmp_path, packages={"click": "0.0.1", "no-such-thing": "2.0"})
    report = replay(project.run, COMMAND, tolerance=0.0, output_dir=tmp_path / "out")
    assert report.passed
    drift = {one.name: (one.locked, one.now) for one in report.drift}
    assert drift["click"][0] == "0.0.1"
    assert drift["no-such-thing"] == ("2.0", None)
    assert [one.code for one in report.findings] == ["DET081"]


def test_a_commit_that_is_nowhere_is_no_replay(project: TrackedProject, tmp_path: Path) -> None:
    manifest = read_manifest(project.run)
    assert manifest is not None
    assert manifest.git is not None
    write_manifest(project.run, replace(manifest, git=replace(manifest.git, sha="1" * 40)))
    with pytest.raises(InputError, match="no repository that has the commit 1111"):
        replay(project.run, COMMAND, output_dir=tmp_path / "out")


def test_changes_that_were_tampered_with_are_no_replay(project: TrackedProject, tmp_path: Path) -> None:
    patch = project.run / "changes.diff"
    patch.write_text(patch.read_text().replace("2.0", "9.0"))
    with pytest.raises(InputError, match="is not what was recorded"):
        replay(project.run, COMMAND, output_dir=tmp_path / "out")


HOSTILE = {
    "fails": ("raise SystemExit(9)", "exit code 9"),
    "measures nothing": ("print('hello')", "ended well, but"),
    "hangs": ("import time\ntime.sleep(99)", "time limit"),
    "writes without end": (
        "import sys\nwith open(sys.argv[1] + '/big', 'wb') as f:\n  while True: f.write(bytes(1 << 20)); f.flush()",
        "wrote more than",
    ),
}


@pytest.mark.parametrize("how", HOSTILE)
def test_a_hostile_command_could_not_be_replayed(how: str, project: TrackedProject, tmp_path: Path) -> None:
    text, message = HOSTILE[how]
    (tmp_path / "bad.py").write_text(text)
    limits: dict[str, Any] = {"timeout": 2.0} if how == "hangs" else {"max_output_gib": 0.05}
    with pytest.raises(InputError, match=f"could not replay: .*{message}"):
        replay(project.run, f"{sys.executable} -S {tmp_path}/bad.py {{out}}", output_dir=tmp_path / "out", **limits)


def test_wrong_arguments_are_refused_before_anything_runs(project: TrackedProject) -> None:
    with pytest.raises(UsageError, match="would write into the original"):
        replay(project.run)  # the recorded command
    with pytest.raises(UsageError, match="no-such-program"):
        replay(project.run, "no-such-program {seed}")
    with pytest.raises(UnknownName, match="los"):
        replay(project.run, COMMAND, "los")
    with pytest.raises(UsageError, match="tolerance"):
        replay(project.run, COMMAND, tolerance=-1.0)


def test_without_a_record_it_runs_where_we_are_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("old.jsonl").write_text("".join(json.dumps({"step": s, "loss": 1 / (s + 1)}) + "\n" for s in range(5)))
    program = "for s in range(5): print('step', s, 'loss', 1 / (s + 1))"
    report = replay("old.jsonl", [sys.executable, "-S", "-c", program], output_dir="out")
    assert (report.passed, report.classification) == (True, "bitwise")
    assert "nobody can vouch" in report.not_vouched[0]
    assert "nobody can vouch" in report.view().reserve
    assert {check.code for check in report.skipped} >= {"DET081", "DET083"}


def test_a_package_installed_as_a_folder_is_imported_from_the_recorded_commit(tmp_path: Path) -> None:
    """The trap of editable installs: the work tree must not train with the code of the repository."""
    project = tracked_project(tmp_path)
    place = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True)
    site = next((place / "lib").glob("python*/site-packages"))
    (site / "project.pth").write_text(f"{project.root}\n")
    (tmp_path / "elsewhere.py").write_text((project.root / "train.py").read_text())
    (project.root / "scale.py").write_text("SCALE = 100.0\n")
    report = replay(
        project.run,
        f"{place}/bin/python {tmp_path}/elsewhere.py {{seed}} {{out}}",
        tolerance=0.0,
        output_dir=tmp_path / "out",
    )
    assert (report.passed, report.classification) == (True, "bitwise")


def test_the_command_gives_codes_and_documents(project: TrackedProject, tmp_path: Path) -> None:
    words = ["replay", str(project.run), "--command", COMMAND, "--output-dir", str(tmp_path / "out")]
    fine = CliRunner().invoke(main, [*words, "--json"])
    assert fine.exit_code == 0
    found = ReplayReport.from_dict(json.loads(fine.stdout))
    assert isinstance(found, ReplayReport)
    assert found.passed
    differs = CliRunner().invoke(main, [*words, "--seed", "8", "--gate", "--format", "junit"])
    assert (differs.exit_code, differs.stdout.count("<failure")) == (1, 1)
    text = CliRunner().invoke(main, [*words, "--seed", "8"]).stdout
    assert "First difference: " in text
    kept = ReplayReport.from_dict(json.loads((tmp_path / "out" / "replay_report.json").read_text()))
    assert not kept.passed
    assert CliRunner().invoke(main, ["replay"]).exit_code == 2
    assert CliRunner().invoke(main, ["replay", str(tmp_path / "none"), "--command", "true"]).exit_code == 3


def test_the_recorded_packages_are_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "wheels").mkdir()
    for version, value in (("1.0", 0.25), ("2.0", 9.0)):
        small_wheel(tmp_path / "wheels", version, f"KL = {value}\n")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "run"
    run.mkdir()
    (run / "metrics.jsonl").write_text("".join(json.dumps({"step": s, "kl": 0.25}) + "\n" for s in range(5)))
    python = ".".join(map(str, sys.version_info[:3]))
    write_manifest(run, Manifest(run_id="run", packages={"tinything": "1.0"}, environment={"python": python}))
    program = "import tinything\nfor s in range(5): print('step', s, 'kl', tinything.KL)"
    report = replay(run, [sys.executable, "-c", program], build_env=True, output_dir="out")
    assert (report.passed, report.drift) == (True, ())
    write_manifest(run, Manifest(run_id="run", packages={"tinything": "3.0"}, environment={"python": python}))
    with pytest.raises(InputError, match="cannot be built"):
        replay(run, [sys.executable, "-c", program], build_env=True, output_dir="out")
