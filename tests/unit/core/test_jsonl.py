from __future__ import annotations

import gzip
import json
import math
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from examples import each_of
from hypothesis import given, settings
from hypothesis import strategies as st

from rldk.core.jsonl import Decoded, Decoder, decode
from rldk.core.table import MetricTable
from rldk.errors import InputError, MalformedInput, UnreadableSource


def decoded(tmp_path: Path, data: str | bytes, **options: object) -> Decoded:
    path = tmp_path / "log.jsonl"
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return decode(path, **options)  # type: ignore[arg-type]


def lines(*objects: object) -> str:
    return "".join(json.dumps(obj) + "\n" for obj in objects)


def cells(table: MetricTable) -> list[tuple[int, str, dict[str, str]]]:
    return [(row.step, row.phase, {k: repr(v) for k, v in sorted(row.values.items())}) for row in table.rows()]


def test_the_three_forms_give_the_same_table(tmp_path: Path) -> None:
    wide = lines({"step": 1, "kl": 0.5, "loss": 2}, {"step": 2, "kl": 0.25, "loss": 1})
    row = lines({"step": 1, "metrics": {"kl": 0.5, "loss": 2}}, {"step": 2, "metrics": {"kl": 0.25, "loss": 1}})
    scalar = lines(*({"step": s, "name": n, "value": v} for s, n, v in
                     [(1, "kl", 0.5), (1, "loss", 2), (2, "kl", 0.25), (2, "loss", 1)]))  # fmt: skip
    tables = [cells(decoded(tmp_path, text).table) for text in (wide, row, scalar)]
    assert tables[0] == tables[1] == tables[2] == [
        (1, "train", {"kl": "0.5", "loss": "2.0"}), (2, "train", {"kl": "0.25", "loss": "1.0"})]  # fmt: skip


def test_a_name_seen_again_starts_a_new_row(tmp_path: Path) -> None:
    table = decoded(tmp_path, lines(*({"step": 1, "name": "kl", "value": v} for v in (1, 2, 3)))).table
    assert table.columns["kl"].tolist() == [1, 2, 3]


def test_a_source_that_says_nan_is_told_from_one_that_says_nothing(tmp_path: Path) -> None:
    text = '{"step":1,"kl":NaN}\n{"step":2,"kl":null}\n{"step":3}\n{"step":4,"kl":"nan"}\n{"step":5,"kl":-Infinity}\n'
    table = decoded(tmp_path, text).table
    assert table.stated_nan["kl"].tolist() == [0, 3]
    assert table.columns["kl"][4] == -math.inf


def test_null_is_a_stated_nan_where_the_format_means_that(tmp_path: Path) -> None:
    text = lines(*({"step": i, "data": {"kl": None if i % 3 == 0 else 0.1}} for i in range(300)))
    table = decoded(tmp_path, text, envelope="data", null_is_nan=True).table
    assert table.stated_nan["kl"].tolist() == list(range(0, 300, 3))


@each_of(
    ("text", "value"),
    [
        ("1e400", math.inf),
        ('"0.25"', 0.25),
        ("true", 1.0),
        ("false", 0.0),
        ("9" * 400, math.inf),
        ('" -inf "', -math.inf),
    ],
)
def test_odd_numbers_are_kept(tmp_path: Path, text: str, value: float) -> None:
    assert decoded(tmp_path, f'{{"step":1,"x":{text}}}\n').table.columns["x"].tolist() == [value]


@each_of("text", ['"high"', "[1,2]", '"1_0"', '""', "null", '"٣"'])
def test_what_is_no_number_is_no_metric(tmp_path: Path, text: str) -> None:
    result = decoded(tmp_path, f'{{"step":1,"x":{text},"y":1}}\n'.encode())
    assert list(result.table.columns) == ["y"]
    assert result.rejected_count == 0


