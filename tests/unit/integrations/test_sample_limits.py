"""How much of a sample is kept, and how many files of samples there are: at the limit and one beyond it."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rldk.engine.sample_watch import SampleWatch
from rldk.errors import UsageError
from rldk.integrations import samples
from rldk.integrations.samples import SampleFiles, chosen, plain
from rldk.outage import Outage
from rldk.rules.chosen import chosen_rules
from rldk.rules.rule import Context


def test_texts_and_lists_are_cut_beyond_their_limit() -> None:
    assert plain("x" * 8000) == "x" * 8000
    assert plain("x" * 8001) == "x" * 8000 + "... (8001 characters)"
    assert len(plain([1.0] * 4096)) == len(plain([1.0] * 4097)) == 4096
    assert plain([1.0] * 4095 + [2.0, 3.0])[-1] == 2.0
    assert len(plain({str(i): i for i in range(4097)})) == 4096
    assert list(plain({"k" * 201: 1})) == ["k" * 200]
    assert plain([float("nan"), float("-inf"), True, None, 7]) == ["nan", "-inf", True, None, 7]


def test_four_levels_are_kept_and_the_fifth_is_text() -> None:
    nested: Any = "x"
    for _ in range(5):
        nested = [nested]
    assert plain(nested) == [[[["['x']"]]]]
    assert plain({"a": {"b": {"c": {"d": {"e": 1}}}}}) == {"a": {"b": {"c": {"d": "{'e': 1}"}}}}

    class Long:
        def __str__(self) -> str:
            return "y" * 9000

    assert plain(Long()) == "y" * 8000


def test_which_records_are_kept() -> None:
    alone = [chosen([None] * there, wanted) for there, wanted in ((4, 4), (4, 5), (0, 0), (4, 0))]
    assert alone == [[0, 1, 2, 3], [0, 1, 2, 3], [], []]
    assert (chosen([None] * 5, 2), chosen([None] * 10, 3)) == ([0, 2], [0, 3, 6])


@given(st.lists(st.sampled_from("abcdef"), max_size=40), st.integers(0, 45))
def test_groups_are_kept_whole_where_one_fits(groups: list[str], wanted: int) -> None:
    kept = chosen(groups, wanted)
    assert len(kept) <= wanted
    assert kept == sorted(set(kept))
    sizes, held = Counter(groups), Counter(groups[i] for i in kept)
    if groups and max(sizes.values()) <= wanted:
        assert held
        assert all(held[name] == sizes[name] for name in held)


@pytest.mark.parametrize("size", [4, 8])
def test_records_that_were_left_out_make_no_group_odd(tmp_path: Path, size: int) -> None:
    files = SampleFiles(tmp_path, "r", Outage(), per_step=21)
    for step in range(1, 4):
        records = [
            {"group_id": i // size, "prompt": f"{step}.{i // size}", "response": f"{step} {i}", "reward": i % 2}
            for i in range(24)
        ]
        files.add(records, step=step)
    watch = SampleWatch(chosen_rules(select=["ADV015"]), Context(config={"num_generations": size}))
    told = [*watch.take(json.loads(line) for line in files.path.read_text().splitlines()), *watch.finish()]
    assert [closed.begun for closed in told] == [[], [], []]


def test_the_next_file_begins_where_the_limit_would_be_passed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (samples.MAX_FILE, samples.MAX_FILES) == (64 * 1024 * 1024, 8)
    files = SampleFiles(tmp_path, "r", Outage(), per_step=1)
    files.add([{"response": "x"}], step=3)
    line = len((tmp_path / "samples-r.jsonl").read_bytes())
    for limit, names in [(2 * line, 1), (2 * line - 1, 2), (line - 1, 2)]:
        folder = tmp_path / str(limit)
        monkeypatch.setattr(samples, "MAX_FILE", limit)
        files = SampleFiles(folder, "r", Outage(), per_step=1)
        assert [files.add([{"response": "x"}], step=3) for _ in range(2)] == [1, 1]
        assert len(list(folder.iterdir())) == names, limit
        assert (files.written, files.left_out) == (2, 0)


def test_after_the_last_file_records_are_counted_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "MAX_FILE", 1)
    files = SampleFiles(tmp_path, "r", Outage(), per_step=2, rank=3)
    written = [files.add([{"response": "x"}] * 3, step=i) for i in range(10)]
    assert written == [2] * 8 + [0] * 2
    assert (files.written, files.left_out, len(list(tmp_path.iterdir()))) == (16, 14, 8)
    lines = [json.loads(line) for path in tmp_path.iterdir() for line in path.read_text().splitlines()]
    assert sorted((line["step"], line["rank"]) for line in lines) == [(i // 2, 3) for i in range(16)]


def test_no_samples_are_asked_for(tmp_path: Path) -> None:
    files = SampleFiles(tmp_path / "none", "r", Outage(), per_step=0)
    assert (files.add([{"response": "x"}], step=1), files.left_out) == (0, 1)
    assert not (tmp_path / "none").exists()
    with pytest.raises(UsageError, match="samples is -1"):
        SampleFiles(tmp_path, "r", Outage(), per_step=-1)
