from __future__ import annotations

import gzip
import io
import math
from pathlib import Path

from examples import each_of
from hypothesis import given
from hypothesis import strategies as st

from rldk.adapters.wire.console import clean, clean_lines, dict_items, number, pieces
from rldk.core.lines import MAX_LINE

values = st.one_of(st.floats(), st.integers(), st.none(), st.text(), st.booleans())


def test_redraws_are_texts_of_one_line_with_offsets_of_their_own() -> None:
    data = b"\xef\xbb\xbfstart\r\n 10%|#\r 20%|##\r\n\nend"
    assert list(clean_lines(io.BytesIO(data))) == [
        (1, 0, "start"), (2, 10, " 10%|#"), (2, 17, " 20%|##"), (4, 27, "end"),
    ]  # fmt: skip


@each_of(
    "line",
    [
        b"\x1b[36m(TaskRunner pid=38606)\x1b[0m step:3",
        b"(main_task pid=7, ip=10.0.0.3) step:3\x1b[A",
        b"\x1b]8;;http://example.org\x07step:3\x1b]8;;\x1b\\",
        b"\x1b[36m(pid=9)\x1b[0m step:3\x1b[32m [repeated 2x across cluster]\x1b[0m",
    ],
)
def test_escapes_and_ray_marks_are_taken_away(line: bytes) -> None:
    assert clean(line) == "step:3"


def test_an_actor_name_in_the_text_stays() -> None:
    assert clean(b"step (TaskRunner pid=3) x") == "step (TaskRunner pid=3) x"


@each_of(
    ("text", "value"),
    [
        ("np.float64(0.0012)", 0.0012),
        ("np.int32(2)", 2.0),
        ("tensor(0.5, device='cuda:0')", 0.5),
        ("'4.2e-05'", 4.2e-05),
        ("-inf", -math.inf),
        ("1e400", math.inf),
        ("None", None),
        ("True", None),
        ("1_0", None),
        ("__import__('os')", None),
    ],
)
def test_printed_numbers(text: str, value: float | None) -> None:
    assert number(text) == value


def test_a_printed_nan_is_a_nan() -> None:
    assert math.isnan(number("np.float64(nan)") or 0.0)


@given(st.dictionaries(st.text(), st.one_of(values, st.lists(values), st.dictionaries(st.text(), values))))
def test_a_printed_dict_is_taken_apart_as_python_wrote_it(data: dict[str, object]) -> None:
    found = dict_items(f"x {data!r} y", 2)
    assert found is not None
    assert found == ({repr(k)[1:-1]: repr(v) for k, v in data.items()}, 2 + len(repr(data)))


@given(st.dictionaries(st.text(), values, min_size=1), st.data())
def test_a_cut_dict_is_none(data: dict[str, object], draw: st.DataObject) -> None:
    text = repr(data)
    assert dict_items(text[: draw.draw(st.integers(0, len(text) - 1))]) is None


def test_the_last_line_without_newline_is_not_whole(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"a\nb")
    assert [(p.text, p.whole) for p in pieces(tmp_path / "log")] == [("a", True), ("b", False)]


def test_an_overlong_line_is_cut_and_the_next_one_read(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"x" * (MAX_LINE + 1) + b"\nb\n")
    first, second = pieces(tmp_path / "log")
    assert (len(first.text) < 100, first.whole, second.text, second.line) == (True, False, "b", 2)


def test_a_cut_archive_gives_what_it_had_and_says_so(tmp_path: Path) -> None:
    noise = b"".join(b"%d\n" % (i * i * 7919 % 10007) for i in range(5000))
    (tmp_path / "log.gz").write_bytes(gzip.compress(b"start\n" + noise)[:-3000])
    found = list(pieces(tmp_path / "log.gz"))
    assert (found[0].text, found[-1].whole) == ("start", False)
    assert "breaks off" in found[-1].broken
    assert all(p.whole for p in found[:-2])


@given(st.binary(max_size=400))
def test_any_bytes_are_cut_without_loss_of_line_numbers(data: bytes) -> None:
    found = [line for line, _, _ in clean_lines(io.BytesIO(data))]
    assert found == sorted(found)
    assert all(1 <= line <= data.count(b"\n") + 1 for line in found)
