"""`rldk verify`: any one changed byte is named, and what cannot be checked is no pass."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from examples import few
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from recorded_runs import Project, git, make_project, safetensors

from rldk.cli.main import main
from rldk.core.audit.outcome import CheckOutcome
from rldk.errors import UnknownName, UnreadableSource
from rldk.tracking.outcome import VerificationReport
from rldk.tracking.verification import verify_run


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return make_project(tmp_path_factory.mktemp("project"))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path)


def check(project: Project, **how: object) -> VerificationReport:
    return verify_run(project.run, repository=project.root, **how)  # type: ignore[arg-type]


def named(report: VerificationReport) -> str:
    return " ".join(" ".join((one.name, one.message, *one.places)) for one in report.outcomes if one.status == "failed")


def outcome(report: VerificationReport, name: str) -> CheckOutcome:
    return next(one for one in report.outcomes if one.name == name)


def test_an_unchanged_run_passes(original: Project) -> None:
    report = check(original)
    assert report.passed, named(report)
    assert [(one.part, one.name, one.status) for one in report.outcomes] == [
        ("data", "train", "passed"),
        ("weights", "policy", "passed"),
        ("tokenizer", "tok", "passed"),
        ("code", "changes", "passed"),
        ("code", "kept files", "passed"),
        ("code", "commit", "passed"),
        ("code", "work tree", "passed"),
    ]


@pytest.mark.slow
@settings(max_examples=few(40), suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_any_flipped_byte_is_named(original: Project, data: st.DataObject) -> None:
    files = original.files
    name = data.draw(st.sampled_from(sorted(files)))
    path = files[name]
    before = path.read_bytes()
    at, bit = data.draw(st.integers(0, len(before) - 1)), data.draw(st.integers(0, 7))
    after = bytearray(before)
    after[at] ^= 1 << bit
    try:
        path.write_bytes(after)
        report = check(original)
    finally:
        path.write_bytes(before)
    if path == original.data and _same_rows(before, bytes(after)):
        return  # spaces between the words of JSON are no content
    assert not report.passed
    assert path.name in named(report)


def _same_rows(before: bytes, after: bytes) -> bool:
    try:
        one, other = ([msgspec.json.decode(line) for line in data.splitlines()] for data in (before, after))
    except msgspec.DecodeError:
        return False
    return one == other


def test_the_changed_row_is_named(project: Project) -> None:
    project.data.write_bytes(project.data.read_bytes().replace(b'"n": 17', b'"n": 71'))
    found = outcome(check(project), "train")
    assert (found.places, "rows before" in found.message) == (("row 17 was changed",), False)
    lines = project.data.read_text().splitlines(keepends=True)
    project.data.write_text("".join(lines[:5] + lines[6:]))
    found = outcome(check(project), "train")
    assert "row 5 is gone" in found.places
    assert f"({len(lines):,} rows before, {len(lines) - 1:,} now)" in found.message


def test_the_changed_tensor_is_named_with_its_range(project: Project) -> None:
    values = [float(i) for i in range(16)]
    values[3] = 3.5
    project.weights.write_bytes(safetensors({"emb": [0.5] * 32, "head": values}))
    assert outcome(check(project), "policy").places == ("head was changed within elements 0 to 15",)


def test_the_changed_part_of_a_tokenizer_is_named(project: Project) -> None:
    file = project.tokenizer / "tokenizer.json"
    file.write_text(file.read_text().replace('"b": 2', '"c": 2'))
    assert "vocabulary" in outcome(check(project), "tok").places


@pytest.mark.parametrize("name", ["changes.diff", "untracked/notes with space.txt"])
def test_what_the_run_keeps_is_checked_too(project: Project, name: str) -> None:
    path = project.run / name
    path.write_bytes(path.read_bytes().replace(b"e", b"3", 1))
    report = check(project, work_tree=False)
    assert not report.passed
    assert name.rpartition("/")[2] in named(report)
    path.unlink()
    assert not check(project, work_tree=False).passed


def test_a_commit_that_lacks_an_object_fails(project: Project) -> None:
    blob = git(project.root, "rev-parse", "HEAD:pkg/model.py").decode().strip()
    (project.root / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    report = check(project, work_tree=False)
    assert "pkg/model.py" in named(report)


def test_recorded_leaves_the_work_tree_alone(project: Project) -> None:
    (project.root / "train.py").write_text("later\n")
    assert check(project, work_tree=False).passed
    report = check(project)
    assert outcome(report, "work tree").places == ("train.py was changed",)
    (project.root / "run.sh").unlink()
    assert outcome(check(project), "work tree").places == ("run.sh is gone", "train.py was changed")


def test_line_ends_of_a_check_out_are_no_change(project: Project) -> None:
    path = project.root / "pkg" / "model.py"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert check(project).passed


def test_what_is_not_there_is_not_checked(project: Project, tmp_path: Path) -> None:
    moved = project.data.rename(tmp_path / "moved.jsonl")
    report = check(project)
    assert report.passed
    assert outcome(report, "train").status == "not_checked"
    assert "--at train=PATH" in outcome(report, "train").message
    assert outcome(check(project, places={"train": moved}), "train").status == "passed"
    away = verify_run(project.run, repository=tmp_path)
    assert "needs a repository with the commit" in outcome(away, "commit").message
    with pytest.raises(UnknownName, match="trian"):
        check(project, places={"trian": moved})


def test_relative_paths_are_those_of_the_folder_that_the_run_was_started_in(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = project.run / "run.json"
    said = json.loads(file.read_text()) | {"cwd": str(project.data.parent)}
    said["datasets"]["train"]["source"] = project.data.name
    file.write_text(json.dumps(said))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert outcome(check(project), "train").status == "passed"
    assert outcome(check(project, root=tmp_path / "elsewhere"), "train").status == "not_checked"
    file.write_text(json.dumps(said | {"cwd": "data"}))
    assert outcome(check(project), "train").status == "not_checked"


def test_nothing_checked_is_no_pass(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"schema_version": 1, "run_id": "x"}')
    report = verify_run(tmp_path)
    assert not report.passed
    assert report.verdict == "Nothing was verified. 1 thing could not be checked."
    with pytest.raises(UnreadableSource, match=r"no run\.json"):
        verify_run(tmp_path / "nowhere")


HOSTILE = [
    ("git", {"sha": "--output=/tmp/pwned"}),
    ("git", {"sha": "HEAD"}),
    ("git", {"sha": "a" * 40, "diff": "../../etc/passwd", "diff_digest": "sha256:00"}),
    ("git", {"sha": "a" * 40, "diff": "/etc/passwd", "diff_digest": "sha256:00"}),
    ("git", {"untracked": [{"path": "../x", "bytes": 1, "kept": True, "digest": "sha256:00"}]}),
    ("git", {"untracked": [{"path": "a/.git/hooks/x", "bytes": 1, "kept": True, "digest": "sha256:00"}]}),
]


@pytest.mark.parametrize(("key", "value"), HOSTILE)
def test_a_hostile_record_of_code_fails(project: Project, key: str, value: dict[str, object]) -> None:
    file = project.run / "run.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {key: value}))
    assert not check(project).passed


@pytest.mark.parametrize(
    ("group", "name", "field", "value"),
    [
        ("datasets", "train", "fingerprint", "no digest"),
        ("datasets", "train", "rows_file", "../../train.jsonl"),
        ("models", "policy", "tensors_file", "/etc/passwd"),
    ],
)
def test_a_hostile_record_of_a_thing_is_refused(
    project: Project, group: str, name: str, field: str, value: str
) -> None:
    file = project.run / "run.json"
    said = json.loads(file.read_text())
    said[group][name][field] = value
    file.write_text(json.dumps(said))
    project.data.write_text('{"other": 1}\n')
    project.weights.write_bytes(safetensors({"emb": [1.5]}))
    assert outcome(check(project), name).status == "failed"


def test_a_pipe_is_not_waited_for(project: Project, tmp_path: Path) -> None:
    import os

    project.data.unlink()
    os.mkfifo(project.data)
    assert outcome(check(project), "train").status == "not_checked"


def test_tied_weights_that_a_file_has_once_are_no_change(project: Project) -> None:
    file = project.run / "models" / "policy.tensors.json"
    said = json.loads(file.read_text())
    said["tensors"]["tied"] = said["tensors"]["emb"]
    file.write_text(json.dumps(said))
    run = json.loads((project.run / "run.json").read_text())
    run["models"]["policy"]["weights"] = "sha256:" + "0" * 64
    (project.run / "run.json").write_text(json.dumps(run))
    assert outcome(check(project), "policy").status == "passed"


@pytest.mark.slow
def test_the_command_says_what_changed_and_fails(project: Project) -> None:
    words = ["verify", str(project.run), "--repo", str(project.root)]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    assert "7 things verified" in result.output
    project.data.write_bytes(project.data.read_bytes().replace(b'"n": 17', b'"n": 71'))
    shown = CliRunner().invoke(main, [*words, "--no-color"])
    assert shown.exit_code == 1
    assert "row 17 was changed" in shown.output
    document = json.loads(CliRunner().invoke(main, [*words, "--json"]).output)
    assert (document["passed"], document["numbers"]["failed"]) == (False, 1)
    assert "VERIFY-DATA" in CliRunner().invoke(main, [*words, "--format", "github"]).output


def test_strict_fails_on_what_could_not_be_checked(project: Project) -> None:
    shutil.rmtree(project.tokenizer)
    words = ["verify", str(project.run), "--repo", str(project.root)]
    assert CliRunner().invoke(main, words).exit_code == 0
    assert CliRunner().invoke(main, [*words, "--strict"]).exit_code == 1
    assert CliRunner().invoke(main, [*words, "--at", "tok"]).exit_code == 2


def test_a_run_is_found_by_its_name(project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RLDK_DIR", str(tmp_path))
    monkeypatch.chdir(project.root)
    assert CliRunner().invoke(main, ["verify", "run"]).exit_code == 0
    assert CliRunner().invoke(main, ["verify", "no-such-run"]).exit_code == 3


def test_a_kept_digest_that_does_not_belong_to_its_leaves_is_a_failure(project: Project) -> None:
    file = project.run / "models" / "policy.tensors.json"
    said = json.loads(file.read_text())
    said["tensors"]["head"]["digest"] = "0" * 64
    file.write_text(json.dumps(said))
    run = json.loads((project.run / "run.json").read_text())
    run["models"]["policy"]["weights"] = "sha256:" + "0" * 64
    (project.run / "run.json").write_text(json.dumps(run))
    assert outcome(check(project), "policy").places == ("head was changed",)