def test_bad_lines_are_named_and_good_ones_kept(tmp_path: Path) -> None:
    first = b'\xef\xbb\xbf{"step":1,"kl":1}\n\n{"step":2,"kl"\n[1]\n{"step":2.5}\n'
    data = first + b'{"step":3,"kl":2,"note":"\xff"}\n{"step":4,"k'
    result = decoded(tmp_path, data)
    assert result.table.step.tolist() == [1, 3]
    assert (result.lines, result.records, result.rejected_count) == (6, 2, 4)
    assert [(r.line, r.offset, r.reason) for r in result.rejected] == [
        (3, 22, "not JSON: Expecting ':' delimiter at column 15"),
        (4, 37, "not an object but a list"),
        (5, 41, "step is not a whole number: 2.5"),
        (7, 83, "the last line is torn"),
    ]


@pytest.mark.parametrize("count", [4, 400])
def test_a_nested_clock_that_is_no_whole_number_is_one_rejected_line(tmp_path: Path, count: int) -> None:
    rows = [{"step": i, "metrics": {"loss": 1.0, "total": 10 * i}} for i in range(count)]
    rows[count - 1]["metrics"] = {"loss": 1.0, "total": 18240.18}
    result = decoded(tmp_path, lines(*rows), step_key="total")
    assert (len(result.table.step), [bad.reason for bad in result.rejected]) == (
        count - 1,
        ["step is not a whole number: 18240.18"],
    )


def test_offsets_point_at_the_line(tmp_path: Path) -> None:
    rows = [json.dumps({"step": i, "kl": i / 7}) if i % 17 else "tqdm 50%" for i in range(4_000)]
    data = "\r\n".join(rows).encode()
    result = decoded(tmp_path, data)
    assert result.rejected_count == 236
    assert all(data[r.offset :].startswith(r.excerpt.encode()) for r in result.rejected)
    assert [r.line for r in result.rejected] == [i * 17 + 1 for i in range(20)]


def test_a_last_line_without_newline_that_reads_is_a_row(tmp_path: Path) -> None:
    assert decoded(tmp_path, '{"step":1,"kl":1}\n{"step":2,"kl":2}').table.step.tolist() == [1, 2]


def test_a_line_over_the_limit_is_dropped_as_it_comes(tmp_path: Path) -> None:
    long = b'{"step":2,"text":"' + b"x" * (11 << 20) + b'"}\n'
    result = decoded(tmp_path, b'{"step":1,"kl":1}\n' + long + b'{"step":3,"kl":1}\n')
    assert result.table.step.tolist() == [1, 3]
    assert (result.rejected[0].reason, result.rejected[0].offset) == ("the line is longer than 10 MB", 18)
    assert result.rejected[0].excerpt.startswith('{"step":2,"text":"xx')


def test_nested_metrics_are_joined_with_slashes(tmp_path: Path) -> None:
    text = lines({"training_iteration": 7, "learners": {"default": {"kl": 0.1}}, "seed": 3, "run_id": "a"})
    result = decoded(tmp_path, text)
    assert cells(result.table) == [(7, "train", {"learners/default/kl": "0.1"})]
    assert result.meta == {"seed": 3, "run_id": "a"}


def test_nesting_without_end_is_one_rejected_line(tmp_path: Path) -> None:
    result = decoded(tmp_path, '{"step":1,"kl":' + '{"a":' * 5000 + "1" + "}" * 5001 + '\n{"step":2,"kl":1}\n')
    assert result.table.step.tolist()[-1] == 2
    assert result.records + result.rejected_count == 2


def test_the_clock_is_the_key_most_rows_have(tmp_path: Path) -> None:
    text = lines({"step": 99}, *({"global_step": i, "iteration": 2 * i, "x": 1.0} for i in range(1, 9)))
    assert decoded(tmp_path, text).table.step.tolist() == [0, *range(1, 9)]
    assert decoded(tmp_path, text, step_key="iteration").table.step.tolist()[1:] == list(range(2, 18, 2))


def test_rows_without_any_clock_are_numbered(tmp_path: Path) -> None:
    assert decoded(tmp_path, lines(*({"epoch": 0.5, "x": i} for i in range(300)))).table.step.tolist() == list(
        range(300)
    )


