"""Fingerprints of datasets: the same content, the same digest; one changed value, another one, and its row is named."""

from __future__ import annotations

import datetime
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from examples import each_of
from hypothesis import given
from hypothesis import strategies as st

from rldk.cli.main import main
from rldk.errors import MalformedInput, MissingExtra, NotALog, UnknownName, UnreadableSource, UsageError
from rldk.provenance.fingerprints import arrow
from rldk.provenance.fingerprints.canonical import canonical
from rldk.provenance.fingerprints.dataset import fingerprint
from rldk.provenance.fingerprints.difference import diff_datasets, difference, spans

scalars = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=4)
records = st.dictionaries(st.text(max_size=3), scalars | st.lists(scalars, max_size=3), max_size=4)


def digest(data: Any, **more: Any) -> str:
    return fingerprint(data, **more).digest


@given(st.lists(records, max_size=8), st.lists(records, max_size=8))
def test_records_have_one_digest_exactly_when_they_are_equal(first: list[Any], second: list[Any]) -> None:
    assert (digest(first) == digest(second)) == (_typed(first) == _typed(second))
    assert digest(first) == digest(iter(first)) == digest([dict(reversed(list(row.items()))) for row in first])


def _typed(value: Any) -> Any:
    """Equal only where the types are, too: 1, 1.0 and True are three values, 0.0 and -0.0 two."""
    if isinstance(value, dict):
        return "dict", sorted((key, _typed(one)) for key, one in value.items())
    if isinstance(value, list):
        return "list", [_typed(one) for one in value]
    return type(value).__name__, repr(value)


@pytest.mark.slow
def test_the_digests_are_those_of_every_version_and_process() -> None:
    rows = [{"prompt": "2+2?", "answer": 4, "score": 0.5, "tags": ["a", None]}, {"prompt": "é", "answer": 2**70}]
    array = np.arange(6, dtype=np.int32).reshape(3, 2)
    table = pa.table({"a": [1, None, 3], "b": ["x", "", None], "c": [[1.5], [], None], "d": [True, False, None]})
    assert [digest(rows), digest(array), digest(table)] == GOLDEN
    code = "from rldk.provenance.fingerprints.dataset import fingerprint; print(fingerprint([{'b', 'a', 'c'}]).digest)"
    words = [sys.executable, "-c", code]
    ran = {subprocess.run(words, capture_output=True, text=True, check=True).stdout for _ in "ab"}
    assert len(ran) == 1


GOLDEN = [
    "9ae96e41c3cfd8c6aa4b5ca310cc1ebb221c7a09f6253da918a70d936def9383",
    "cc1e96a28c0808857fc89f50e3fe5e1e183bcffefcbae0b1523407fff97c954e",
    "80bd94cc6a3d7bc4e47c27a46eacb4a50533cca84d17ddb2968a50d38fa4d247",
]


class Opaque:
    pass


def test_a_plan_of_polars_is_refused_with_what_to_call() -> None:
    plan = type("LazyFrame", (), {"__module__": "polars.lazyframe.frame", "collect": lambda self: self})()
    with pytest.raises(MalformedInput, match="LazyFrame") as refused:
        fingerprint(plan)
    assert "collect()" in str(refused.value.hint)


@pytest.mark.parametrize(
    ("row", "path"),
    [
        ({"a": [1, Opaque()]}, "row 1['a'][1] is a "),
        ({"a": {"b": {1: lambda: 0}}}, "row 1['a']['b'][1] is a function"),
        ({"a": {"deep": Opaque}}, "row 1['a']['deep'] is a "),
    ],
)
def test_a_value_without_content_is_refused_with_its_path(row: Any, path: str) -> None:
    with pytest.raises(MalformedInput, match="no content") as caught:
        fingerprint([{"a": 1}, row])
    assert caught.value.message.startswith(path)


