"""Single events with all their fields: the line forms as types, and functions to read, write and check them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from rldk.core.codec import to_builtins, to_json
from rldk.core.files import whole
from rldk.core.layouts import settle
from rldk.core.lines import Lines, LineSplitter, Overlong, line_size
from rldk.core.model import Event, Rejected
from rldk.core.records import BadLine, Form, Layout, Role, form_of, leaves, parse, take_apart
from rldk.core.stream import BrokenStream, chunks
from rldk.errors import MalformedInput, OutputError

Number = float | Literal["NaN", "Infinity", "-Infinity"] | None
Seconds = float | str | None
SNIFF_LINES = 100


class ScalarLine(msgspec.Struct, kw_only=True):
    """One value of one metric."""

    step: int
    name: Annotated[str, msgspec.Meta(min_length=1)]
    value: Number
    time: Seconds = None
    run_id: str | None = None
    tags: dict[str, Any] = {}
    meta: dict[str, Any] = {}


class RowLine(msgspec.Struct, kw_only=True):
    """All metrics of one step."""

    step: int
    metrics: dict[str, Number]
    wall_time: Seconds = None
    rng: dict[str, Any] = {}
    data_slice: dict[str, Any] = {}
    model_info: dict[str, Any] = {}
    notes: list[str] = []


class WideLine(msgspec.Struct, kw_only=True):
    """A step and any number of metrics beside it. An object is a group of metrics."""

    step: int


def read_events(source: str | os.PathLike[str], *, strict: bool = False) -> list[Event]:
    """Yields the events of a JSONL file, one a line. They are in row form, whatever form they are written in.

    A line that cannot be read is left out. `strict` raises `MalformedInput` for it; `validate_events` lists such lines.
    A line without a step gets the step of the line before it."""
    path = Path(source)
    objects = list(_objects(path, strict=strict))
    layout = settle(objects[:SNIFF_LINES], envelope=None, null_is_nan=False, step_key=None)
    events: list[Event] = []
    for obj in objects:
        try:
            events.append(_event(obj, layout, events[-1].step if events else 0))
        except BadLine as error:
            if strict:
                raise MalformedInput(f"{path}: {error}", hint="read without strict mode to skip such lines") from None
    return events


def write_events(events: Iterable[Event], path: str | os.PathLike[str]) -> int:
    """Writes the events, one a line in row form, and returns their number. The file is replaced at once or not at
    all."""
    target = Path(path)
    count = 0
    try:
        with whole(target) as part, part.open("w", encoding="ascii", newline="\n") as stream:
            for count, event in enumerate(events, start=1):  # noqa: B007 - the count is the result
                stream.write(to_json(event) + "\n")
    except OSError as error:
        raise OutputError.of(target, error) from None
    return count


def validate_events(source: str | os.PathLike[str] | Iterable[Event | Mapping[str, Any]]) -> tuple[Rejected, ...]:
    """Lists what does not fit `event_schema`, line by line (for an iterable: item by item, from 1). Empty when all
    fits."""
    if not isinstance(source, str | os.PathLike):
        found = ((_problem(to_builtins(item)), number) for number, item in enumerate(source, start=1))
        return tuple(Rejected(line=number, offset=0, reason=reason) for reason, number in found if reason)
    problems = []
    for line, number, offset in _numbered(Path(source)):
        try:
            reason = _problem(_parse(line))
        except BadLine as error:
            reason = str(error)
        if reason:
            excerpt = line.lstrip(b"\0")[:320].decode("utf-8", errors="replace")[:80]
            problems.append(Rejected(line=number, offset=offset, reason=reason, excerpt=excerpt))
    return tuple(problems)


def _problem(obj: Mapping[str, Any]) -> str:
    scalar = "name" in obj and "value" in obj
    try:
        msgspec.convert(obj, RowLine if "metrics" in obj else ScalarLine if scalar else WideLine)
    except msgspec.ValidationError as error:
        return str(error)
    return ""


def _event(obj: dict[str, Any], layout: Layout, last_step: int) -> Event:
    record = take_apart(obj, layout)
    form = form_of(obj, layout.envelope)
    if record.name is not None:
        metrics: dict[str, float | None] = {record.name: record.value}
    else:
        metrics = {
            path: record.values.get(path)
            for path, inside, value in leaves(obj, form, layout.envelope)
            if layout.role(path, form, inside=inside) is Role.METRIC and (value is None or path in record.values)
        }
    identity = {**record.identity, **({"phase": record.phase} if record.phase != "train" else {})}
    extra = obj if form is Form.ROW else {}
    notes = extra.get("notes")
    return Event(
        step=last_step if record.step is None else record.step,
        wall_time=None if record.time != record.time else record.time,
        metrics=metrics,
        rng=_mapping(extra.get("rng")),
        data_slice=_mapping(extra.get("data_slice")),
        model_info={**identity, **_mapping(extra.get("model_info"))},
        notes=[str(note) for note in notes] if isinstance(notes, list) else [],
    )


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _objects(path: Path, *, strict: bool) -> Iterator[dict[str, Any]]:
    for line, number, offset in _numbered(path):
        try:
            yield _parse(line)
        except BadLine as error:
            if strict:
                where = f"{path}, line {number}, byte {offset}"
                raise MalformedInput(f"{where}: {error}", hint="read without strict mode to skip such lines") from None


def _parse(line: bytes) -> dict[str, Any]:
    if isinstance(line, Overlong):
        raise BadLine("longer than 10 MB")
    return parse(line)


def _numbered(path: Path) -> Iterator[tuple[bytes, int, int]]:
    """(line, number, offset) of the lines that are not blank. It ends where a damaged archive breaks off."""
    splitter = LineSplitter()
    try:
        for chunk in chunks(path):
            yield from _placed(splitter.feed(chunk))
    except BrokenStream:
        pass
    yield from _placed(splitter.finish())


def _placed(batch: Lines) -> Iterator[tuple[bytes, int, int]]:
    offset = batch.offset
    for number, line in enumerate(batch.lines, start=batch.number):
        if line and not line.isspace():
            yield line, number, offset
        offset += line_size(line) + 1
