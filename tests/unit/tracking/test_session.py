"""The three calls: what they leave on disk, and what the rest of rldk makes of it."""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from examples import every

import rldk
from rldk.adapters.open import open_runs
from rldk.core.manifest import Manifest, read_manifest, status_of
from rldk.errors import UnknownName, UnreadableSource, UsageError
from rldk.tracking.config import MAX_DEPTH, plain_config


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("RLDK_DIR", str(tmp_path / "runs"))
    yield
    rldk.init(tmp_path / "last").finish()  # finishes what a failed test left open


def _manifest(folder: Path | None) -> Manifest:
    assert folder is not None
    found = read_manifest(folder)
    assert found is not None
    return found


@pytest.mark.slow
def test_a_run_opens_with_its_name_its_configuration_and_its_seed() -> None:
    session = rldk.init(project="sums", name="first try", config={"lr": 1e-3, "seed": 7})
    rldk.log({"kl": 0.1, "reward": 0.5}, step=1)
    rldk.log({"kl": 0.2, "reward": 0.6})
    rldk.finish()
    (run,) = open_runs(session.dir)
    assert (run.id, run.meta.seed, run.meta.config["lr"]) == ("first-try", 7, 1e-3)
    assert run.metrics.step.tolist() == [1, 2]
    assert run.metrics.columns["kl"].tolist() == [0.1, 0.2]


@pytest.mark.slow
def test_a_name_that_is_taken_gets_a_number(tmp_path: Path) -> None:
    folders = [rldk.init(name="a").dir for _ in range(3)]
    assert [f.name for f in folders if f] == ["a", "a-2", "a-3"]
    assert [_manifest(f).status for f in folders] == ["finished", "finished", "running"]


@pytest.mark.parametrize("name", every(4, ["../../etc", "/abs", "a/b", "..", "\0", "", "x" * 300]))
def test_a_name_stays_below_the_directory_of_runs(tmp_path: Path, name: str) -> None:
    folder = rldk.init(project=name, name=name).dir
    assert folder is not None
    assert folder.resolve().is_relative_to(tmp_path / "runs")
    assert len(folder.relative_to(tmp_path / "runs").parts) == 2


@pytest.mark.slow
def test_a_manifest_tells_how_the_run_ended(tmp_path: Path) -> None:
    with rldk.init(tmp_path / "a") as session:
        session.log({"kl": 0.1})
        assert status_of(_manifest(session.dir)) == "running"
    ended = _manifest(session.dir)
    assert (ended.status, ended.records, ended.records_lost) == ("finished", 1, 0)
    with pytest.raises(ZeroDivisionError), rldk.init(tmp_path / "b") as session:
        session.log({"kl": 1 / 0})
    assert (_manifest(session.dir).status, _manifest(session.dir).error) == ("crashed", "ZeroDivisionError")


def _in_a_process(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("ending", "status", "said"),
    every(
        4,
        [
            ("pass", "crashed", "crashed"),
            ("raise ValueError(3)", "crashed", "crashed"),
            ("rldk.finish()", "finished", "finished"),
            ("import os; os.kill(os.getpid(), 9)", "crashed", "running"),
            ("import os; os.fork() or exit(0); os.wait(); rldk.finish()", "finished", "finished"),
        ],
    ),
)
def test_however_a_process_ends_its_run_is_readable(tmp_path: Path, ending: str, status: str, said: str) -> None:
    code = f"import rldk\nrldk.init({str(tmp_path / 'r')!r})\nrldk.log({{'kl': 0.5}})\n{ending}"
    _in_a_process(code)
    manifest = _manifest(tmp_path / "r")
    assert (status_of(manifest), manifest.status) == (status, said)
    assert open_runs(tmp_path / "r")[0].metrics.columns["kl"].tolist() == [0.5]


