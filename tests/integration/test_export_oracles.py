"""What `rldk export` writes, judged by the tools of those who defined the formats."""

from __future__ import annotations

import itertools
import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest
from recorded_runs import Project, make_project

from rldk.tracking.exports import ExportChoice, export_run

pytestmark = [pytest.mark.integration, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return make_project(tmp_path_factory.mktemp("project"))


def write(project: Project, output: Path, form: str) -> Path:
    export_run(project.run, output, form=form, choice=ExportChoice(repository=project.root))
    return output


def test_mlcroissant_takes_the_description_and_reads_the_rows(project: Project, tmp_path: Path) -> None:
    mlc = pytest.importorskip("mlcroissant")
    shutil.copy(project.data, tmp_path / "train.jsonl")
    dataset = mlc.Dataset(write(project, tmp_path / "train.croissant.json", "croissant"))
    rows = list(itertools.islice(dataset.records("rows"), 3))
    assert [(row["rows/prompt"], row["rows/n"]) for row in rows] == [(b"p0", 0), (b"p1", 1), (b"p2", 2)]
    (tmp_path / "train.jsonl").write_bytes(project.data.read_bytes()[:-1] + b" \n")
    broken = mlc.Dataset(tmp_path / "train.croissant.json")
    with pytest.raises(mlc.GenerationError, match="Download"):  # the hash differs
        list(broken.records("rows"))


def test_in_toto_takes_the_statement_and_slsa_its_predicate(project: Project, tmp_path: Path) -> None:
    pytest.importorskip("in_toto_attestation")
    from google.protobuf.json_format import ParseDict
    from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
    from in_toto_attestation.v1.statement import Statement
    from in_toto_attestation.v1.statement_pb2 import Statement as Message

    said = json.loads(write(project, tmp_path / "x.json", "in-toto").read_text())
    Statement.copy_from_pb(ParseDict(said, Message())).validate()  # unknown fields are errors
    provenance = ParseDict(said["predicate"], provenance_pb2.Provenance())
    code = provenance.build_definition.resolved_dependencies[0]
    assert code.uri == f"git+https://example.org/sums.git@{code.digest['gitCommit']}"
    assert provenance.run_details.metadata.started_on.ToJsonString() == "2026-01-01T00:00:00Z"


def test_mlflow_opens_the_store(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlflow")
    from mlflow.tracking import MlflowClient

    with zipfile.ZipFile(write(project, tmp_path / "x.zip", "mlflow")) as archive:
        archive.extractall(tmp_path / "store")
    monkeypatch.chdir(tmp_path / "store")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    client = MlflowClient("./mlruns")
    (experiment,) = [one for one in client.search_experiments() if one.name == "sums"]
    (run,) = client.search_runs([experiment.experiment_id])
    assert (run.info.run_name, run.info.status) == ("run", "FINISHED")
    assert run.data.params == {"lr": "0.03", "model.layers": "2"}
    history = client.get_metric_history(run.info.run_id, "reward")
    assert [(point.step, point.value) for point in history] == [(1, 0.5), (2, 0.75)]
    assert "run.json" in [one.path for one in client.list_artifacts(run.info.run_id)]


class Answer:
    """What the server of the context would say: every term of the crate is one of schema.org, but for these."""

    status_code = 200
    url = "https://w3id.org/ro/crate/1.1/context"

    def __init__(self, crate: dict[str, Any]) -> None:
        self.headers = {"Content-Type": "application/ld+json"}
        own = {"File": "http://schema.org/MediaObject", "conformsTo": "http://purl.org/dc/terms/conformsTo"}
        words = {key for node in crate["@graph"] for key in node} | {node["@type"] for node in crate["@graph"]}
        terms = {word: f"http://schema.org/{word}" for word in words if not word.startswith("@")}
        self.content = json.dumps({"@context": terms | own}).encode()
        self.text = self.content.decode()

    def json(self) -> Any:
        return json.loads(self.content)


def test_the_validator_of_ro_crate_takes_the_crate(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("rocrate_validator")
    import rdflib.plugins.shared.jsonld.context as contexts
    from rocrate_validator import models, services
    from rocrate_validator.utils.http import HttpRequester

    with zipfile.ZipFile(write(project, tmp_path / "x.zip", "ro-crate")) as archive:
        archive.extractall(tmp_path / "crate")
    answer = Answer(json.loads((tmp_path / "crate" / "ro-crate-metadata.json").read_text()))
    monkeypatch.setattr(HttpRequester, "get", lambda *_, **__: answer, raising=False)
    monkeypatch.setattr(contexts, "source_to_json", lambda *_, **__: (answer.json(), None))

    def issues() -> list[str]:
        chosen = services.ValidationSettings(
            rocrate_uri=str(tmp_path / "crate"),
            profile_identifier="process-run-crate-0.5",
            requirement_severity=models.Severity.REQUIRED,
        )
        return [str(issue.message) for issue in services.validate(chosen).get_issues()]

    assert issues() == []
    file = tmp_path / "crate" / "ro-crate-metadata.json"
    file.write_text(file.read_text().replace('"datePublished"', '"dateModified"'))
    assert issues() != []