def test_values_that_json_does_not_have() -> None:
    day = datetime.datetime(2026, 11, 29, tzinfo=datetime.UTC)
    values = [
        b"a",
        "a",
        day,
        day.isoformat(),
        np.float64(1.5),
        float("nan"),
        None,
        "\ud800",
        "\ud801",
        2**64,
        2**65,
        "0x1",
    ]
    assert len({canonical(value) for value in values}) == len(values)
    assert canonical(np.int64(3)) == canonical(3)
    assert canonical((1, 2)) == canonical([1, 2])
    assert canonical(np.arange(3)) != canonical(np.arange(3.0)) != canonical(np.arange(3.0).reshape(3, 1))
    assert canonical(np.arange(3, dtype=">i4")) == canonical(np.arange(3, dtype="<i4"))


def test_files_have_the_digest_of_their_content(tmp_path: Path) -> None:
    rows = [{"a": 1, "b": "x"}, {"a": 2, "b": None}]
    lines, crlf, spaced = tmp_path / "a.jsonl", tmp_path / "b.jsonl", tmp_path / "c.jsonl"
    lines.write_text("".join(json.dumps(row) + "\n" for row in rows))
    crlf.write_bytes(b"\r\n".join(json.dumps(row).encode() for row in rows))
    spaced.write_text("\n".join(json.dumps(row, indent=None, separators=(" , ", " : ")) for row in rows) + "\n\n")
    assert digest(lines) == digest(str(crlf)) == digest(spaced) == digest(rows)
    table, other = tmp_path / "a.csv", tmp_path / "b.csv"
    table.write_text("a,b\n1,x\n2,\n")
    other.write_text('"a","b"\n"1","x"\n"2",""\n')
    assert digest(table) == digest(other) != digest(lines)
    np.save(tmp_path / "a.npy", np.eye(3))
    assert digest(tmp_path / "a.npy") == digest(np.eye(3))


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text('{"a": 1}\n{"a"\n')
    with pytest.raises(MalformedInput, match="line 2"):
        fingerprint(tmp_path / "bad.jsonl")
    (tmp_path / "bad.parquet").write_text("no table")
    with pytest.raises(NotALog, match="Parquet"):
        fingerprint(tmp_path / "bad.parquet")
    with pytest.raises(UnreadableSource, match="no-such"):
        fingerprint(tmp_path / "no-such.jsonl")
    for data, why in (({"a": 1}, "no dataset"), (7, "no dataset"), (np.array([None]), "objects")):
        with pytest.raises(MalformedInput, match=why):
            fingerprint(data)
    with pytest.raises(MalformedInput, match="one type"):
        fingerprint(pd.DataFrame({"a": [1, "x", object()]}))
    with pytest.raises(UnknownName, match="sha0"):
        fingerprint([], algorithm="sha0")


def test_a_directory_is_its_files(tmp_path: Path) -> None:
    def made(name: str, *files: tuple[str, str]) -> Path:
        for path, text in files:
            place = tmp_path / name / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
        return tmp_path / name

    first = made("a", ("x/1.txt", "one"), ("2.txt", "two"))
    assert digest(first) == digest(made("b", ("2.txt", "two"), ("x/1.txt", "one")))
    assert digest(first) != digest(made("c", ("x/1.txt", "one"), ("3.txt", "two")))
    assert digest(first) != digest(made("d", ("x/1.txt", "onetwo"), ("2.txt", "")))
    found = diff_datasets(first, made("e", ("x/1.txt", "ONE"), ("4.txt", "")))
    assert (found.files_changed, found.columns_added, found.columns_removed) == (("x/1.txt",), ("4.txt",), ("2.txt",))
    assert not diff_datasets(first / "2.txt", first / "x" / "1.txt").same


