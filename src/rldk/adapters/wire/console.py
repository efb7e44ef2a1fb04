"""Turns terminal output into plain texts without escapes, Ray prefixes and redraws, and printed values into numbers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from rldk.core.lines import Lines, LineSplitter, Overlong, line_size
from rldk.core.records import to_number
from rldk.core.stream import BrokenStream, Openable, chunks
from rldk.core.text import later

# CSI (colours, cursor moves), OSC (titles, hyperlinks), then the two-character escapes
_ESCAPE = later(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])")
_RAY_PREFIX = later(r"\((?:[^()]{1,80} )?pid=\d+(?:, ip=[^()\s]{1,64})?\) ?")
_RAY_SUFFIX = later(r"\[repeated \d+x across (?:cluster|all nodes)\].*")
# the prefixes of loggers: glog, Python's logging and loguru in their usual forms
_LOG_PREFIX = later(
    r"[IWEF]\d{4} [^\]]{8,80}\] |(?:INFO|WARNING|DEBUG|ERROR):[\w.]{1,60}:"
    r"|\[?(?:\d{4}-\d\d-\d\d[ T])?\d\d:\d\d:\d\d[\d.,]{0,8}\]?(?:[^:\d]{0,80}(?: [|>-]|\]) ?)?"
)
_WRAPPED = later(r"[A-Za-z_][\w.]*\(\s*([^\s,()]+)\s*(?:,[^()]*)?\)")
_KEY = later(r"""\s*('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")\s*:\s*""")
_SCALAR = later(r"""(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[\w.+-]+(?:\([^()]*\))?)(?=[,}])""")
# a quote that is never closed runs to the end, so that one pass is linear in the text
_TOKEN = later(r"""'(?:[^'\\]|\\.)*'?|"(?:[^"\\]|\\.)*"?|[\[\](){},]""")


class Piece(NamedTuple):
    """One text as a terminal showed it. `line`: its line, from 1. `offset`: its first byte. A line with redraws has
    several texts.

    `whole`: its end was seen. False for a last line without newline (its last number may be cut) and for a line above
    10 MB; only its beginning is kept. `broken`: why the source stopped here, if it did; then it is the last.
    `closed`: the end of this text was seen, that of a redraw at least.
    """

    line: int
    offset: int
    text: str
    whole: bool = True
    broken: str = ""
    closed: bool = True


def pieces(source: Openable | Path) -> Iterator[Piece]:
    """The texts of a file, without blank ones."""
    cutter = Cutter()
    try:
        for chunk in chunks(source):
            yield from cutter.feed(chunk)
    except BrokenStream as error:
        yield from cutter.finish(f"the file breaks off here: {error}")
        return
    yield from cutter.finish()


class Cutter:
    """Cuts bytes that arrive over time into texts."""

    def __init__(self) -> None:
        self._splitter = LineSplitter()

    def feed(self, data: bytes) -> Iterator[Piece]:
        """The texts of the lines that `data` completes."""
        return _cut(self._splitter.feed(data), whole=True)

    def finish(self, broken: str = "") -> Iterator[Piece]:
        """The texts of a last line without newline, and a mark where the source broke off."""
        end = self._splitter.finish()
        yield from _cut(end, whole=False)
        if broken:
            yield Piece(end.number, end.offset, "", whole=False, broken=broken)


def clean_lines(stream: BinaryIO) -> Iterator[tuple[int, int, str]]:
    """Each text of an open stream as (line number, byte offset, text), without blank ones; see `Piece`.

    A line above 10 MB is cut to its first bytes. The function raises what `stream.read` raises."""
    splitter = LineSplitter()
    while chunk := stream.read(1 << 16):
        yield from (p[:3] for p in _cut(splitter.feed(chunk), whole=True))
    yield from (p[:3] for p in _cut(splitter.finish(), whole=False))


def _cut(batch: Lines, *, whole: bool) -> Iterator[Piece]:
    offset = batch.offset
    for i, line in enumerate(batch.lines):
        complete = whole and not isinstance(line, Overlong)
        start = offset
        redraws = line.split(b"\r")  # tqdm redraws its bar with a carriage return
        for number, part in enumerate(redraws, start=1):
            text = clean(part)
            if text:
                yield Piece(batch.number + i, start, text, complete, closed=complete or number < len(redraws))
            start += len(part) + 1
        offset += line_size(line) + 1


def clean(line: bytes) -> str:
    """The line without escapes, byte-order mark, Ray's actor prefix and "repeated" suffix. Inner indent stays."""
    text = line.decode("utf-8", "replace").lstrip("\ufeff\0")
    if "\x1b" in text:
        text = _ESCAPE.sub("", text)
    prefix = _RAY_PREFIX.match(text)
    if prefix is not None:
        text = text[prefix.end() :]
    if "[repeated " in text:
        text = _RAY_SUFFIX.sub("", text)
    return text.rstrip()


def without_prefix(text: str) -> str:
    """The message that a logger printed, without the time, level and place before it."""
    found = _LOG_PREFIX.match(text)
    return text[found.end() :] if found is not None else text


def number(text: str) -> float | None:
    """The printed value as a float: 0.5, '4.2e-05', nan, np.float64(0.5), tensor(0.5, device='cuda:0'); else None."""
    text = text.strip()
    if text[:1] in ("'", '"') and text[-1:] == text[:1]:
        text = text[1:-1]
    wrapped = _WRAPPED.fullmatch(text)
    return to_number(wrapped[1] if wrapped else text)


def dict_items(text: str, start: int = 0) -> tuple[dict[str, str], int] | None:
    """The keys and value texts of the printed Python dict at `start`, and where it ends; None when it is incomplete.

    Values stay as printed, with quotes, nested lists and dicts. The function evaluates nothing."""
    if text[start : start + 1] != "{":
        return None
    items: dict[str, str] = {}
    position = start + 1
    while (key := _KEY.match(text, position)) is not None:
        scalar = _SCALAR.match(text, key.end())
        end = scalar.end() if scalar is not None else _value_end(text, key.end())
        if end >= len(text):
            return None
        items[key[1][1:-1]] = text[key.end() : end].rstrip()
        position = end + 1
        if text[end] == "}":
            return items, position
    rest = text[position:].lstrip()
    return (items, len(text) - len(rest) + 1) if rest.startswith("}") else None


def _value_end(text: str, position: int) -> int:
    """The end of the value that continues at `position`: the comma or brace of its own level."""
    depth = 0
    for token in _TOKEN.finditer(text, position):
        if depth == 0 and token[0] in (",", "}"):
            return token.start()
        depth += (token[0] in "[({") - (token[0] in "])}")
    return len(text)
