"""Two files of scores are joined without their texts, and come to what dictionaries of all texts come to."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from hashlib import blake2b
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rldk.core.external import text_cells
from rldk.core.external.text_cells import GatheredColumns
from rldk.core.samples import text_of
from rldk.errors import NoData
from rldk.reward import compare_models, sources
from rldk.reward.scorers import digests
from rldk.reward.scorers.files import doubts_of, notes_of, scores_in
from rldk.reward.scorers.items import items_of
from rldk.reward.scorers.joined import JoinedItems, joined_files

Row = dict[str, Any]
NAME = st.sampled_from(["r1", "r2", "r3", "r4", "", None, 7, 7.5, True, math.nan, ["r1"], {"content": "r1"}, "\ud800"])
TEXT = st.sampled_from(["same", "other", "", None, "a\0b", 3, math.nan, [{"content": "same"}], "\ud800", "?", "x" * 99])
SCORE = st.sampled_from([0.0, 1.0, 2.5, "3", None, math.nan, math.inf, "none", True])
FIELDS = {"id": NAME, "prompt": TEXT, "response": TEXT, "prompt_id": NAME}


@st.composite
def a_file(draw: st.DrawFn) -> list[Row]:
    fields = ["score", *draw(st.sets(st.sampled_from(sorted(FIELDS)), min_size=1))]
    return draw(st.lists(st.fixed_dictionaries({n: FIELDS.get(n, SCORE) for n in fields}), min_size=1, max_size=12))


def told(value: Any) -> str:
    """The text of a cell; "" where there is none."""
    return "" if value is None or value != value else text_of(value) or ""


def number(value: Any) -> float:
    try:
        return math.nan if value is None else float(value)
    except ValueError:
        return math.nan


def key_of(row: Row, by: str) -> str:
    if by == "ids":
        return told(row["id"])
    prompt = told(row.get("prompt")) if by == "texts" else ""
    if by == "answers" and not told(row.get("response")):
        return ""
    text = f"{prompt}\0{told(row.get('response'))}"
    return blake2b(text.encode("utf-8", "replace"), digest_size=16).hexdigest()


def by_key(rows: list[Row], by: str) -> tuple[dict[str, Row], int]:
    """The first row of each key, and how many rows repeat one with another score."""
    found: dict[str, Row] = {}
    repeated = 0
    for row in rows if {"ids": "id", "texts": "", "answers": "response"}[by] in {*rows[0], ""} else []:
        key, score = key_of(row, by), number(row["score"])
        if by == "texts" and not {"prompt", "response"} & row.keys():
            continue
        if key in found:
            first = number(found[key]["score"])
            repeated += first != score and not (math.isnan(first) and math.isnan(score))
        elif key:
            found[key] = row
    return found, repeated


def by_hand(first: list[Row], second: list[Row]) -> dict[str, Any] | None:
    """What the join comes to, from dictionaries of all rows; None where no row is shared."""
    tries = []
    for by in ("ids", "texts", "answers"):
        (one, r1), (two, r2) = by_key(first, by), by_key(second, by)
        shared = [key for key in one if key in two]
        pairs = [(told(one[key].get("response")), told(two[key].get("response"))) for key in shared]
        unlike = sum(bool(a and b and a != b) for a, b in pairs)
        odd = [r if r > 0.05 * (len(x) + r) else 0 for x, r in ((one, r1), (two, r2))]
        odd.append(unlike if 2 * unlike > len(shared) else 0)
        if shared:
            tries.append((sum(odd), by, one, two, shared, odd))
            if not sum(odd):
                break
    if not tries:
        return None
    _, by, one, two, shared, odd = min(tries, key=lambda each: each[0])

    def of(key: str, *fields: str) -> str:
        return next((text for field in fields for x in (one, two) if (text := told(x[key].get(field)))), "")

    groups = [of(key, "prompt_id", "prompt") or f"own {key}" for key in shared]
    return {
        "keys": shared, "by": by, "odd": odd, "left": (len(two) - len(shared), len(one) - len(shared)),
        "texts": [(of(key, "prompt"), of(key, "response")) for key in shared],
        "scores": [[number(x[key]["score"]) for key in shared] for x in (one, two)],
        "groups": [groups.index(group) for group in groups],
    }  # fmt: skip


def joined(first: Any, second: Any) -> dict[str, Any] | None:
    try:
        found = joined_files(first, second)
    except NoData:
        return None
    items = JoinedItems(found)
    shown = items.shown(range(len(items)))
    codes = items.prompt.tolist()
    return {
        "keys": [key for key, _, _ in shown], "by": found.first.by,
        "odd": [bool(doubts_of(found.first)), bool(doubts_of(found.second)), found.unlike],
        "left": (len(found.second.keys) - len(items), len(found.first.keys) - len(items)),
        "texts": [(prompt, response) for _, prompt, response in shown],
        "scores": [side.tolist() for side in found.scores],
        "groups": [codes.index(code) for code in codes],
    }  # fmt: skip


def lines(path: Path, rows: list[Row]) -> Path:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def stored(names: Any, large: int = 0) -> GatheredColumns:
    """Columns whose texts all stand in a file."""
    return GatheredColumns(names, large=0)


@given(first=a_file(), second=a_file(), piece=st.integers(1, 5), block=st.integers(1, 5))
def test_a_join_is_that_of_dictionaries_whatever_is_held(
    first: list[Row], second: list[Row], piece: int, block: int
) -> None:
    wanted = by_hand(first, second)
    if wanted is not None:
        wanted["odd"][:2] = map(bool, wanted["odd"][:2])
    with pytest.MonkeyPatch.context() as patch, TemporaryDirectory() as folder:
        patch.setattr(digests, "PIECE", piece)
        patch.setattr(text_cells, "BLOCK", block)
        patch.setattr(text_cells, "BLOCK_BYTES", 20 * block)
        assert repr(joined(first, second)) == repr(wanted)
        patch.setattr(sources, "GatheredColumns", stored)
        files = [lines(Path(folder, f"{name}.jsonl"), rows) for name, rows in (("a", first), ("b", second))]
        assert repr(joined(*files)) == repr(wanted)


PLAIN = {
    "id": st.sampled_from(["r1", "r2", "r3", "", None]),
    "prompt": st.sampled_from(["p1", "p2", "", None]),
    "response": st.sampled_from(["same", "other", "", None, "x" * 99]),
    "prompt_id": st.sampled_from([1, 2, None]),
    "score": st.sampled_from([0.0, 1.5, None]),
}


@given(
    first=st.lists(st.fixed_dictionaries(PLAIN), min_size=1), second=st.lists(st.fixed_dictionaries(PLAIN), min_size=1)
)
@pytest.mark.parametrize("categories", [False, True])
def test_parquet_is_joined_as_rows_in_memory_are(first: list[Row], second: list[Row], categories: bool) -> None:
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    kinds = {"prompt_id": pa.int64(), "score": pa.float64()}
    text = pa.dictionary(pa.int32(), pa.string()) if categories else pa.string()
    schema = pa.schema([(name, kinds.get(name, text)) for name in PLAIN])
    with TemporaryDirectory() as folder:
        paths = [Path(folder, name) for name in ("a.parquet", "b.parquet")]
        for path, rows in zip(paths, (first, second), strict=True):
            parquet.write_table(pa.Table.from_pylist(rows, schema), path, row_group_size=3)
        assert repr(joined(*paths)) == repr(joined(first, second))


def test_large_numbers_are_ids_as_they_are_written(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    ids = [1_700_000_000_000 + i for i in range(50)]
    rows = [{"id": own, "score": float(i)} for i, own in enumerate(ids)]
    parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    found = joined(tmp_path / "a.parquet", lines(tmp_path / "b.jsonl", rows[::-1]))
    assert found is not None
    assert found["keys"] == list(map(str, ids))
    assert found["scores"] == [[float(i) for i in range(50)]] * 2


@given(rows=a_file(), asked=st.lists(st.fixed_dictionaries(FIELDS), min_size=1, max_size=8))
def test_a_file_scores_items_by_key_or_by_its_last_row_with_the_answer(rows: list[Row], asked: list[Row]) -> None:
    items = items_of([{**row, "response": told(row["response"]) or "some"} for row in asked])
    by = "ids" if "id" in rows[0] else "texts" if {"prompt", "response"} & rows[0].keys() else ""
    with TemporaryDirectory() as folder:
        path = lines(Path(folder, "scores.jsonl"), rows)
        if not by:
            with pytest.raises(NoData, match="neither ids nor texts"):
                scores_in(path, items)
            return
        known = {key: number(row["score"]) for key, row in by_key(rows, by)[0].items()}
        wanted = [known.get(key, math.nan) for key in items.keys]
        if not np.isfinite(wanted).any() and by == "texts":
            answers = {key_of(row, "answers"): known[key] for key, row in by_key(rows, by)[0].items()}
            answers.pop("", None)
            wanted = [answers.get(key_of({"response": text}, "answers"), math.nan) for text in items.texts()]
        assert repr(scores_in(path, items).scores.tolist()) == repr(wanted)


def test_repeats_are_counted_in_the_words_of_the_notes() -> None:
    rows = [{"id": f"r{i}", "score": float(i)} for i in range(50)]
    found = joined_files([*rows, rows[0], {"id": "r1", "score": 9.0}], [*rows, *rows[:3], {"id": "r0", "score": None}])
    told_of = [notes_of(file) for file in (found.first, found.second)]
    assert told_of == [("a row of memory repeats an earlier id with another score, and the first score counts",)] * 2
    assert (found.first.repeated, found.second.repeated, len(found.mine)) == (1, 1, 50)


@pytest.mark.slow
def test_a_text_of_five_megabytes_is_shown_cut_and_held_alone(tmp_path: Path) -> None:
    rows = [
        {"id": str(i), "response": f"answer {i} " * (700_000 if i == 3 else 2), "score": float(i)} for i in range(40)
    ]
    other = [{**row, "score": float(-i)} for i, row in enumerate(rows)]
    paths = [lines(tmp_path / name, some) for name, some in (("a.jsonl", rows), ("b.jsonl", other))]
    report = compare_models(*paths)
    assert report.to_dict() == compare_models(*paths, seed=1).to_dict()
    shown = {d.key: d.response for d in report.disagreements}
    assert shown["3"] == ("answer 3 " * 40)[:300]
    assert shown["0"] == "answer 0 answer 0 "


GROWTH = """
import json, sys
from rldk.reward import compare_models
report = compare_models(*sys.argv[1:])
print(json.dumps([report.n, int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0])]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_memory_grows_with_the_rows_and_not_with_their_texts(tmp_path: Path, form: str) -> None:
    peaks = []
    for size in (20, 2000):
        rows = [{"id": i, "response": f"{i} " * size, "score": float(i % 97)} for i in range(20_000)]
        paths = [tmp_path / f"{name}{size}.{form}" for name in "ab"]
        for path in paths:
            if form == "jsonl":
                lines(path, rows)
            else:
                pa = pytest.importorskip("pyarrow")
                pa.parquet.write_table(pa.Table.from_pylist(rows), path)
        done = subprocess.run([sys.executable, "-c", GROWTH, *map(str, paths)], capture_output=True, check=True)
        count, peak = json.loads(done.stdout)
        assert count == 20_000
        peaks.append(peak / 1024)
    assert peaks[1] - peaks[0] < 150, "texts of 200 MB in each file"