def test_restarts_are_segments_and_eval_rows_keep_their_phase(tmp_path: Path) -> None:
    steps = [(1, "train"), (2, "train"), (2, "eval"), (3, "train"), (2, "train"), (2, "eval")]
    table = decoded(tmp_path, lines(*({"step": s, "phase": p, "x": 1} for s, p in steps))).table
    assert table.segment.tolist() == [0, 0, 0, 0, 1, 1]
    assert table.phase.tolist() == [0, 0, 1, 0, 0, 1]


def test_times_are_seconds_also_when_written_as_dates(tmp_path: Path) -> None:
    text = lines({"step": 1, "timestamp": "2026-01-02T03:04:05Z", "x": 1}, {"step": 2, "timestamp": "soon", "x": 1})
    time = decoded(tmp_path, text).table.time
    assert time[0] == 1767323045.0
    assert np.isnan(time[1])


def test_rows_of_one_step_with_other_keys_are_one_row(tmp_path: Path) -> None:
    groups = [{"loss": 1.0}, {"lr": 0.1, "grad": 2.0}, {"time/step": 3.0}]
    text = lines(*({"step": s, **g} for s in range(200) for g in groups))
    result = decoded(tmp_path, text)
    assert (len(result.table), result.records) == (200, 600)
    assert not np.isnan(result.table.columns["grad"]).any()


@pytest.mark.parametrize("pack", [gzip.compress, pytest.param("zstd", id="zstd")])
def test_compressed_logs_are_read(tmp_path: Path, pack: object) -> None:
    if pack == "zstd":
        pack = pytest.importorskip("zstandard").ZstdCompressor().compress
    assert decoded(tmp_path, pack(lines({"step": 1, "kl": 0.5}).encode())).table.step.tolist() == [1]  # type: ignore[operator]


