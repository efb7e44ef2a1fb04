"""What the hooked processes of a run have left, whatever the script wrote there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from examples import each_of

from rldk.cli.hooks import MOST_BYTES, HookFolder, hook_line
from rldk.core.rundir import RunDirectory


def test_what_several_processes_hooked_is_listed_once(tmp_path: Path) -> None:
    folder = HookFolder(RunDirectory(tmp_path))
    for number, failed in enumerate(({}, {"verl": "no such name"})):
        said = {"hooked": ["trl", f"sink {number}"], "failed": failed}
        (folder.path / f"process-{number}.json").write_text(json.dumps(said))
    found = folder.found()
    assert found == {"hooked": ["trl", "sink 0", "sink 1"], "failed": {"verl": "no such name"}, "rows": 0}
    assert "verl was not hooked: no such name" in hook_line(found)


@each_of("text", ["[]", "7", "{", '{"hooked": 3, "failed": []}', "[" * 100_000, "", "{}" + " " * MOST_BYTES])
def test_notes_that_are_none_are_no_error(tmp_path: Path, text: str) -> None:
    folder = HookFolder(RunDirectory(tmp_path))
    (folder.path / "process-1.json").write_text(text)
    assert folder.found() == {"hooked": [], "failed": {}, "rows": 0}


def test_notes_of_the_very_size_are_read(tmp_path: Path) -> None:
    folder = HookFolder(RunDirectory(tmp_path))
    text = json.dumps({"hooked": ["trl"], "failed": {}})
    for size, hooked in ((MOST_BYTES, ["trl"]), (MOST_BYTES + 1, [])):
        (folder.path / "process-1.json").write_text(text + " " * (size - len(text)))
        assert folder.found()["hooked"] == hooked


def test_each_start_of_the_command_has_its_own_folder(tmp_path: Path) -> None:
    names = [HookFolder(RunDirectory(tmp_path)).path.name for _ in range(3)]
    assert names == ["hooks", "hooks-2", "hooks-3"]


def test_what_was_hooked_is_said_and_stands_in_the_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = HookFolder(RunDirectory(tmp_path))
    (folder.path / "process-1.json").write_text('{"hooked": ["trl"]}')
    (tmp_path / "report.json").write_text('{"health": "ok"}')
    folder.tell(tmp_path / "report.json")
    assert capsys.readouterr().err == f"rldk: {hook_line(folder.found())}\n"
    assert json.loads((tmp_path / "report.json").read_text()) == {"health": "ok", "hooks": folder.found()}


@pytest.mark.parametrize("text", [None, "no JSON", "[]"])
def test_a_report_that_is_none_is_left_as_it_is(tmp_path: Path, text: str | None) -> None:
    report = tmp_path / "report.json"
    if text is not None:
        report.write_text(text)
    HookFolder(RunDirectory(tmp_path)).tell(report)
    assert (report.read_text() if report.exists() else None) == text


def test_rows_are_the_whole_lines_of_the_stream(tmp_path: Path) -> None:
    folder = HookFolder(RunDirectory(tmp_path))
    folder.stream.write_text('{"step": 1}\n{"step": 2}\n{"st')
    assert folder.found()["rows"] == 2
    folder.stream.unlink()
    folder.remove()
    assert not folder.path.parent.joinpath("hooks").exists()