@given(st.integers(0, 40), st.integers(1, 5), st.sampled_from(["<f8", "<i4", "|u1", "<c8", "|b1"]))
def test_arrays_count_by_content_type_and_shape(rows: int, width: int, dtype: str) -> None:
    array = (np.arange(rows * width) % 7).reshape(rows, width).astype(dtype)
    same = (array.copy(order="F"), array.astype(array.dtype.newbyteorder(">")), np.repeat(array, 2, axis=0)[::2])
    assert {digest(one) for one in same} == {digest(array)}
    assert digest(array) != digest(array.reshape(-1)) or rows == 0
    if rows:
        other = array.copy()
        other[rows // 2, width - 1] = (
            not other[rows // 2, width - 1] if dtype == "|b1" else other[rows // 2, width - 1] + 1
        )
        assert digest(other) != digest(array)
        assert diff_datasets(array, other).changed == ((rows // 2, rows // 2),)


COLUMNS: dict[str, pa.Array] = {
    "int": pa.array([1, None, 3, -4, 5]),
    "small": pa.array([1, 2, None, 4, 5], pa.int8()),
    "float": pa.array([0.5, None, float("nan"), -0.0, 1e300]),
    "half": pa.array(np.array([1, 2, 3, 4, 5], np.float16)),
    "bool": pa.array([True, None, False, True, False]),
    "text": pa.array(["a", "", None, "é" * 9, "b"]),
    "large": pa.array(["a", "", None, "é" * 9, "b"], pa.large_string()),
    "bytes": pa.array([b"\0", b"", None, b"xy", b"z"]),
    "fixed": pa.array([b"ab", None, b"cd", b"ef", b"gh"], pa.binary(2)),
    "day": pa.array([datetime.date(2026, 1, i) for i in range(1, 5)] + [None]),
    "time": pa.array([1, 2, None, 4, 5], pa.timestamp("us", "UTC")),
    "decimal": pa.array([1, None, 3, 4, 5], pa.decimal128(9, 2)),
    "list": pa.array([[1, 2], [], None, [None], [3]]),
    "nested": pa.array([[["a"], []], None, [], [[None, "b"]], [["c"]]]),
    "pair": pa.array([[1, 2], [3, 4], None, [5, 6], [7, 8]], pa.list_(pa.int32(), 2)),
    "struct": pa.array([{"x": 1, "y": "a"}, None, {"x": None, "y": "b"}, {"x": 3, "y": None}, {"x": 4, "y": "d"}]),
    "words": pa.array(["a", "b", "a", None, "b"]).dictionary_encode(),
    "map": pa.array([[("a", 1)], [], None, [("b", 2), ("c", None)], [("d", 4)]], pa.map_(pa.string(), pa.int64())),
    "null": pa.nulls(5),
}


@each_of("name", COLUMNS)
def test_a_column_counts_by_its_values_alone(name: str) -> None:
    column = COLUMNS[name]
    whole = digest(pa.table({"c": column}))
    around = pa.concat_arrays([column, column, column])
    pieces = pa.chunked_array([around.slice(5, 2), around.slice(12, 0), around.slice(7, 1), around.slice(13, 2)])
    assert pieces.to_pylist()[:3] == column.to_pylist()[:3] or name == "float"
    assert digest(pa.table({"c": pieces})) == whole
    assert digest(pa.table({"c": column.take(pa.array([0, 1, 2, 3, 4]))})) == whole
    if name != "null":
        assert (
            len({digest(pa.table({"c": column.take(pa.array(order))})) for order in ([0, 1, 2, 3, 4], [4, 1, 2, 3, 0])})
            == 2
        )
        assert digest(pa.table({"c": pa.concat_arrays([column.slice(0, 4), pa.nulls(1, column.type)])})) != whole or (
            not column[4].is_valid
        )


def test_what_lies_below_a_null_does_not_count() -> None:
    validity = pa.py_buffer(bytes([0b101]))
    made = [
        pa.Array.from_buffers(pa.int64(), 3, [validity, pa.py_buffer(np.array([1, below, 3], "<i8").tobytes())])
        for below in (0, 99)
    ]
    assert made[0].to_pylist() == made[1].to_pylist() == [1, None, 3]
    assert digest(pa.table({"a": made[0]})) == digest(pa.table({"a": made[1]}))
    assert digest(pa.table({"a": made[0]})) != digest(pa.table({"a": pa.array([1, 0, 3])}))


def test_names_types_and_order_of_columns_count() -> None:
    table = pa.table({"a": [1, 2], "b": ["x", "y"]})
    others = (
        table.rename_columns(["a", "c"]),
        table.select(["b", "a"]),
        table.set_column(0, "a", pa.array([1, 2], pa.int32())),
        table.slice(0, 1),
        pa.concat_tables([table, table]),
    )
    assert len({digest(one) for one in (table, *others)}) == 6
    assert digest(table.set_column(1, "b", pa.array(["x", "y"], pa.large_string()))) == digest(table)
    assert digest(table.replace_schema_metadata({"made": "today"})) == digest(table)


def test_a_table_is_the_same_wherever_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrow, "LEAF_ROWS", 7)
    frame = pd.DataFrame({"a": np.arange(50), "b": [f"t{i}" for i in range(50)], "c": np.linspace(0, 1, 50)})
    table = pa.Table.from_pandas(frame)
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=11)
    batches = [digest(pa.Table.from_batches(table.to_batches(max_chunksize=size))) for size in (1, 3, 50)]
    assert {digest(frame), digest(table), digest(tmp_path / "t.parquet"), *batches} == {digest(table)}
    assert digest(frame.set_index("b")) != digest(frame)
    assert fingerprint(frame).columns == ("a", "b", "c")


def _rows(n: int) -> list[dict[str, Any]]:
    return [{"id": i, "text": f"row {i}"} for i in range(n)]


def test_rows_that_changed_moved_came_and_went_are_named() -> None:
    rows = _rows(30)
    changed = [*rows[:7], {"id": 7, "text": "other"}, *rows[8:]]
    assert diff_datasets(rows, changed).changed == ((7, 7),)
    assert diff_datasets(rows, [*rows[:5], {"id": -1}, *rows[5:]]).added == (5,)
    assert diff_datasets(rows, rows[:9] + rows[11:]).removed == (9, 10)
    swapped = [*rows[:3], rows[8], *rows[4:8], rows[3], *rows[9:]]
    assert diff_datasets(rows, swapped).moved == ((3, 8), (8, 3))
    mixed = [*rows[:2], *rows[3:6], {"id": 6, "text": "new"}, *rows[7:], rows[2], {"id": 99}]
    found = diff_datasets(rows, mixed)
    assert (found.changed, found.moved, found.added, found.removed) == (((6, 5),), ((2, 29),), (30,), ())
    assert (found.exact, found.same, found.rows) == (True, False, (30, 31))
    assert diff_datasets(rows, list(rows)).same


def test_rows_are_matched_one_by_one_up_to_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    before, after = [1, 2, 3, 4], [10, 2, 30]
    for most, matched in [(4, True), (3, False)]:
        monkeypatch.setattr("rldk.provenance.fingerprints.difference.MOST", most)
        found = diff_datasets(before, after)
        assert (found.changed == ((0, 0),), len(found.removed)) == (matched, 2 if matched else 3), most


@given(st.lists(st.integers(0, 5), max_size=14), st.lists(st.integers(0, 5), max_size=14))
def test_the_difference_makes_one_dataset_of_the_other(before: list[int], after: list[int]) -> None:
    found = diff_datasets(before, after)
    came = {k for _, k in found.changed} | set(found.added)
    gone = {i for i, _ in found.changed} | set(found.removed)
    assert sorted(x for i, x in enumerate(before) if i not in gone) == sorted(
        x for k, x in enumerate(after) if k not in came
    )
    assert all(before[i] == after[k] for i, k in found.moved)
    assert all(before[i] != after[k] for i, k in found.changed)
    assert found.same == (before == after)


def test_without_digests_of_rows_the_leaves_that_differ_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrow, "LEAF_ROWS", 10)
    table = pa.table({"a": list(range(45))})
    other = pa.table({"a": [*range(23), -1, *range(24, 45)]})
    found = difference(fingerprint(table), fingerprint(other))
    assert (found.exact, [(r.first, r.last) for r in found.regions]) == (False, [(20, 29)])
    assert diff_datasets(table, other).changed == ((23, 23),)
    longer = difference(fingerprint(table), fingerprint(pa.table({"a": list(range(61))})))
    assert [(r.first, r.last) for r in longer.regions] == [(40, 60)]


