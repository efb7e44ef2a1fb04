"""Reads trainer_state.json of transformers and TRL: a JSON object whose `log_history` is the run so far."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, ClassVar

from msgspec import Struct, field

from rldk.adapters.base import BaseAdapter, adapter
from rldk.adapters.formats.trl import phase_of, whole, with_identity
from rldk.adapters.log import Log
from rldk.adapters.reading import Reading
from rldk.adapters.source import File
from rldk.core.lines import EXCERPT
from rldk.core.model import Rejected
from rldk.core.records import to_number, why_no_json
from rldk.core.stream import BrokenStream, chunks
from rldk.core.table import Phase
from rldk.core.text import later

MAX_BYTES = 1 << 29  # a million rows of twenty metrics
_HISTORY = later(r'"log_history"\s*:\s*\[')
_OWN_FIELDS = (b'"global_step"', b'"is_world_process_zero"', b'"best_metric"')
_ROW = later(r"\{[^{}]*\}")
_CONFIG = ("logging_steps", "eval_steps", "save_steps", "max_steps", "num_train_epochs", "train_batch_size")
Key = tuple[int, int, Phase, tuple[str, ...]]


class TrainerState(Struct):
    """One trainer_state.json. `rows`: entries of `log_history` by (segment, step, phase, keys), in order."""

    path: str
    fields: dict[str, Any]
    rows: dict[Key, dict[str, Any]] = field(default_factory=dict)
    rejected: list[Rejected] = field(default_factory=list)
    torn: bool = False

    @property
    def rank(self) -> tuple[int, int]:
        """Orders states of one run by how far they reach."""
        return max((key[1] for key in self.rows), default=-1), len(self.rows)


@adapter
class HfTrainerState(BaseAdapter):
    """Every checkpoint holds the history from step 0 on: `checkpoint-40` is a prefix of `checkpoint-80`."""

    name: ClassVar[str] = "hf-trainer-state"
    describes: ClassVar[str] = "trainer_state.json of transformers and TRL"
    quality: ClassVar[int] = 90
    keeps: ClassVar[str] = "every digit; training, evaluation and closing rows; intended steps"
    loses: ClassVar[str] = (
        "wall time and the trainer's arguments; all steps after the last checkpoint; a NaN or infinite loss, "
        "which transformers replaces by the average of the losses before it unless `logging_nan_inf_filter=False` "
        "(look at `grad_norm`)"
    )
    gathers: ClassVar[bool] = True

    @classmethod
    def sniff(cls, file: File) -> int:
        head = file.head.removeprefix(b"\xef\xbb\xbf").lstrip()
        if not head.startswith(b"{") or _HISTORY.search(head.decode("utf-8", "replace")) is None:
            return 0
        return 95 if any(name in head for name in _OWN_FIELDS) else 50

    def read(self) -> Log:
        states = sorted((_load(f) for f in self.files), key=lambda s: s.rank, reverse=True)
        rows, left_out = _merge(states)
        reading = Reading(self)
        for state in states:
            if state.torn:
                reading.notes.append(f"{state.path} is cut off or damaged: rldk kept the rows that it could read")
            for bad in () if state.path in left_out else state.rejected:
                reading.reject(bad.line, bad.offset, bad.reason, bad.excerpt)
        for (_, step, phase, _), row in rows.items():
            values = {k: v for k, raw in row.items() if k != "step" and (v := to_number(raw)) is not None}
            reading.row(step, values, phase=phase)
        fields = states[0].fields if states else {}
        total = whole(fields.get("max_steps"))
        log = reading.log(
            total_steps=total if total and total > 0 else None,
            config={k: fields[k] for k in _CONFIG if to_number(fields.get(k)) is not None},
            meta={"left_out": left_out} if left_out else {},
        )
        return with_identity(log)


def _merge(states: list[TrainerState]) -> tuple[dict[Key, dict[str, Any]], dict[str, str]]:
    """The rows of the state that reaches furthest, with what agreeing states add; and the other states, each with the
    reason why it is left out."""
    rows: dict[Key, dict[str, Any]] = {}
    left_out: dict[str, str] = {}
    added = False
    for state in states:
        differing = [key for key, row in state.rows.items() if key in rows and repr(rows[key]) != repr(row)]
        if differing:
            first = min(key[1] for key in differing)
            left_out[state.path] = f"it is the history of another run: the values at step {first} differ"
            continue
        added = added or bool(rows and state.rows.keys() - rows.keys())
        rows = {**rows, **{key: row for key, row in state.rows.items() if key not in rows}}
    if added:
        rows = dict(sorted(rows.items(), key=lambda item: item[0][:2]))
    return rows, left_out


def _load(file: File) -> TrainerState:
    text, cut = _text(file)
    state = TrainerState(path=str(file.path), fields={})
    try:
        document = json.loads(text)
        entries = document["log_history"]
        state.fields = {k: v for k, v in document.items() if k != "log_history"}
        found = [(entry, 0) for entry in (entries if isinstance(entries, list) else [])]
    except (ValueError, RecursionError, KeyError, TypeError):
        state.torn = True
        found = list(_salvage(text, state))
    if cut:
        state.torn = True
    _index(found, state)
    return state


def _text(file: File) -> tuple[str, bool]:
    """The text of the file, and whether it was cut. It counts as cut when the stream broke, the file is above
    `MAX_BYTES`, or NULs show that a machine crashed before it wrote the rest."""
    data = bytearray()
    try:
        for chunk in chunks(file):
            data += chunk
            if len(data) > MAX_BYTES or not chunk.strip(b"\0"):
                return data[:MAX_BYTES].decode("utf-8-sig", "replace"), True
    except BrokenStream:
        return data.decode("utf-8-sig", "replace"), True
    return data.decode("utf-8-sig", "replace"), False


def _salvage(text: str, state: TrainerState) -> Iterator[tuple[Any, int]]:
    """The complete rows of a damaged history, each with its position. Rows that cannot be read are rejected."""
    start = _HISTORY.search(text)
    if start is None:
        return
    try:
        state.fields = json.loads(text[: start.start()].rstrip().rstrip(",") + "}")
    except (ValueError, RecursionError):
        state.fields = {}
    reject = _Rejecter(state, text)
    position = start.end()
    for match in _ROW.finditer(text, start.end()):
        gap = text[position : match.start()]
        if "]" in gap:  # the end of log_history; what follows are the states of callbacks
            return
        if "{" in gap:
            reject(position + gap.index("{"), "the end of the row is missing")
        position = match.end()
        try:
            yield json.loads(match[0]), match.start()
        except (ValueError, RecursionError) as error:
            reject(match.start(), f"the row cannot be read: {why_no_json(error)}")
    rest = text[position:].split("]", 1)[0]
    if "{" in rest:
        reject(position + rest.index("{"), "the file ends within this row")


class _Rejecter:
    """Notes refused rows with line and byte offset. Positions must rise from call to call."""

    def __init__(self, state: TrainerState, text: str) -> None:
        self._state, self._text = state, text
        self._position, self._line, self._offset = 0, 1, 0

    def __call__(self, position: int, reason: str) -> None:
        passed = self._text[self._position : position]
        self._line += passed.count("\n")
        self._offset += len(passed.encode("utf-8", "replace"))
        self._position = position
        excerpt = self._text[position : position + EXCERPT]
        self._state.rejected.append(Rejected(line=self._line, offset=self._offset, reason=reason, excerpt=excerpt))


def _index(found: list[tuple[Any, int]], state: TrainerState) -> None:
    """Sorts the rows under their keys. A train step that goes back begins a new segment."""
    segment, last = 0, -1
    for i, (row, position) in enumerate(found):
        step = whole(row.get("step")) if isinstance(row, dict) else None
        if step is None:
            reason = "the entry of log_history has no whole-number step"
            state.rejected.append(Rejected(line=i + 1, offset=position, reason=reason, excerpt=repr(row)[:EXCERPT]))
            continue
        phase = phase_of(k for k in row if k != "step")
        if phase == "train":
            segment += step < last
            last = step
        state.rows.setdefault((segment, step, phase, tuple(sorted(row))), row)
