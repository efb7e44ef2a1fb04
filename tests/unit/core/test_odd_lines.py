"""Lines that are no strict JSON, or whose values change their type, mean the same read quickly or one by one."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from examples import at_most
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rldk.core import merge
from rldk.core.decoding import typed
from rldk.core.decoding.mending import quote_non_json
from rldk.core.jsonl import Decoded, Decoder, decode
from rldk.core.records import BadLine, parse
from rldk.core.table import Row

NUMBERS = ["1", "0.5", "-3e-4", "NaN", "Infinity", "-Infinity", "null", "true", "1e400", "1" * 30]
TEXTS = [
    '"0.25"',
    '"NaN"',
    '"n/a"',
    '"1_0"',
    '"-inf"',
    '"a: NaN, b"',
    '"caf\udce9"',
    '"\\u004eaN"',
    '" 7 "',
    '"٣"',
    '""',
    '"null"',
    '"-0"',
    '"-0.0"',
    '"+inf"',
    '"true"',
    '"1"',
    '"1e400"',
    '"n\\u0061n"',
]
OTHERS = ['{"deep": NaN}', "[NaN, 1]", "nan", "NaN5", '"cut', "{}", '"a\\NaN"']
STEPS = ["{i}", "{i}.0", '"{i}"', '"{i}/900"', "null", "NaN", "1.5", '"NaN"', "true", "1e300"]
VALUE = st.sampled_from(NUMBERS * 3 + TEXTS * 2 + OTHERS)
STEP = st.sampled_from(STEPS[:3] * 6 + STEPS)
NAME = st.sampled_from(['"loss"'] * 9 + ["NaN", '"kl"', "1"])
INNER = st.sampled_from(['{"loss": NaN}', '{"loss": 1, "kl": "0.5"}', "NaN", "{}"])
WIDE = st.fixed_dictionaries({"step": STEP, "loss": VALUE}, optional={"kl": VALUE, "time": VALUE, "note": VALUE})
KEPT = st.sampled_from(["null", '"null"', '""', '"a"', "1", "true", "NaN", "[1]"])
NAMED = st.fixed_dictionaries({"step": STEP, "loss": VALUE}, optional={"run_id": KEPT, "phase": KEPT, "ok": KEPT})
EVENT = st.fixed_dictionaries({"step": STEP, "name": NAME, "value": VALUE})
ROW = st.fixed_dictionaries({"step": STEP, "metrics": INNER})
KINDS = [("wide", WIDE), ("wide", NAMED), ("event", EVENT), ("row", ROW), ("wide", EVENT), ("event", WIDE)]
OPENINGS = {
    "wide": '{{"step": {i}, "loss": 0.5, "kl": 1}}',
    "event": '{{"step": {i}, "name": "loss", "value": 0.5}}',
    "row": '{{"step": {i}, "metrics": {{"loss": 0.5, "kl": NaN}}}}',
}
PIECES = ['"', "\\", "NaN", ": ", ":", "-Infinity", ",", "{", "}", "a", "1", "[", "]", "\udcff"]
WORDS = {math.inf: "Infinity", -math.inf: "-Infinity"}


@pytest.mark.parametrize("null_is_nan", [False, True])
@pytest.mark.parametrize(("opening", "line"), KINDS)
@settings(max_examples=at_most(40), suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data(), space=st.sampled_from([" ", "", "\t"]), times=st.integers(1, 4))
def test_quick_and_slow_agree(
    tmp_path: Path, opening: str, line: Any, null_is_nan: bool, data: st.DataObject, space: str, times: int
) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(_text(opening, data.draw(st.lists(line, min_size=1, max_size=12)) * times, space))
    quick = decode(path, null_is_nan=null_is_nan)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(typed, "MAX_REBUILDS", -1)  # then no line takes the quick path
        slow = decode(path, null_is_nan=null_is_nan)
    assert quick.lines == quick.records + quick.rejected_count == path.read_bytes().count(b"\n")
    assert _said(quick) == _said(slow)


@pytest.mark.parametrize(("opening", "line"), KINDS)
@settings(max_examples=at_most(15), suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data(), size=st.integers(1, 4000))
def test_live_rows_are_those_of_the_whole_file(
    tmp_path: Path, opening: str, line: Any, data: st.DataObject, size: int
) -> None:
    path = tmp_path / "log.jsonl"
    text = _text(opening, data.draw(st.lists(line, min_size=1, max_size=12)), " ")
    path.write_bytes(text)
    live, rows = Decoder(), list[Row]()
    for start in range(0, len(text), size):
        rows += live.feed(text[start : start + size])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(merge, "merge_rows", lambda table, **_: table)  # live rows are joined later
        assert _rows([*rows, *live.finish()]) == _rows(decode(path).table.rows())


def _rows(rows: Iterable[Row]) -> list[str]:
    return [repr((r.step, r.phase, r.segment, r.time, sorted(r.values.items()))) for r in rows]


def _text(opening: str, lines: list[dict[str, str]], space: str) -> bytes:
    made = [OPENINGS[opening].format(i=i) for i in range(100)]
    for i, line in enumerate(lines, start=100):
        cells = [f'"{key}":{space}{value.replace("{i}", str(i))}' for key, value in line.items()]
        made.append("{" + ", ".join(cells) + "}")
    return "\n".join([*made, ""]).encode("utf-8", "surrogateescape")


def _said(decoded: Decoded) -> dict[str, object]:
    """All that was decoded, in a form in which NaN equals NaN."""
    table = decoded.table
    stated = sorted((name, [*rows]) for name, rows in table.stated_nan.items() if len(rows))
    return {
        "columns": repr(sorted((name, column.tolist()) for name, column in table.columns.items())),
        "rows": repr([table.step.tolist(), table.phase.tolist(), table.segment.tolist(), table.time.tolist()]),
        "stated": repr(stated),
        "rejected": [(each.line, each.offset, each.reason, each.excerpt) for each in decoded.rejected],
        "counts": (decoded.lines, decoded.records, decoded.rejected_count),
        "meta": repr(sorted(decoded.meta.items())),
    }


@pytest.mark.parametrize("text", [b'{"a": 1}', b'{"a": "x"}', '{"a": "é"}'.encode()])
def test_what_is_well_is_left_as_it_is(text: bytes) -> None:
    assert quote_non_json(text) is text


@given(st.lists(st.sampled_from(PIECES), max_size=20))
def test_what_is_mended_means_the_same(pieces: list[str]) -> None:
    text = ('{"k": ' + "".join(pieces) + "}").encode("utf-8", "surrogateescape")
    try:
        after = parse(quote_non_json(text))
    except BadLine:
        return
    assert _worded(parse(text)) == _worded(after)


def _worded(value: object) -> object:
    """The value with the words that `mended` makes of what is no finite number."""
    if isinstance(value, dict):
        return {key: _worded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_worded(item) for item in value]
    return ("NaN" if value != value else WORDS.get(value, value)) if isinstance(value, float) else value


def test_a_file_may_change_how_it_writes_nan(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    spaced = [f'{{"step": {i}, "a": NaN, "b": {i}.5}}' for i in range(4000)]
    tight = [f'{{"step":{i},"a":{"-Infinity" if i % 2 else "NaN"},"b":{i}.5}}' for i in range(4000, 8000)]
    path.write_text("\n".join([*spaced, *tight, *[line.replace("NaN", "0.25") for line in spaced]]) + "\n")
    found = decode(path)
    assert (found.records, found.rejected_count) == (12_000, 0)
    a = found.table.columns["a"]
    assert len(found.table.stated_nan["a"]) == 6000
    assert (a == -math.inf).sum() == 2000
    assert (a == 0.25).sum() == 4000