def test_columns_that_came_and_went_are_named() -> None:
    found = diff_datasets([{"a": 1, "b": 2}], [{"a": 1, "c": 2}])
    assert (found.columns_added, found.columns_removed) == (("c",), ("b",))


def test_a_sample_is_marked_and_never_equals_the_whole() -> None:
    rows = _rows(20)
    first = fingerprint(iter(rows), max_rows=5)
    assert (first.sampled, first.rows) == (5, 5)
    assert first.digest != digest(rows[:5])
    assert fingerprint(rows, max_rows=20) == fingerprint(rows)
    assert fingerprint(np.arange(9), max_rows=3).sampled == 3
    assert fingerprint(pa.table({"a": range(9)}), max_rows=3).sampled == 3

    def endless() -> Iterator[int]:
        while True:
            yield 1

    assert fingerprint(endless(), max_rows=4).sampled == 4
    with pytest.raises(UsageError, match="sample"):
        difference(first, fingerprint(rows))


def test_fingerprints_of_other_kinds_are_not_compared() -> None:
    with pytest.raises(UsageError, match="kind"):
        diff_datasets([1, 2], np.arange(2))
    with pytest.raises(UsageError, match="algorithm"):
        difference(fingerprint([1]), fingerprint([1], algorithm="sha512"))


