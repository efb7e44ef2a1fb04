"""Reads a JSON document with the whole history of a training, as a script, a trainer or a dashboard dumps it."""

from __future__ import annotations

from typing import Any, ClassVar

from rldk.adapters.base import BaseAdapter, adapter
from rldk.adapters.formats.dialect import with_identity
from rldk.adapters.formats.downloads import tag_of
from rldk.adapters.log import Log
from rldk.adapters.naming.keys import says_metric
from rldk.adapters.reading import only_file
from rldk.adapters.source import HEAD_BYTES, File
from rldk.adapters.wire.document import DocumentHistory, beginning, decode, history, join_documents, single_numbers
from rldk.core.clocks import clock_rank
from rldk.core.jsonl import assemble
from rldk.core.model import COUNTED, Rejected
from rldk.core.records import BadLine, Form, leaves, parse, step_or_none, to_number
from rldk.core.stream import BrokenStream, chunks
from rldk.core.table import MAX_METRICS
from rldk.core.text import later
from rldk.errors import MalformedInput, NoData, NotALog

MAX_BYTES = 256 << 20
_LOOKED_AT = 20  # rows
_LIST = later(rb'"([^"\\]{1,200})"\s{0,20}:\s{0,20}\[')  # the name of a list
_REFUSED = frozenset({"nbformat", "cells", "lockfileVersion", "dependencies"})  # notebooks and packages


@adapter
class JsonDocument(BaseAdapter):
    """Reads a list of objects, lists of numbers side by side, or either of them inside objects. Several documents in
    a row are the rows of one. Lists of other lengths cover the same run, and a note says so. A list of (time, step,
    value) is a scalar downloaded from TensorBoard; its file gives the name."""

    name: ClassVar[str] = "json"
    describes: ClassVar[str] = (
        "JSON document with the history of a training: a list of rows, or one list for each metric"
    )
    quality: ClassVar[int] = 20
    keeps: ClassVar[str] = 'every digit; NaN as bare `NaN`, `"NaN"`; single values as configuration'
    loses: ClassVar[str] = (
        "null counts as missing, not as NaN; which values belong together when lists differ in length"
    )

    @classmethod
    def sniff(cls, file: File) -> int:
        found = _beginning(file)
        if found is None:
            return 0
        keys, timed = _keys(found)
        if not keys:
            return 30 if timed and says_metric(_far_names(file)) else 0
        known = len(keys) <= MAX_METRICS and says_metric(keys)
        if len(found.rows) < 2:
            return 45 if found.notes else 0
        return 45 if timed and known else 30 if timed else 15 if known else 0

    @classmethod
    def summarises(cls, file: File) -> bool:
        """Whether the file holds single numbers with metric names, and no history."""
        document = _first_document(file)
        numbers = single_numbers(document)[:MAX_METRICS]
        return bool(numbers) and says_metric(numbers) and not history(document).rows

    def read(self) -> Log:
        """The log. Raises `NotALog` for a document without a history, and `MalformedInput` for a document that is too
        large."""
        file = only_file(self)
        data, broken = _whole(file)
        found, cut = decode(data)
        told = history(join_documents(found)) if found else DocumentHistory(rows=[])
        if not told.rows:
            raise NotALog(
                f"{self.source} holds no history of a training",
                hint="rldk reads a list of rows, or one list for each metric",
            )
        tag = tag_of(file)
        table = assemble({key or tag: value for key, value in row.items()} for row in told.rows)
        if not len(table.table) or not table.table.columns:
            first = f" ({table.rejected[0].reason}, row {table.rejected[0].line})" if table.rejected else ""
            raise NoData(
                f"there is no usable row in {self.source}{first}",
                hint="check whether the run stopped before its first log",
            )
        why = broken or cut
        if why and self.options.get("strict"):
            raise MalformedInput(f"{self.source} is cut off: {why}", hint="read without strict mode to keep its rows")
        torn = (Rejected(line=table.lines + 1, offset=len(data), reason=f"the file ends here: {why}"),) if why else ()
        clock = told.clock if told.series else COUNTED if table.clock is None else table.clock
        log = Log(
            table=table.table,
            total_steps=table.total_steps,
            config=told.config,
            meta={"clock": clock},
            notes=told.notes,
            lines=table.lines + len(torn),
            rejected_count=table.rejected_count + len(torn),
            rejected=(*table.rejected, *torn),
        )
        return with_identity(log)


def _beginning(file: File) -> DocumentHistory | None:
    """The history in the part of the document that the head of the file shows."""
    document = _first_document(file)
    if document is None or (isinstance(document, dict) and _REFUSED & document.keys()):
        return None
    return history(document)


def _first_document(file: File) -> Any:
    head = file.head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not file.is_text or not head.startswith((b"{", b"[")):
        return None
    first, _, rest = head.partition(b"\n")
    if rest.lstrip().startswith(b"{") and first.startswith(b"{") and _is_object(first):
        return None  # JSON lines
    document = beginning(head[:HEAD_BYTES].decode("utf-8", "replace"))
    if document is None and head.startswith(b"[") and len(head) > HEAD_BYTES:  # the first row is longer
        return beginning(head.decode("utf-8", "replace"))
    return document


def _far_names(file: File) -> list[str]:
    """The names of the lists in a document whose first list is longer than the head of the file."""
    if len(file.head) < HEAD_BYTES:
        return []
    data, _ = _whole(file)
    return [name.decode("utf-8", "replace") for name in dict.fromkeys(_LIST.findall(data))][:MAX_METRICS]


def _is_object(line: bytes) -> bool:
    try:
        parse(line)
    except BadLine:
        return False
    return True


def _keys(found: DocumentHistory) -> tuple[list[str], bool]:
    """The names of the numbers in the first rows, and whether one of them counts steps."""
    flat = [{path: v for path, _, v in leaves(row, Form.WIDE, "")} for row in found.rows[:_LOOKED_AT]]
    keys = dict.fromkeys(key for row in flat for key, value in row.items() if to_number(value) is not None)
    clocks = [
        k for k in keys if clock_rank(k) is not None and any(step_or_none(row.get(k)) is not None for row in flat)
    ]
    timed = bool(found.clock if found.series else clocks)
    return [key for key in keys if key not in clocks], timed


def _whole(file: File) -> tuple[bytes, str]:
    """The bytes of the file, and the reason when some are missing."""
    data = bytearray()
    try:
        for chunk in chunks(file):
            data += chunk
            if len(data) > MAX_BYTES:
                raise MalformedInput(
                    f"{file.path} is larger than {MAX_BYTES >> 20} MiB",
                    hint="write one row on each line (JSONL) instead",
                )
    except BrokenStream as error:
        return bytes(data), str(error)
    return bytes(data), ""
