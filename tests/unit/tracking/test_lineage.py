"""Lineage: what is recorded, how records hang together, and the first broken link."""

from __future__ import annotations

import importlib.util
import json
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import rldk
from rldk.cli.main import main
from rldk.errors import MalformedInput, NoData, UnreadableSource, UsageError
from rldk.tracking import lineage
from rldk.tracking.lineage.chain import read_lineage
from rldk.tracking.lineage.graph import lineage_graph
from rldk.tracking.lineage.source import code_of
from rldk.tracking.verification import verify_run

ROWS = [{"prompt": f"p{i}", "n": i} for i in range(10)]


def write_rows(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def chain(tmp_path: Path) -> Path:
    """raw -> kept -> (train, eval) in a folder."""
    raw, kept = write_rows(tmp_path / "raw.jsonl", ROWS), tmp_path / "kept.jsonl"
    with lineage.transformation("filter", inputs=raw, params={"least": 3}, into=tmp_path) as step:
        write_rows(kept, ROWS[3:])
        step.output(kept)
    train, test = write_rows(tmp_path / "train.jsonl", ROWS[3:8]), write_rows(tmp_path / "eval.jsonl", ROWS[8:])
    lineage.record("split", inputs=kept, outputs=[train, test], params={"seed": 1}, into=tmp_path)
    lineage.record("tokenize", inputs={"rows": train}, outputs={"ids": np.arange(6)}, into=tmp_path)
    return tmp_path


def statuses(folder: Path) -> list[str]:
    return [one.status for one in lineage.verify_lineage(folder).outcomes]


def test_records_name_what_they_stand_on(chain: Path) -> None:
    first, second, third = read_lineage(chain)
    assert (first.parents, second.parents, third.parents) == ((), (first.id,), (second.id,))
    assert [(i.name, i.kind, i.rows) for i in second.outputs] == [
        ("train.jsonl", "records", 5), ("eval.jsonl", "records", 2)]  # fmt: skip
    assert third.outputs[0].path is None
    report = lineage.verify_lineage(chain)
    assert report.passed
    assert "in memory" in report.outcomes[2].message


@pytest.mark.parametrize(("name", "broken"), [("raw.jsonl", 0), ("kept.jsonl", 0), ("eval.jsonl", 1)])
def test_a_changed_file_breaks_its_link_first(chain: Path, name: str, broken: int) -> None:
    path = chain / name
    path.write_bytes(path.read_bytes().replace(b"p9", b"p8"))
    report = lineage.verify_lineage(chain)
    assert [one.status for one in report.outcomes].index("failed") == broken
    assert any(name in place for place in report.outcomes[broken].places)
    assert report.verdict.startswith(f"The first broken link is {broken + 1} ")


def test_a_file_that_is_gone_breaks_its_link(chain: Path) -> None:
    (chain / "eval.jsonl").unlink()
    assert statuses(chain) == ["passed", "failed", "passed"]


def test_an_edited_record_is_found_and_so_is_one_that_was_taken_out(chain: Path) -> None:
    file = chain / "lineage.jsonl"
    lines = file.read_text().splitlines(keepends=True)
    file.write_text(lines[0].replace('"least":3', '"least":4') + "".join(lines[1:]))
    assert statuses(chain)[0] == "failed"
    file.write_text("".join(lines[1:]))
    found = lineage.verify_lineage(chain).outcomes
    assert (found[0].status, found[0].message) == ("failed", "a record that it stands on is missing or was changed")


def test_the_same_transformation_is_recorded_once_and_an_overwritten_path_is_no_failure(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "d.jsonl", ROWS)
    one = lineage.record("keep", inputs=path, into=tmp_path)
    assert lineage.record("keep", inputs=path, into=tmp_path) == one
    for count in (5, 3):
        with lineage.transformation("cut", inputs=path, params={"to": count}, into=tmp_path) as step:
            write_rows(path, ROWS[:count])
            step.output(path)
    assert len(read_lineage(tmp_path)) == 3
    report = lineage.verify_lineage(tmp_path)
    assert report.passed, report.outcomes
    assert "overwritten" in report.outcomes[1].message


def test_a_block_that_fails_is_not_recorded(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), lineage.transformation("bad", into=tmp_path):
        _ = 1 / 0
    with pytest.raises(UnreadableSource):
        read_lineage(tmp_path)


MODULE = """
from pathlib import Path
from rldk.tracking import lineage

@lineage.record_calls(inputs=["source"], outputs=["target"], into={into!r})
def clean(source, target, least=2, api_key="sk-0123456789abcdefghij"):
    lines = Path(source).read_text().splitlines(keepends=True)
    Path(target).write_text("".join(lines[least:]))

@lineage.record_calls(inputs=["rows"], into={into!r})
def doubled(rows):
    return [dict(row, n=row["n"] * 2) for row in rows]
"""


def test_a_decorated_function_is_recorded_with_its_source(tmp_path: Path) -> None:
    script = tmp_path / "prepare.py"
    script.write_text(MODULE.format(into=str(tmp_path)))
    spec = importlib.util.spec_from_file_location("prepare", script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    raw = write_rows(tmp_path / "raw.jsonl", ROWS)
    module.clean(str(raw), str(tmp_path / "kept.jsonl"), least=4)
    assert module.doubled(ROWS)[2] == {"prompt": "p2", "n": 4}
    first, second = read_lineage(tmp_path)
    assert (first.op, first.params, [i.rows for i in first.outputs]) == (
        "clean", {"least": 4, "api_key": "[redacted]"}, [6])  # fmt: skip
    assert second.outputs[0].name == "return"
    assert lineage.verify_lineage(tmp_path).passed
    script.write_text("# moved down\n" + script.read_text().replace("lines[least:]", "lines[least + 1:]"))
    found = lineage.verify_lineage(tmp_path)
    assert [one.status for one in found.outcomes] == ["failed", "not_checked"]
    assert found.outcomes[0].places[0].endswith("clean() was changed")


def test_the_open_run_keeps_the_lineage(tmp_path: Path) -> None:
    with rldk.init(tmp_path / "run"):
        lineage.record("made up", outputs={"rows": ROWS})
    assert [one.op for one in read_lineage(tmp_path / "run")] == ["made up"]
    with pytest.raises(UsageError, match="no run is open"):
        lineage.record("made up", outputs={"rows": ROWS})


def test_rows_are_one_thing_and_paths_are_several(tmp_path: Path) -> None:
    made = lineage.record("x", inputs=ROWS, outputs=[write_rows(tmp_path / n, ROWS) for n in ("a", "b")], into=tmp_path)
    assert [len(made.inputs), len(made.outputs)] == [1, 2]


def test_a_torn_line_is_left_out_and_replaced_by_the_next_record(chain: Path) -> None:
    file = chain / "lineage.jsonl"
    file.write_bytes(file.read_bytes() + b'{"op": "to')
    assert len(read_lineage(chain)) == 3
    lineage.record("next", inputs=ROWS, into=chain)
    assert [one.op for one in read_lineage(chain)][3:] == ["next"]


def test_threads_write_whole_lines(tmp_path: Path) -> None:
    def write(number: int) -> None:
        for i in range(5):
            lineage.record("t", params={"i": i, "thread": number}, into=tmp_path)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({one.id for one in read_lineage(tmp_path)}) == 20


def test_hostile_files_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "lineage.jsonl"
    file.write_text("")
    with pytest.raises(NoData):
        lineage.verify_lineage(tmp_path)
    file.write_text('{"op": 3}\n')
    with pytest.raises(MalformedInput, match="line 1"):
        read_lineage(tmp_path)
    file.unlink()
    file.symlink_to("/etc/passwd")
    with pytest.raises(MalformedInput, match="no regular file"):
        read_lineage(tmp_path)


def test_a_parameter_that_the_function_lacks_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no parameter 'sorce'"):
        lineage.record_calls(inputs=["sorce"])(write_rows)


def test_the_commands_show_and_verify(chain: Path) -> None:
    shown = CliRunner().invoke(main, ["lineage", "show", str(chain)])
    assert shown.exit_code == 0
    assert "2. split (seed=1): kept.jsonl, 7 rows" in " ".join(shown.output.split())
    document = json.loads(CliRunner().invoke(main, ["lineage", "show", str(chain / "lineage.jsonl"), "--json"]).output)
    assert [one["op"] for one in document["records"]] == ["filter", "split", "tokenize"]
    assert CliRunner().invoke(main, ["lineage", "verify", str(chain)]).exit_code == 0
    (chain / "raw.jsonl").write_text("{}\n")
    result = CliRunner().invoke(main, ["lineage", "verify", str(chain), "--json"])
    assert (result.exit_code, json.loads(result.output)["outcomes"][0]["status"]) == (1, "failed")
    assert CliRunner().invoke(main, ["lineage", "show", str(chain), "-o", "x.txt"]).exit_code == 2


@pytest.mark.slow
def test_a_run_is_verified_with_its_lineage(chain: Path) -> None:
    with rldk.init(chain):
        pass
    assert verify_run(chain, work_tree=False).passed
    (chain / "eval.jsonl").unlink()
    report = verify_run(chain, work_tree=False)
    assert [one.name for one in report.outcomes if one.status == "failed"] == ["2 split"]


def test_the_graph_has_every_thing_once(chain: Path) -> None:
    graph = lineage_graph(read_lineage(chain), "g")
    assert sorted(node.title for node in graph.nodes if node.strong) == ["filter", "split", "tokenize"]
    assert len(graph.nodes) == 3 + 5
    assert len(graph.edges) == 2 + 3 + 2


def test_the_code_of_a_function_is_in_a_file_or_nowhere(tmp_path: Path) -> None:
    held: dict[str, Any] = {}
    exec("def typed(row):\n    return row\n", held)
    assert code_of(len) is None
    assert code_of(held["typed"]) is None
    found = code_of(code_of)
    assert found is not None
    assert (found.name, found.path) == ("code_of", os.path.realpath(str(code_of.__globals__["__file__"])))
