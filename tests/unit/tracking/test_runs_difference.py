"""`rldk runs diff`: what decides results first, and what only one run records is not compared."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from recorded_runs import Project, make_project, record_run, safetensors

from rldk.cli.main import main
from rldk.core.manifest import Manifest, write_manifest
from rldk.errors import UnreadableSource
from rldk.tracking import diff_runs


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Project, Path]:
    """A run, and a copy of it that may be changed."""
    project = make_project(tmp_path)
    return project, Path(shutil.copytree(project.run, tmp_path / "b"))


def edit(run: Path, **changes: Any) -> None:
    file = run / "run.json"
    said = json.loads(file.read_text())
    for key, value in changes.items():
        said[key] = said.get(key, {}) | value if isinstance(value, dict) else value
    file.write_text(json.dumps(said))


def test_two_equal_runs_are_the_same(pair: tuple[Project, Path]) -> None:
    project, other = pair
    found = diff_runs(project.run, other)
    assert found.passed
    assert found.differences == ()
    assert found.verdict == "The runs are the same in data, seed, code, config, packages, models, environment, rest."


def test_the_suspicious_differences_come_first(pair: tuple[Project, Path]) -> None:
    project, other = pair
    lines = project.data.read_text().replace('"n": 17', '"n": 71')
    project.data.write_text(lines)
    project.weights.write_bytes(safetensors({"emb": [0.5] * 32, "head": [float(i) for i in range(15, -1, -1)]}))
    (project.root / "train.py").write_text("LR = 1\n")
    record_run(project, seed=4)
    edit(other, command=["python", "train.py", "--fast"], environment={"python": "3.12.0"})
    edit(other, packages={"numpy": "2.1.0", "abc": "1", "torch": "2.2"}, config={"lr": 0.01})
    found = diff_runs(other, project.run)
    groups = [one.group for one in found.differences]
    assert list(dict.fromkeys(groups)) == [
        "data", "seed", "code", "config", "packages", "models", "environment", "rest"]  # fmt: skip
    assert found.differences[0].note == "1 changed (row 17 first)"
    assert [(one.name, one.before, one.after) for one in found.differences if one.group == "packages"] == [
        ("numpy", "2.1.0", "2.0.0"), ("torch", "2.2", "(none)"), ("abc", "1", "(none)")]  # fmt: skip
    (model,) = [one for one in found.differences if one.group == "models"]
    assert model.note == "the same architecture, 1 of 2 tensors differ"
    assert [one.name for one in found.differences if one.group == "code"] == ["changes"]


def test_nested_configuration_is_named_by_its_path(pair: tuple[Project, Path]) -> None:
    project, other = pair
    edit(other, config={"model": {"layers": 3, "new": True}, "lr": 0.03})
    found = diff_runs(project.run, other)
    assert [(one.name, one.before, one.after) for one in found.differences] == [
        ("model.layers", "2", "3"), ("model.new", "(none)", "true")]  # fmt: skip


def test_states_of_generators_are_compared_where_the_seeds_are_the_same(pair: tuple[Project, Path]) -> None:
    project, other = pair
    edit(project.run, seeds={"seed": 3, "digests": {"numpy": "aa"}, "advice": ["x"]})
    edit(other, seeds={"seed": 3, "digests": {"numpy": "bb"}})
    assert [one.name for one in diff_runs(project.run, other).differences] == ["digests.numpy"]
    edit(other, seed=4)
    assert [one.name for one in diff_runs(project.run, other).differences] == ["seed"]


def test_what_one_run_does_not_record_is_not_compared(pair: tuple[Project, Path], tmp_path: Path) -> None:
    project, _ = pair
    bare = tmp_path / "bare"
    bare.mkdir()
    write_manifest(bare, Manifest(run_id="bare", config={"lr": 0.03, "model": {"layers": 2}}))
    found = diff_runs(project.run, bare)
    assert found.checked == ("config",)
    assert {check.name: check.reason for check in found.skipped}["data"] == f"needs what {bare} does not record"
    write_manifest(bare, Manifest(run_id="bare"))
    nothing = diff_runs(bare, bare)
    assert (nothing.passed, nothing.checked) == (False, ())


def test_no_secret_is_shown(pair: tuple[Project, Path]) -> None:
    project, other = pair
    edit(project.run, config={"api_key": "hunter2hunter2"})
    edit(other, config={"api_key": "hunter3hunter3"})
    result = CliRunner().invoke(main, ["runs", "diff", str(project.run), str(other), "--json"])
    assert "hunter" not in result.output


def test_the_command_shows_it_in_every_form(pair: tuple[Project, Path], tmp_path: Path) -> None:
    project, other = pair
    words = ["runs", "diff", str(project.run), str(other)]
    assert CliRunner().invoke(main, words).exit_code == 0
    edit(other, seed=9, notes="later")
    shown = CliRunner().invoke(main, words)
    assert shown.exit_code == 1
    assert "Seed (1)" in shown.output
    assert "Look at seed first" in shown.output
    document = json.loads(CliRunner().invoke(main, [*words, "--json"]).output)
    assert document["differences"] == [{"group": "seed", "name": "seed", "before": "3", "after": "9", "note": ""}]
    page = tmp_path / "x.html"
    assert CliRunner().invoke(main, [*words, "-o", str(page)]).exit_code == 1
    assert "Look at seed first" in page.read_text()


def test_a_name_is_looked_up_among_the_runs(
    pair: tuple[Project, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RLDK_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path / "project")
    assert CliRunner().invoke(main, ["runs", "diff", "run", "b"]).exit_code == 0
    with pytest.raises(UnreadableSource, match="no run is called 'c'"):
        diff_runs("run", "c", root=tmp_path)
