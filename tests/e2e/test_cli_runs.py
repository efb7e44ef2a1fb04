"""`rldk runs list|show`: what was left by `rldk.init` and `rldk run`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import rldk
from rldk.cli.main import main


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RLDK_DIR", raising=False)
    yield
    rldk.init(tmp_path / "last").finish()


def call(*words: str) -> Result:
    return CliRunner().invoke(main, ["runs", *words])


def kept(name: str, steps: int = 3) -> None:
    with rldk.init(project="sums", name=name, config={"lr": 0.1, "seed": 7, "api_key": "SEKRIT"}) as run:
        for step in range(1, steps + 1):
            run.log({"kl": 0.1}, step=step)


def test_runs_are_listed_whatever_one_of_them_holds() -> None:
    kept("warm")
    Path("runs/odd\x1b[31m").mkdir()
    Path("runs/odd\x1b[31m/run.json").write_text('{"schema_version": 9}')
    done = call("list")
    assert done.exit_code == 0
    lines = [line.split() for line in done.stdout.splitlines()]
    assert done.stdout.startswith("2 runs in runs.\n")
    assert ["sums/warm", "finished", "3"] in [[line[0], *line[3:5]] for line in lines if len(line) > 4]
    assert "unreadable" in done.stdout
    assert "\x1b" not in done.stdout


def test_the_newest_are_shown_and_the_rest_is_counted() -> None:
    for name in "abc":
        kept(name)
    done = call("list", "runs/sums", "--last", "2")
    assert done.stdout.startswith("3 runs in runs/sums.")
    assert done.stdout.rstrip().endswith("1 older run with --last 3")
    assert call("list", "--last", "3").stdout.count("finished") == 3
    assert call("list", "--last", "0").exit_code == 2


def test_a_document_of_the_list() -> None:
    kept("warm")
    Path("runs/sums/warm/report.json").write_text('{"health": "warn", "verdict": "Bad since 2.", "last_step": 9}')
    found = json.loads(call("list", "--json").stdout)
    (run,) = found["runs"]
    when = run.pop("when")
    assert run == {
        "path": "runs/sums/warm", "run_id": "warm", "project": "sums", "name": "warm", "state": "finished",
        "last_step": 9, "health": "warn", "verdict": "Bad since 2.", "problem": None,
        "tags": [], "seed": 7, "datasets": {}, "models": {},
    }  # fmt: skip
    assert (len(when), found["found"], found["complete"]) == (20, 1, True)


def test_no_run_yet_is_no_error_and_no_folder_is_one() -> None:
    assert (call("list").exit_code, call("list").stdout) == (0, "No run in runs.\n")
    done = call("list", "absent")
    assert (done.exit_code, "cannot open absent" in done.stderr) == (3, True)


def test_one_run_is_shown_with_its_origin_and_without_secrets() -> None:
    kept("warm")
    done = call("show", "warm")
    assert done.exit_code == 0
    assert done.stdout.startswith("warm (finished). It has no report")
    assert "  lr       0.1\n" in done.stdout
    assert "packages with --all" in done.stdout
    assert "SEKRIT" not in done.stdout
    assert "msgspec" in call("show", "runs/sums/warm", "--all").stdout
    told = json.loads(call("show", "warm", "--json").stdout)
    assert (told["state"], told["manifest"]["seed"], told["manifest"]["config"]["api_key"]) == (
        "finished", 7, "[redacted]",
    )  # fmt: skip


def test_a_manifest_that_cannot_be_read_is_one_clear_error() -> None:
    Path("runs/bad").mkdir(parents=True)
    Path("runs/bad/run.json").write_text('{"schema_version": 1, "seed": "x"}')
    done = call("show", "runs/bad")
    assert (done.exit_code, done.stderr.splitlines()[0].startswith("error: runs/bad/run.json: seed: ")) == (3, True)
    assert call("show", "absent").exit_code == 3