def test_the_order_of_rows_can_be_left_out() -> None:
    rows = _rows(9)
    found = [fingerprint(one, row_digests=True) for one in (rows, rows[::-1], rows[:8])]
    assert found[0].unordered == found[1].unordered != found[2].unordered
    assert found[0].digest != found[1].digest


def test_a_hash_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "blake3", None)
    with pytest.raises(MissingExtra, match="hash"):
        fingerprint([], algorithm="blake3")


def rldk(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, list(words))
    return result.exit_code, result.output


def test_the_command_names_rows(tmp_path: Path) -> None:
    before, after = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    before.write_text("".join(f'{{"id": {i}}}\n' for i in range(9)))
    after.write_text("".join(f'{{"id": {i + 10 * (i == 4)}}}\n' for i in range(10)))
    code, said = rldk("dataset", "diff", str(before), str(after))
    assert (code, said.splitlines()[0]) == (1, "1 changed, 1 added; 9 rows before, 10 after.")
    assert "row 9" in said
    code, said = rldk("dataset", "diff", str(before), str(after), "--json")
    assert (code, json.loads(said)["changed"], json.loads(said)["added"]) == (1, [[4, 4]], [9])
    code, said = rldk("dataset", "diff", str(before), str(before))
    assert (code, said) == (0, "Both have the same 9 rows in the same order.\n")
    assert rldk("dataset", "diff", str(before), str(tmp_path / "none.jsonl"))[0] == 3


def test_the_command_prints_digests(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"id": 1}\n{"id": 2}\n')
    (one,) = json.loads(rldk("dataset", "fingerprint", str(path), "--json", "--rows")[1])["datasets"]
    assert (one["digest"], one["rows"], one["columns"]) == (digest(path), 2, ["id"])
    code, said = rldk("dataset", "fingerprint", str(path), "--max-rows", "1")
    assert (code, "SAMPLED" in said, f"sha256:{digest(path)}" in said) == (0, True, False)
    assert rldk("dataset", "fingerprint", str(path), "--algorithm", "crc")[0] == 2


def test_ranges() -> None:
    assert [(r.first, r.last) for r in spans((1, 2, 3, 7, 9, 10))] == [(1, 3), (7, 7), (9, 10)]
    assert spans(()) == ()
