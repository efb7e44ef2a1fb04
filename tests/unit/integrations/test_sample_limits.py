"""How much of a sample is kept, and how many files of samples there are: at the limit and one beyond it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rldk.errors import UsageError
from rldk.integrations import samples
from rldk.integrations.samples import SampleFiles, chosen, plain


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
    assert [chosen(*pair) for pair in ((4, 4), (4, 5), (0, 0), (4, 0))] == [[0, 1, 2, 3], [0, 1, 2, 3], [], []]
    assert (chosen(5, 2), chosen(10, 3)) == ([0, 2], [0, 3, 6])


def test_the_next_file_begins_where_the_limit_would_be_passed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (samples.MAX_FILE, samples.MAX_FILES) == (64 * 1024 * 1024, 8)
    files = SampleFiles(tmp_path, "r", per_step=1)
    files.add([{"response": "x"}], step=3)
    line = len((tmp_path / "samples-r.jsonl").read_bytes())
    for limit, names in [(2 * line, 1), (2 * line - 1, 2), (line - 1, 2)]:
        folder = tmp_path / str(limit)
        monkeypatch.setattr(samples, "MAX_FILE", limit)
        files = SampleFiles(folder, "r", per_step=1)
        assert [files.add([{"response": "x"}], step=3) for _ in range(2)] == [1, 1]
        assert len(list(folder.iterdir())) == names, limit
        assert (files.written, files.left_out) == (2, 0)


def test_after_the_last_file_records_are_counted_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "MAX_FILE", 1)
    files = SampleFiles(tmp_path, "r", per_step=2, rank=3)
    written = [files.add([{"response": "x"}] * 3, step=i) for i in range(10)]
    assert written == [2] * 8 + [0] * 2
    assert (files.written, files.left_out, len(list(tmp_path.iterdir()))) == (16, 14, 8)
    lines = [json.loads(line) for path in tmp_path.iterdir() for line in path.read_text().splitlines()]
    assert sorted((line["step"], line["rank"]) for line in lines) == [(i // 2, 3) for i in range(16)]


def test_no_samples_are_asked_for(tmp_path: Path) -> None:
    files = SampleFiles(tmp_path / "none", "r", per_step=0)
    assert (files.add([{"response": "x"}], step=1), files.left_out) == (0, 1)
    assert not (tmp_path / "none").exists()
    with pytest.raises(UsageError, match="samples is -1"):
        SampleFiles(tmp_path, "r", per_step=-1)
