"""Finding and opening labelled runs."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from examples import each_of

from rldk.bench.cases import Label, find_cases, open_case, read_label
from rldk.errors import MalformedInput, NoData, UnreadableSource

ROWS = "".join(json.dumps({"step": i, "loss": 1 / i, "reward": float(i % 7)}) + "\n" for i in range(1, 40))


def labelled(folder: Path, **label: object) -> Path:
    folder.mkdir(parents=True)
    (folder / "label.json").write_text(json.dumps(label))
    return folder


def test_runs_are_found_at_any_depth_by_name(tmp_path: Path) -> None:
    for name in ("b", "a/deep", "a/other"):
        labelled(tmp_path / name, fault="none")
    labelled(tmp_path / "b" / "checkpoint", fault="lr_jump")  # below a run: part of it
    assert [c.name for c in find_cases(tmp_path)] == ["a/deep", "a/other", "b"]


def test_the_label_and_the_directory_do_not_reach_the_run(tmp_path: Path) -> None:
    folder = labelled(tmp_path / "ppo-lr_jump-7", fault="lr_jump", args={"learning_rate": 3.0}, kl_coef=0.7)
    (folder / "metrics.jsonl.gz").write_bytes(gzip.compress(ROWS.encode()))
    (folder / "README.md").write_text("a jump of the learning rate")
    with open_case(find_cases(tmp_path)[0]) as run:
        told = repr((run.id, run.source, run.meta))
        assert len(run.metrics) == 39
    assert "label" not in told
    assert "lr_jump" not in told
    assert run.meta.config == {}


def test_a_directory_of_two_runs_is_refused(tmp_path: Path) -> None:
    folder = labelled(tmp_path / "x", fault="none")
    for name in ("seed1", "seed2"):
        (folder / name).mkdir()
        (folder / name / "metrics.jsonl").write_text(ROWS)
    with pytest.raises(MalformedInput, match="holds 2 runs"), open_case(find_cases(tmp_path)[0]):
        pass


@each_of("text", ["[1]", "{", '{"fault": 3}', '{"fault": "x", "onset": "7"}', '{"fault": "x", "families": "KL"}'])
def test_a_wrong_label_names_its_file(tmp_path: Path, text: str) -> None:
    labelled(tmp_path / "x")
    (tmp_path / "x" / "label.json").write_text(text)
    with pytest.raises(MalformedInput, match=r"label\.json"):
        find_cases(tmp_path)


def test_nothing_to_measure_is_said(tmp_path: Path) -> None:
    with pytest.raises(NoData, match=r"no label\.json"):
        find_cases(tmp_path)
    with pytest.raises(UnreadableSource, match="no such directory"):
        find_cases(tmp_path / "absent")


def test_a_fault_is_there_from_the_start_unless_it_is_told_otherwise(tmp_path: Path) -> None:
    (tmp_path / "label.json").write_text('{"fault": "lr_jump"}')
    assert read_label(tmp_path / "label.json") == Label(fault="lr_jump")
    assert Label(fault="lr_jump").onset == 0
