"""What a run writes at the edges: steps, names, endings, ranks, refused places."""

from __future__ import annotations

import json
import os
import platform
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import rldk
from rldk.core.manifest import read_manifest
from rldk.errors import UnreadableSource, UsageError
from rldk.tracking import record as module
from rldk.tracking.config import MAX_DEPTH, MAX_TEXT, plain_config
from rldk.tracking.folders import word


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("RLDK_DIR", str(tmp_path / "runs"))
    yield
    monkeypatch.undo()
    rldk.init(tmp_path / "last").finish()


def _steps(folder: Path | None) -> list[int]:
    assert folder is not None
    return [json.loads(line)["step"] for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_steps_begin_at_zero_and_go_on_from_the_last(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with rldk.init(tmp_path / "r") as session:
        for step in (None, None, 7, None, 3, None, "x", None):
            rldk.log({"kl": 0.1}, step=step)  # type: ignore[arg-type]
    assert _steps(session.dir) == [0, 1, 7, 8, 3, 4, 5]
    manifest = read_manifest(tmp_path / "r")
    assert manifest is not None
    assert (manifest.records, manifest.records_lost) == (7, 1)


@pytest.mark.slow
def test_steps_of_a_continued_run_go_on_from_its_log(tmp_path: Path) -> None:
    for first in (5, None, None):
        with rldk.init(tmp_path / "r") as session:
            session.log({"kl": 0.1}, step=first)
            session.log({"kl": 0.1})
    with rldk.ExperimentTracker(rldk.TrackingConfig("t", experiment_id="r", output_dir=tmp_path)) as run:
        run.log({"kl": 0.1})
    assert _steps(tmp_path / "r") == [5, 6, 7, 8, 9, 10, 11]


def test_a_finished_run_takes_nothing_more(tmp_path: Path) -> None:
    session = rldk.init(tmp_path / "r")
    session.finish()
    session.finish()
    with pytest.raises(UsageError) as caught:
        session.log({"kl": 0.1})
    assert (caught.value.message, caught.value.hint) == (
        "the run r is finished", "call rldk.init() for the next one",
    )  # fmt: skip


@pytest.mark.slow
def test_the_manifest_of_a_run_that_begins(tmp_path: Path) -> None:
    session = rldk.init(tmp_path / "r", project="p", name="n", config={"seed": True, "lr": 0.5})
    manifest = read_manifest(tmp_path / "r")
    assert manifest is not None
    assert (session.id, manifest.run_id, manifest.project, manifest.name) == ("r", "r", "p", "n")
    assert (manifest.status, manifest.seed, manifest.config) == ("running", None, {"seed": True, "lr": 0.5})
    assert manifest.process is not None
    assert (manifest.process.pid, manifest.process.host) == (os.getpid(), platform.node())
    assert manifest.command[-1] == sys.orig_argv[-1][:1000]
    session.finish()
    ended = read_manifest(tmp_path / "r")
    assert ended is not None
    assert (ended.status, ended.error, ended.records) == ("finished", None, 0)
    assert (ended.finished_at or "") >= (ended.started_at or "x")
    assert rldk.init(config={"seed": 3}).dir is not None


def test_an_open_run_is_finished_by_the_next(tmp_path: Path) -> None:
    first, _second = rldk.init(tmp_path / "a"), rldk.init(tmp_path / "b")
    states = [read_manifest(tmp_path / name) for name in "ab"]
    assert [s.status for s in states if s] == ["finished", "running"]
    first.finish()
    rldk.log({"kl": 0.1})
    assert _steps(tmp_path / "b") == [0]


@pytest.mark.slow
def test_the_end_of_the_interpreter_without_finish_is_a_crash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kinds: list[str] = []
    for name, error in (("a", ValueError()), ("b", None)):
        session = rldk.init(tmp_path / name)
        monkeypatch.setattr(sys, "last_value", error, raising=False)
        session._left()
        manifest = read_manifest(tmp_path / name)
        assert manifest is not None
        kinds.append(f"{manifest.status} {manifest.error}")
    assert kinds == ["crashed ValueError", "crashed None"]


def test_the_end_of_a_forked_child_is_not_the_end_of_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = rldk.init(tmp_path / "r")
    monkeypatch.setattr(os, "getpid", lambda: -5)
    session.finish()
    manifest = read_manifest(tmp_path / "r")
    assert manifest is not None
    assert manifest.status == "running"


@pytest.mark.slow
def test_a_manifest_that_cannot_be_written_at_the_end_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    session = rldk.init(tmp_path / "r")

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "write_whole", full)
    session.finish()
    assert capsys.readouterr().err == (
        f"rldk: cannot write {tmp_path / 'r' / 'run.json'}: No space left on device. New records are lost until this "
        "is mended, run.json waits; the program goes on. Free some space: rldk tries again by itself, and says this "
        "once for all files of the run\n"
    )
    with pytest.raises(UnreadableSource) as caught:
        rldk.init(tmp_path / "s")
    assert caught.value.message == f"cannot write the run to {tmp_path / 's'}: No space left on device"
    assert caught.value.hint == "name another place with run_dir or RLDK_DIR"


def test_a_run_without_a_name_is_named_by_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = rldk.init().dir
    assert folder is not None
    assert re.fullmatch(r"\d{8}-\d{6}-[0-9a-f]{4}", folder.name)
    assert folder.parent == tmp_path / "runs"
    monkeypatch.setenv("RLDK_DIR", "")
    monkeypatch.chdir(tmp_path)
    assert rldk.init(project="a b", name="n").dir == Path("runs/a-b/n")
    assert rldk.init(project="a b", name="n").dir == Path("runs/a-b/n-2")


@pytest.mark.parametrize(
    ("name", "folder"),
    [("a b/c", "a-b-c"), ("lr=1e-3+x_y.z", "lr=1e-3+x_y.z"), ("..", "run"), ("-a-", "a"), ("x" * 101, "x" * 100)],
)
def test_a_name_becomes_one_folder(name: str, folder: str) -> None:
    assert word(name) == folder


def test_a_rank_writes_only_where_it_is_told_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RANK", "3")
    silent = rldk.init()
    assert (silent.dir, silent.id) == (None, "")
    silent.log({"kl": 0.1})
    silent.finish()
    assert "rank 3 writes nothing: the ranks of a run share it only through run_dir" in capsys.readouterr().err
    shared = rldk.init(tmp_path / "r")
    assert (shared.dir, shared.id) == (tmp_path / "r", "")
    shared.log({"kl": 0.1})
    shared.finish()
    assert [p.name for p in (tmp_path / "r").iterdir()] == ["metrics.rank3.jsonl"]
    line = json.loads((tmp_path / "r" / "metrics.rank3.jsonl").read_text())
    assert line["model_info"] == {"run_id": "r"}


def test_disabled_takes_what_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RLDK_MODE", "disabled")
    session = rldk.init()
    assert (session.dir, session.id) == (None, "")
    rldk.log({"kl": 0.1})
    monkeypatch.setenv("RLDK_MODE", "")
    assert rldk.init().dir is not None


def test_a_configuration_at_its_limits() -> None:
    assert (MAX_DEPTH, MAX_TEXT) == (16, 10_000)
    assert plain_config({"a": "x" * MAX_TEXT, "b": "y" * (MAX_TEXT + 1)}) == {"a": "x" * MAX_TEXT, "b": "y" * MAX_TEXT}
    wide = SimpleNamespace(ndim=0, item=lambda: 2.5)
    vector = SimpleNamespace(ndim=1, item=lambda: 2.5)
    plain = plain_config(SimpleNamespace(scalar=wide, vector=vector, inf=-float("inf"), none=None, kept={1: {2: "x"}}))
    assert plain == {
        "scalar": 2.5, "vector": str(vector)[:MAX_TEXT], "inf": "-inf", "none": None, "kept": {"1": {"2": "x"}},
    }  # fmt: skip
    for wrong in (3, "text", [1]):
        with pytest.raises(UsageError) as caught:
            plain_config(wrong)
        assert caught.value.message == f"config is a {type(wrong).__name__}"
        assert caught.value.hint == "give a mapping, a dataclass or a namespace"
