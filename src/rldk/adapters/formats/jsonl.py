"""Reads JSON lines that name no trainer: scalar events, rows with a `metrics` object, or a step beside its metrics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from rldk.adapters.base import BaseAdapter, adapter
from rldk.adapters.formats.dialect import identity, with_identity
from rldk.adapters.live.lineformat import LineFormat
from rldk.adapters.live.rowsource import JsonRows
from rldk.adapters.log import Log
from rldk.adapters.reading import only_file, rank_notes
from rldk.adapters.source import File
from rldk.core.clocks import clock_rank
from rldk.core.jsonl import decode
from rldk.core.model import COUNTED
from rldk.core.records import STEP_KEYS, BadLine, Form, form_of, leaves, parse, step_or_none, to_number
from rldk.errors import NoData

SNIFF_LINES = 20
_ENVELOPE = "metrics"
_CERTAINTY = {Form.SCALAR: 70, Form.ROW: 70, Form.WIDE: 50}
_COUNTS = 40  # another key may count steps too, so one line is not enough to be sure
# These keys show that JSON lines hold no metrics: samples, findings, a whole trainer state on one line.
_OTHERS = tuple(
    frozenset(keys)
    for keys in (
        {"prompt"}, {"completion"}, {"response"}, {"messages"}, {"input", "output"}, {"code", "severity"},
        {"rule", "severity"},
        {"log_history"}, {"$schema"},
    )
)  # fmt: skip


@adapter
class CustomJSONLAdapter(BaseAdapter):
    """Most rows decide which key is the step and which is the time. A line that is not a JSON object is rejected and
    counted. Rows of one step with different keys make one row, and so do the scalar events of one step."""

    name: ClassVar[str] = "jsonl"
    describes: ClassVar[str] = "JSON lines of step and metrics"
    quality: ClassVar[int] = 20
    keeps: ClassVar[str] = 'every digit; NaN as bare `NaN`, `"NaN"`'
    loses: ClassVar[str] = (
        "null counts as missing, not as NaN: some writers turn one into the other; rows of one step that share no "
        "metric become one row; lists and text are left out by rldk"
    )
    lines: ClassVar[LineFormat | None] = LineFormat(
        source=JsonRows, joins=True, identify=lambda opening, _: identity(opening, {})
    )

    @classmethod
    def sniff(cls, file: File) -> int:
        if not file.is_text:
            return 0
        lines = [line for line in file.head.split(b"\n") if line.strip()]
        if len(lines) > 1 and not file.head.endswith(b"\n"):
            lines.pop()  # cut by the end of the head, or torn
        lines = [line for line in lines[:SNIFF_LINES] if line.strip() != b"{}"]  # an empty object says nothing
        rows = [obj for obj in _objects(lines) if not any(keys <= obj.keys() for keys in _OTHERS)]
        if not rows or 2 * len(rows) < len(lines):
            return 0
        scores = sorted(map(_likelihood, rows))
        likely = scores[len(scores) // 2]
        return likely if len(rows) > 1 or likely >= _CERTAINTY[Form.WIDE] else 0

    def read(self) -> Log:
        """The log. The option `step_key` names the clock. Raises `NoData` when no line has a metric."""
        step_key = self.options.get("step_key")
        found = decode(only_file(self), step_key=step_key, strict=bool(self.options.get("strict")))
        if not len(found.table) or not found.table.columns:
            first = f": {found.rejected[0].reason} (line {found.rejected[0].line})" if found.rejected else ""
            raise NoData(
                f"there is no line with a metric in {self.source}{first}",
                hint='a line looks like {"step": 1, "kl": 0.1}',
            )
        if isinstance(found.meta.get("run_id"), str):
            self.options.setdefault("run", found.meta["run_id"])  # the id that the log gives itself names the run
        return with_identity(
            Log(
                table=found.table,
                total_steps=found.total_steps,
                meta=_known(found.meta) | {"clock": COUNTED if found.clock is None else found.clock},
                notes=rank_notes(found.rank),
                lines=found.lines,
                rejected_count=found.rejected_count,
                rejected=found.rejected,
            )
        )


def _objects(lines: list[bytes]) -> Iterator[dict[str, Any]]:
    for line in lines:
        try:
            yield parse(line)
        except BadLine:
            continue


def _likelihood(obj: dict[str, Any]) -> int:
    """How much one object looks like a line of a log, from 0 to 100."""
    form = form_of(obj, _ENVELOPE)
    flat = {path: value for path, _, value in leaves(obj, form, _ENVELOPE)}
    timed = any(key in flat for key in STEP_KEYS)
    if form is Form.SCALAR:
        return _CERTAINTY[form] if timed and to_number(flat.get("value")) is not None else 0
    told = [value for path, value in flat.items() if path not in STEP_KEYS]
    if not any(to_number(value) is not None for value in told):
        return 20 if timed and told and all(value is None for value in told) else 0  # null is how some write NaN
    if timed:
        return _CERTAINTY[form]
    counts = any(clock_rank(path) is not None and step_or_none(value) is not None for path, value in flat.items())
    return _COUNTS if counts else 20


def _known(meta: Mapping[str, Any]) -> dict[str, Any]:
    """The identity fields that a run keeps."""
    known = {"git_sha": str(meta["git_sha"])} if meta.get("git_sha") else {}
    seed = to_number(meta.get("seed"))
    return known | ({"seed": int(seed)} if seed is not None and seed.is_integer() else {})
