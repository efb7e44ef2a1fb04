"""`run.json`: one schema to read and to write it by, whoever wrote it."""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from examples import each_of
from msgspec.structs import replace

from rldk.core.manifest import (
    MAX_BYTES,
    DatasetRecord,
    GitState,
    Manifest,
    ModelRecord,
    RunProcess,
    manifest_of,
    manifest_schema,
    plain,
    process_birth,
    read_manifest,
    status_of,
    this_process,
    timestamp,
    write_manifest,
)
from rldk.core.rundir import RunDirectory
from rldk.errors import MalformedInput, UnreadableSource

FULL = Manifest(
    run_id="a",
    project="p",
    status="finished",
    started_at=timestamp(0),
    finished_at="1970-01-01T00:01:00Z",
    process=RunProcess(pid=7, host="h"),
    command=("python", "train.py"),
    exit_code=0,
    seed=3,
    config={"lr": 0.1, "layers": [1, 2], "nothing": None},
    git=GitState(sha="ab", dirty=False),
    environment={"python": "3.12"},
    packages={"numpy": "2.0"},
    records=4,
    records_lost=0,
    other={"mine": [1, {"x": None}], "git": {"tag": "v1"}, "later": None},
)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    write_manifest(tmp_path, FULL)
    assert read_manifest(tmp_path) == FULL
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_what_is_written_fits_the_schema_and_leaves_out_what_is_not_known(tmp_path: Path) -> None:
    data = plain(FULL)
    jsonschema.Draft202012Validator(manifest_schema()).validate(data)
    assert (data["git"], data["mine"]) == ({"sha": "ab", "dirty": False, "tag": "v1"}, [1, {"x": None}])
    assert plain(Manifest(run_id="a")) == {"schema_version": 1, "run_id": "a"}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(manifest_schema()).validate({**data, "status": "done"})


def test_no_manifest_is_none(tmp_path: Path) -> None:
    assert read_manifest(tmp_path) is None
    (tmp_path / "run.json").symlink_to("/dev/zero")
    assert read_manifest(tmp_path) is None


@each_of(
    ("text", "said"),
    [
        (b"", "no JSON"),
        (b'{"schema_version": 1, "run_id', "no JSON"),
        (b"\xff\xfe", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"[1]", "no JSON object"),
        (b'{"schema_version": 2, "run_id": "a"}', "schema_version 2; this rldk knows 1"),
        (b'{"schema_version": 1, "status": "done"}', "status: "),
        (b'{"schema_version": 1, "process": {"pid": "x", "host": "h"}}', r"process: .*pid"),
        (b'{"schema_version": 1, "config": []}', "config: "),
    ],
)
def test_a_broken_or_a_future_file_is_one_clear_error(text: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_bytes(text)
    with pytest.raises(MalformedInput, match=said) as raised:
        read_manifest(tmp_path)
    assert str(tmp_path / "run.json") in raised.value.message
    assert raised.value.hint


@pytest.mark.parametrize(("extra", "fine"), [(0, True), (1, False)])
def test_a_manifest_has_at_most_so_many_bytes(extra: int, fine: bool, tmp_path: Path) -> None:
    head = b'{"run_id": "'
    (tmp_path / "run.json").write_bytes(head + b"a" * (MAX_BYTES - len(head) - 2 + extra) + b'"}')
    if fine:
        assert read_manifest(tmp_path) is not None
    else:
        with pytest.raises(MalformedInput, match="larger than 8 MiB"):
            read_manifest(tmp_path)


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_manifest(tmp_path, FULL)

    def broken(path: Path) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "read_bytes", broken)
    with pytest.raises(UnreadableSource, match=r"cannot read .*run\.json: Input/output error"):
        read_manifest(tmp_path)


def test_a_file_of_somebody_else_gives_what_fits() -> None:
    found = manifest_of({"name": 7, "seed": 3, "id": "x", "git": {"commit": "c"}, "process": 7, "status": "done"})
    assert found == Manifest(
        schema_version=None,
        seed=3,
        git=GitState(),
        other={"name": 7, "id": "x", "git": {"commit": "c"}, "process": 7, "status": "done"},
    )
    assert plain(found)["git"] == {"commit": "c"}


@each_of(
    "data",
    [{}, {"status": ["running"]}, {"status": "running"}, {"status": "running", "process": 7}, {"status": "done"}],
)
def test_the_status_of_somebody_else_is_unknown(data: dict[str, Any]) -> None:
    assert status_of(manifest_of(data)) == "unknown"


@each_of(
    ("pid", "host", "status"),
    [
        (os.getpid(), platform.node(), "running"),
        (1, platform.node(), "running"),
        (2**31 - 1, platform.node(), "crashed"),
        (2**31, platform.node(), "crashed"),
        (0, platform.node(), "crashed"),
        (2**31 - 1, "elsewhere", "running"),
    ],
    ids=["own", "first", "gone", "too large", "none", "elsewhere"],
)
def test_a_run_whose_process_is_gone_has_crashed(pid: int, host: str, status: str) -> None:
    assert status_of(Manifest(status="running", process=RunProcess(pid=pid, host=host))) == status


def test_a_manifest_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    write_manifest(tmp_path, Manifest(status="running"))
    with pytest.raises(TypeError):
        write_manifest(tmp_path, Manifest(config={"a": object()}))
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]
    assert json.loads((tmp_path / "run.json").read_text()) == {"schema_version": 1, "status": "running"}


def test_a_run_directory_names_its_files(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    paths = (run.manifest, run.metrics, run.printed, run.alerts, run.report, run.page, run.cards)
    assert [path.name for path in paths] == [
        "run.json", "metrics.jsonl", "stdout.txt", "alerts.jsonl", "report.json", "report.html", "cards",
    ]  # fmt: skip
    for name in ("samples-1.jsonl", "samples-0.jsonl", "samples.jsonl"):
        (tmp_path / name).touch()
    assert [path.name for path in run.samples()] == ["samples-0.jsonl", "samples-1.jsonl"]


def test_a_later_process_with_the_same_number_is_not_the_run() -> None:
    """The number of a process that was killed is given away again, at the latest after the machine has restarted."""
    ours = this_process()
    assert status_of(Manifest(status="running", process=ours)) == "running"
    assert status_of(Manifest(status="running", process=replace(ours, born="1"))) == "crashed"
    assert status_of(Manifest(status="running", process=replace(ours, born=None))) == "running"
    assert process_birth(2**22 + 1) is None


def test_records_state_only_what_is_known_and_fit_the_schema(tmp_path: Path) -> None:
    data = DatasetRecord(fingerprint="sha256:ab", format="records", rows=0)
    model = ModelRecord(weights="sha256:ab", architecture="sha256:cd", parameters=3, metadata={"lora": None})
    full = Manifest(datasets={"a": data}, models={"m": model}, redactions=2, rank=1)
    write_manifest(tmp_path, full)
    written = json.loads((tmp_path / "run.json").read_text())
    jsonschema.Draft202012Validator(manifest_schema()).validate(written)
    assert written["datasets"] == {"a": {"fingerprint": "sha256:ab", "format": "records", "rows": 0, "sampled": False}}
    assert written["models"]["m"]["metadata"] == {"lora": None}
    assert read_manifest(tmp_path) == full