def test_a_cut_archive_loses_only_its_end(tmp_path: Path) -> None:
    rng = random.Random(0)
    whole = gzip.compress(lines(*({"step": i, "x": rng.random()} for i in range(5000))).encode())
    result = decoded(tmp_path, whole[: len(whole) // 2])
    assert 1000 < len(result.table) < 5000
    assert "breaks off" in result.rejected[-1].reason
    assert result.records + result.rejected_count == result.lines


E = '{"step":%d,"name":"kl","value":0.5}'


@each_of(
    "bad",
    [
        [E % 1 + E % 2],  # two objects on a line
        [E % 1 + " " + E % 2, '{"step":3,', '"name":"kl","value":1}'],  # and one object on two lines to make up for it
        [E % 1 + "," + E % 2, '{"step":3,"name":"a}', '{b","value":1}'],
        [E % 1 + E % 2, '{"step":3,"tags":{}', '"name":"kl","value":1}'],
    ],
)
def test_lines_read_together_are_still_lines(tmp_path: Path, bad: list[str]) -> None:
    good = [E % i for i in range(300)]
    result = decoded(tmp_path, "\n".join([*good, *bad, *good]) + "\n")
    assert (result.records, result.rejected_count) == (600, len(bad))


def test_strict_names_file_line_and_offset(tmp_path: Path) -> None:
    with pytest.raises(MalformedInput, match=r"log\.jsonl, line 2, byte 18: not JSON"):
        decoded(tmp_path, '{"step":1,"kl":1}\n{oops}\n', strict=True)


def test_a_file_that_is_not_there_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(UnreadableSource, match="cannot read"):
        decode(tmp_path / "none.jsonl")


def test_a_new_key_on_every_row_is_refused_before_memory_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rldk.core.table.MAX_CELLS", 100_000)
    with pytest.raises(InputError, match="different metrics"):
        decoded(tmp_path, lines(*({"step": i, f"k{i}": 1} for i in range(400))))


NUMBERS = st.one_of(st.floats(), st.integers(), st.booleans(), st.none(), st.sampled_from(["NaN", "0.5", "high", ""]))
KEYS = st.sampled_from(["kl", "loss", "a/b", "a", "b", "name", "value", "phase", "seed", "time", "eval/x", '"', "é"])
VALUES = st.recursive(NUMBERS, lambda inner: st.dictionaries(KEYS, inner, max_size=3) | st.lists(inner, max_size=2))
ROWS = st.dictionaries(KEYS, VALUES, max_size=5).flatmap(
    lambda row: st.sampled_from(
        [row, {"step": 3, **row}, {"step": 3, "metrics": row}, {"name": "kl", "value": 1, **row}]
    )
)


@pytest.mark.slow
@settings(deadline=None)
@given(st.lists(ROWS, min_size=1, max_size=8), st.booleans(), st.data())
def test_quick_and_slow_path_agree_under_any_chunking(
    rows: list[dict[str, object]], null: bool, data: st.DataObject
) -> None:
    text = lines(*rows, *rows, *rows).encode()
    slow = Decoder(null_is_nan=null, sniff_lines=1_000_000)  # every line waits for the layout: none is read quickly
    quick = Decoder(null_is_nan=null, sniff_lines=len(rows))
    expected = slow.feed(text) + slow.finish()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=5)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    found = [row for piece in pieces for row in quick.feed(piece)] + quick.finish()
    assert repr(sorted_rows(found)) == repr(sorted_rows(expected))
    assert (quick.lines, quick.rejected, quick.meta) == (slow.lines, slow.rejected, slow.meta)


def sorted_rows(rows: Sequence[object]) -> Sequence[object]:
    return [(r.step, r.phase, r.segment, r.time, sorted(r.values.items())) for r in rows]  # type: ignore[attr-defined]


@settings(deadline=None)
@given(st.lists(st.binary(max_size=40) | ROWS.map(lambda row: json.dumps(row).encode()), max_size=20))
def test_whatever_the_bytes_every_line_is_counted(tmp_path_factory: pytest.TempPathFactory, parts: list[bytes]) -> None:
    data = b"\n" + b"\n".join(parts)  # the first line blank, or two bytes could make it a gzip archive
    result = decoded(tmp_path_factory.mktemp("any"), data)
    filled = [line for line in data.split(b"\n") if line.strip()]
    assert result.records + result.rejected_count == result.lines == len(filled)


def test_live_rows_equal_the_rows_of_the_whole_file(tmp_path: Path) -> None:
    rng = random.Random(1)
    text = lines(*({"step": i, "kl": rng.random(), "late": i if i > 700 else None} for i in range(1000))).encode()
    decoder = Decoder()
    live = [row for i in range(0, len(text), 997) for row in decoder.feed(text[i : i + 997])] + decoder.finish()
    assert repr(sorted_rows(live)) == repr(sorted_rows(list(decoded(tmp_path, text).table.rows())))


@each_of("value", ["{}", '{"a": 1}', "[1]", '"train"'])
def test_an_event_whose_value_is_no_number_is_a_rejected_line(tmp_path: Path, value: str) -> None:
    lines = [f'{{"step": {i}, "name": "kl", "value": {value if i == 3 else 0.5}}}' for i in range(300)]
    path = tmp_path / "log.jsonl"
    path.write_text("\n".join(lines) + "\n")
    found = decode(path)
    assert (found.lines, found.records, found.rejected_count) == (300, 299, 1)
    assert (found.rejected[0].line, "the value of the event" in found.rejected[0].reason) == (4, True)


def test_a_key_that_is_always_null_makes_no_column_and_one_that_begins_so_a_whole_one(
    tmp_path: Path,
) -> None:
    rows = [{"step": i, "loss": 0.5, "never": None, "later": None if i < 3000 else 1.0} for i in range(4000)]
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    table = decode(tmp_path / "m.jsonl").table
    assert set(table.columns) == {"loss", "later"}
    later = table.columns["later"]
    assert (len(later), int(np.isnan(later).sum())) == (4000, 3000)
