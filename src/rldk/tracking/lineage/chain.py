"""`lineage.jsonl`: one line for each transformation, named by the digest of its content.

A record names the records that made its inputs, so that its own name covers all that came before it: whoever changes an
earlier record, or takes it out, breaks every later one."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from rldk.errors import MalformedInput, NoData, OutputError, UnreadableSource
from rldk.provenance.fingerprints.canonical import canonical
from rldk.provenance.inside import is_plain_file

FILE = "lineage.jsonl"
ENCODING = "rldk-lineage-1"  # changes whenever the same content would get another name
MAX_BYTES = 256 << 20
MAX_LINE = 8 << 20


class LineageItem(Struct, frozen=True, kw_only=True):
    """Something that went into a transformation or came out. `digest`: `algorithm:hex`. `kind`: how it was read:
    records, table, array, files or model. `path`: where it was, None for data in memory."""

    name: str
    digest: str
    kind: str
    path: str | None = None
    rows: int | None = None


class LineageCode(Struct, frozen=True, kw_only=True):
    """The function that did it. `digest`: of the text of its source, without indentation."""

    name: str
    digest: str
    path: str | None = None


class LineageRecord(Struct, frozen=True, kw_only=True):
    """One transformation. `id`: the digest of everything but `at`. `parents`: the records that made the inputs. `at`:
    when it was written, ISO 8601 in UTC."""

    id: str = ""
    op: str
    inputs: tuple[LineageItem, ...] = ()
    outputs: tuple[LineageItem, ...] = ()
    params: dict[str, Any] = field(default_factory=dict)
    code: LineageCode | None = None
    parents: tuple[str, ...] = ()
    at: str = ""


def identity(record: LineageRecord) -> str:
    """The name that the content of the record gives it."""
    content = msgspec.to_builtins(replace(record, id="", at=""))
    return f"sha256:{hashlib.sha256(ENCODING.encode() + canonical(content, 'record')).hexdigest()}"


def lineage_file(place: Path) -> Path:
    """The file of a run directory, or the path itself when it is the file."""
    return place if place.suffix == ".jsonl" else place / FILE


def read_lineage(place: str | os.PathLike[str]) -> tuple[LineageRecord, ...]:
    """The records of a run directory or a file, in the order of writing.

    A last line without an end is left out: it was being written. Raises `UnreadableSource` where there is no file,
    `MalformedInput` that names a line that is no record."""
    path = lineage_file(Path(place))
    if not path.exists():
        raise UnreadableSource(f"there is no {path}", hint="rldk.tracking.lineage.record() writes one")
    return _records(path, _read(path))


def append(folder: Path, record: LineageRecord) -> LineageRecord:
    """Writes the record with its parents and its name, unless the same one is there, and returns it as it is written.

    Several processes may write to one file. Raises `OutputError`."""
    path = lineage_file(folder)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab+") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            stream.seek(0)
            data = stream.read(MAX_BYTES)
            if data and not data.endswith(b"\n"):  # a writer died in its line
                stream.truncate(data.rfind(b"\n") + 1)
            known = _records(path, data)
            made = replace(record, parents=parents(record.inputs, known))
            made = replace(made, id=identity(made))
            earlier = next((one for one in known if one.id == made.id), None)
            if earlier is not None:
                return earlier
            stream.write(msgspec.json.encode(made) + b"\n")
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        raise OutputError.of(path, error) from None
    return made


def parents(inputs: Iterable[LineageItem], known: Sequence[LineageRecord]) -> tuple[str, ...]:
    """The records that made the inputs: of several that made the same content, the last one."""
    makers = {item.digest: record.id for record in known for item in record.outputs}
    return tuple(sorted({makers[item.digest] for item in inputs if item.digest in makers}))


def chosen(records: Sequence[LineageRecord]) -> Sequence[LineageRecord]:
    """The records. Raises `NoData` when there are none."""
    if not records:
        raise NoData("no transformation is recorded", hint="rldk.tracking.lineage.record() records one")
    return records


def _read(path: Path) -> bytes:
    if not is_plain_file(path):
        raise MalformedInput(f"{path} is no regular file", hint="links and pipes are not read")
    try:
        if path.stat().st_size > MAX_BYTES:
            raise MalformedInput(f"{path} is larger than {MAX_BYTES >> 20} MiB")
        return path.read_bytes()
    except OSError as error:
        raise UnreadableSource(f"cannot read {path}: {error.strerror or error}") from None


def _records(path: Path, data: bytes) -> tuple[LineageRecord, ...]:
    lines = data.split(b"\n")[:-1]  # what follows the last end of line is torn, or nothing
    found = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            if len(line) > MAX_LINE:
                raise ValueError(f"it is longer than {MAX_LINE >> 20} MiB")
            found.append(msgspec.json.decode(line, type=LineageRecord))
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise MalformedInput(f"{path}: line {number} is no record: {error}", hint="was the file edited?") from None
    return tuple(found)
