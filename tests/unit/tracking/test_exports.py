"""`rldk export`: what is written, the same bytes for the same run, and no secret and no foreign path in it."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from recorded_runs import Project, git, make_project

from rldk.adapters.open import open_runs
from rldk.cli.main import main
from rldk.cli.recording.export import NAMES
from rldk.errors import MalformedInput, OutputError, UnknownName, UnreadableSource, UsageError
from rldk.tracking.exports import FORMATS, ExportChoice, croissant, export_run


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path)


def export(project: Project, output: Path, form: str, **choice: Any) -> Any:
    """The JSON that was written, or the names and contents of the archive."""
    export_run(project.run, output, form=form, choice=ExportChoice(repository=project.root, **choice))
    if not zipfile.is_zipfile(output):
        return json.loads(output.read_text())
    with zipfile.ZipFile(output) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def edit(made: Project, **changes: object) -> None:
    file = made.run / "run.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def test_the_command_knows_every_format() -> None:
    assert tuple(FORMATS) == NAMES


@pytest.mark.parametrize("form", FORMATS)
def test_the_same_run_gives_the_same_bytes(project: Project, tmp_path: Path, form: str) -> None:
    export(project, tmp_path / "a", form)
    for path in project.run.rglob("*"):
        if path.is_file():
            path.touch()
    export(project, tmp_path / "b", form)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_what_was_printed_and_links_are_left_out_of_every_archive(project: Project, tmp_path: Path) -> None:
    (project.run / "stdout.txt").write_text("token=hunter2hunter2")
    (project.run / "link").symlink_to("/etc/passwd")
    for form in ("bundle", "ro-crate", "mlflow"):
        files = export(project, tmp_path / form, form)
        assert b"hunter2" not in b"".join(files.values())
        assert not [name for name in files if name.endswith(("stdout.txt", "link"))]
    result = CliRunner().invoke(main, ["export", str(project.run), "--format", "bundle", "--repo", str(project.root),
                                       "-o", str(tmp_path / "x.zip"), "--json"])  # fmt: skip
    assert (result.exit_code, json.loads(result.output)["left_out"][0]["what"]) == (0, "run/stdout.txt")


def test_a_statement_names_files_data_and_code_by_their_digests(project: Project, tmp_path: Path) -> None:
    said = export(project, tmp_path / "x", "in-toto")
    assert {one["name"] for one in said["subject"]} >= {"run/run.json", "run/metrics.jsonl", "run/models/policy"}
    code, data, tokenizer = said["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert code["digest"]["gitCommit"] == git(project.root, "rev-parse", "HEAD").decode().strip()
    assert list(data["digest"]) == ["rldkRecords_sha256"]  # of its content: no plain sha256 of a file
    assert list(tokenizer["digest"]) == ["rldkTokenizer_sha256"]
    assert said["predicate"]["buildDefinition"]["externalParameters"]["seed"] == 3


def test_a_crate_lists_each_file_once_and_every_reference_leads_somewhere(project: Project, tmp_path: Path) -> None:
    files = export(project, tmp_path / "x", "ro-crate")
    graph = json.loads(files["ro-crate-metadata.json"])["@graph"]
    names = [node["@id"] for node in graph]
    assert len(names) == len(set(names))
    assert {one["name"] for one in graph if one["@type"] == "File"} == {
        name.removeprefix("run/") for name in files if name.startswith("run/")}  # fmt: skip
    assert set(_references(graph)) - {"https://w3id.org/ro/crate/1.1"} <= set(names)


def _references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["@id"]] if set(value) == {"@id"} else []
        return own + [one for part in value.values() for one in _references(part)]
    return [one for part in value for one in _references(part)] if isinstance(value, list) else []


def test_our_own_reader_of_mlflow_reads_the_store(project: Project, tmp_path: Path) -> None:
    export(project, tmp_path / "x.zip", "mlflow")
    with zipfile.ZipFile(tmp_path / "x.zip") as archive:
        archive.extractall(tmp_path / "store")
    (run,) = open_runs(tmp_path / "store" / "mlruns")
    assert run.metrics.columns["reward"].tolist() == [0.5, 0.75]
    assert run.meta.config["model.layers"] == 2


def test_a_setting_of_mlflow_has_at_most_seventeen_names(project: Project, tmp_path: Path) -> None:
    """What lies deeper is a JSON text."""
    nested: dict[str, Any] = {"k": 1}
    for _ in range(16):
        nested = {"k": nested}
    edit(project, config={"deep": nested, "flat": nested["k"]})
    names = [name.split("/params/")[1] for name in export(project, tmp_path / "x.zip", "mlflow") if "/params/" in name]
    assert sorted(names) == ["deep" + ".k" * 16, "flat" + ".k" * 16]
    with zipfile.ZipFile(tmp_path / "x.zip") as archive:
        texts = {n.split("/params/")[1]: archive.read(n).decode() for n in archive.namelist() if "/params/" in n}
    assert (texts["deep" + ".k" * 16], texts["flat" + ".k" * 16]) == ('{"k": 1}', "1")


@pytest.mark.parametrize(
    ("remote", "said"),
    [
        ("https://example.org/a.git", "https://example.org/a.git"), ("http://example.org/a", "http://example.org/a"),
        ("git@example.org:a.git", None), ("/srv/a.git", None), (None, None),
    ],
)  # fmt: skip
def test_a_crate_names_the_repository_that_anybody_can_reach(
    project: Project, tmp_path: Path, remote: str | None, said: str | None
) -> None:
    git = json.loads((project.run / "run.json").read_text())["git"]
    edit(project, git={**git, "remote": remote})
    graph = json.loads(export(project, tmp_path / "x", "ro-crate")["ro-crate-metadata.json"])["@graph"]
    (code,) = [node for node in graph if node["@id"] == "#code"]
    assert (code.get("codeRepository"), code["version"]) == (said, git["sha"])


def test_a_hostile_name_stays_inside_of_the_store(project: Project, tmp_path: Path) -> None:
    edit(project, config={"../../x": 1, "/etc/y": 2, "..": 3, "": 4}, run_id="../../z", project="..")
    (project.run / "metrics.jsonl").write_text('{"step": 1, "../../../reward": 0.5, "kl": 0.1}\n')
    for name in export(project, tmp_path / "x.zip", "mlflow"):
        assert ".." not in name.split("/")
        assert name.startswith("mlruns/")


def test_the_default_name_of_the_file_is_a_plain_one(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    edit(project, run_id="../../z y")
    assert export_run(project.run, form="in-toto").path == "z-y.intoto.json"
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["z-y.intoto.json"]


def test_croissant_describes_columns_of_each_kind(project: Project, tmp_path: Path) -> None:
    said = export(project, tmp_path / "x", "croissant")
    (file,) = said["distribution"]
    assert (file["name"], len(file["sha256"])) == ("train.jsonl", 64)
    fields = {one["name"]: one["dataType"] for one in said["recordSet"][0]["field"]}
    assert fields == {"prompt": "sc:Text", "n": "sc:Integer"}


def test_croissant_refuses_data_that_has_changed_or_is_gone(project: Project, tmp_path: Path) -> None:
    moved = project.data.rename(tmp_path / "moved.jsonl")
    with pytest.raises(UnreadableSource, match="is not at"):
        export(project, tmp_path / "x", "croissant")
    assert export(project, tmp_path / "x", "croissant", places={"train": moved})["name"] == "train"
    moved.write_text('{"prompt": "p"}\n')
    with pytest.raises(MalformedInput, match="is not the dataset train"):
        export(project, tmp_path / "x", "croissant", places={"train": moved})
    with pytest.raises(UnknownName, match="trian"):
        export(project, tmp_path / "x", "croissant", dataset="trian")


def test_a_bundle_without_the_commit_says_so_and_fails(project: Project, tmp_path: Path) -> None:
    words = ["export", str(project.run), "--format", "bundle", "--repo", str(tmp_path), "-o", str(tmp_path / "x.zip")]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 1
    assert "no repository that has it was found" in " ".join(result.output.split())


def test_a_file_inside_of_the_run_or_that_cannot_be_written_is_refused(project: Project, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="inside of the run"):
        export_run(project.run, project.run / "x.zip")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        export_run(project.run, tmp_path / "file" / "x.zip")
    with pytest.raises(UnknownName):
        export_run(project.run, tmp_path / "x", form="bundel")
    with pytest.raises(UnreadableSource):
        export_run(tmp_path / "nowhere", tmp_path / "x")


def test_a_dataset_of_too_many_files_is_not_described(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
    monkeypatch.setattr(croissant, "MAX_FILES", 2)
    assert [one["name"] for one in croissant._files(tmp_path)] == ["a", "b"]
    monkeypatch.setattr(croissant, "MAX_FILES", 1)
    with pytest.raises(UsageError, match="more than 1 files"):
        croissant._files(tmp_path)