@pytest.mark.slow
def test_a_run_directory_that_is_given_again_is_continued(tmp_path: Path) -> None:
    for step in (1, 2):
        with rldk.init(tmp_path / "r", name="long", config={"part": step}) as session:
            session.log({"kl": 0.1}, step=step)
    manifest = _manifest(tmp_path / "r")
    assert (manifest.restarts, manifest.config, manifest.name) == (1, {"part": 2}, "long")
    assert open_runs(tmp_path / "r")[0].metrics.step.tolist() == [1, 2]


def test_disabled_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RLDK_MODE", "disabled")
    assert rldk.init(tmp_path / "r", config={"a": 1}).dir is None
    rldk.log({"kl": 0.1})
    rldk.finish()
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setenv("RLDK_MODE", "disable")
    with pytest.raises(UnknownName, match="did you mean disabled"):
        rldk.init()
    monkeypatch.delenv("RLDK_MODE")


def test_only_rank_0_writes_the_manifest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RANK", "2")
    with rldk.init(tmp_path / "r") as session:
        session.log({"kl": 0.1})
    assert [p.name for p in (tmp_path / "r").iterdir()] == ["metrics.rank2.jsonl"]
    assert rldk.init().dir is None
    assert "rank 2 writes nothing" in capsys.readouterr().err


@pytest.mark.slow
def test_a_call_out_of_order_says_what_is_missing(tmp_path: Path) -> None:
    rldk.init(tmp_path / "r").finish()
    for call in (lambda: rldk.log({"kl": 0.1}), rldk.finish):
        with pytest.raises(UsageError, match="no run is open"):
            call()


def test_a_place_that_cannot_be_written_is_an_error_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UnreadableSource, match="RLDK_DIR"):
        rldk.init(tmp_path / "file" / "r")
    monkeypatch.setenv("RLDK_DIR", str(tmp_path / "file"))
    with pytest.raises(UnreadableSource, match="cannot write"):
        rldk.init()


@dataclass
class Settings:
    lr: float
    hub_token: str


def test_a_configuration_is_plain_and_without_secrets() -> None:
    shaped = {"a": (1, {2.5}), "b": float("nan"), "c": np.int64(3), "d": len, "num_tokens": 5, "eos_token": "</s>"}
    plain = plain_config({**shaped, "env": {"WANDB_API_KEY": "k", "DB_PASSWORD": "p"}})
    assert json.loads(json.dumps(plain, allow_nan=False)) == {
        "a": [1, [2.5]], "b": "nan", "c": 3, "d": "<built-in function len>", "num_tokens": 5, "eos_token": "</s>",
        "env": {"WANDB_API_KEY": "[redacted]", "DB_PASSWORD": "[redacted]"},
    }  # fmt: skip
    assert plain_config(Settings(0.1, "hf_x")) == {"lr": 0.1, "hub_token": "[redacted]"}
    assert plain_config(argparse.Namespace(lr=0.1)) == {"lr": 0.1}
    assert plain_config(None) == {}
    with pytest.raises(UsageError, match="config is a list"):
        plain_config([1])


def test_values_of_json_keep_their_type() -> None:
    given = {"none": None, "yes": True, "no": False, "one": 1, "half": 0.5, "text": "a", "nan": math.nan}
    assert json.dumps(plain_config(given)) == json.dumps({**given, "nan": "nan"})


@pytest.mark.parametrize("wrap", [lambda x: {"a": x}, lambda x: [x]])
def test_a_configuration_is_kept_sixteen_levels_deep(wrap: Callable[[Any], Any]) -> None:
    deep: Any = "end"
    for _ in range(MAX_DEPTH - 1):
        deep = wrap(deep)
    assert plain_config({"a": deep}) == {"a": deep}
    assert plain_config({"a": wrap(deep)}) != {"a": wrap(deep)}


def test_a_configuration_that_holds_itself_ends() -> None:
    loop: dict[str, Any] = {}
    loop["self"] = loop
    assert len(json.dumps(plain_config(loop))) < 1000
