"""Per-sample records of a training, on disk: bounded in number and in size, without secrets."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from msgspec.json import Encoder

from rldk.core.files import append_whole
from rldk.core.secrets.redact import without_secrets
from rldk.emit import rank_path
from rldk.errors import UsageError
from rldk.outage import Outage

_encode = Encoder().encode
FIELDS = (
    "step", "prompt_id", "group_id", "rank", "prompt", "response", "finish_reason", "n_tokens", "reward",
    "reward_components", "logp_rollout", "logp_train", "logp_ref", "advantage", "token_ids", "loss_mask",
)  # fmt: skip
MAX_TEXT = 8_000  # characters of one prompt or response
MAX_ITEMS = 4_096  # of one list, such as the log-probabilities of a response
NUMBERS = frozenset({int, float})
MAX_FILE = 64 << 20  # bytes; then the next file begins
MAX_FILES = 8  # of one rank: half a gigabyte


class SampleFiles:
    """Appends records to `samples-{run_id}.jsonl`, `samples-{run_id}-1.jsonl` and so on.

    `per_step`: how many records of a step are kept, whole groups where they fit, spread evenly; 0 keeps none.
    `left_out`: how many were not written."""

    def __init__(self, folder: Path, run_id: str, outage: Outage, *, per_step: int, rank: int = 0) -> None:
        if per_step < 0:
            raise UsageError(f"samples is {per_step}", hint="it is how many samples of a step are written; 0 for none")
        self.per_step = per_step
        self.written = 0
        self.left_out = 0
        self._folder = folder
        self._run_id = run_id
        self._rank = rank
        self._outage = outage
        self._number = 0
        self._size = 0

    @property
    def path(self) -> Path:
        """The file that the next record goes to."""
        more = f"-{self._number}" if self._number else ""
        return rank_path(self._folder / f"samples-{self._run_id}{more}.jsonl", self._rank)

    def add(self, records: Iterable[Mapping[str, Any]], *, step: int) -> int:
        """Writes the records of one step. Returns how many were written."""
        listed = list(records)
        kept = chosen([record.get("group_id") for record in listed], self.per_step)
        self.left_out += len(listed) - len(kept)
        lines = [self._line(listed[i], step) for i in kept]
        if not lines:
            return 0
        data = b"".join(lines)
        if self._size + len(data) > MAX_FILE and self._size:
            self._number, self._size = self._number + 1, 0
        if self._number >= MAX_FILES:
            self.left_out += len(lines)
            return 0
        if not self._outage.attempt(self.path, partial(self._append, data), records=len(lines), step=step):
            self.left_out += len(lines)
            return 0
        self._size += len(data)
        self.written += len(lines)
        return len(lines)

    def _append(self, data: bytes) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            append_whole(descriptor, data)
        finally:
            os.close(descriptor)

    def _line(self, record: Mapping[str, Any], step: int) -> bytes:
        kept = {name: plain(record[name]) for name in FIELDS if record.get(name) is not None}
        return _json({**kept, "step": int(record.get("step", step)), "rank": self._rank}) + b"\n"


def _json(record: Mapping[str, Any]) -> bytes:
    """The record as JSON in ASCII. The quick encoder knows no escapes for other letters, and no numbers of any size."""
    with suppress(ValueError, OverflowError, TypeError):
        line = _encode(record)
        if line.isascii():
            return line
    return json.dumps(record, allow_nan=False).encode("ascii")


def chosen(groups: Sequence[Any], wanted: int) -> list[int]:
    """Which records are kept, by the group of each (None where it has none): at most `wanted`.

    They are whole groups, evenly spread, because a rule about groups can say nothing about a part of one. Where no
    group fits, single records are kept, evenly spread."""
    there = len(groups)
    if wanted >= there:
        return list(range(there))
    members: dict[str, list[int]] = {}
    for i, group in enumerate(groups):
        members.setdefault(str(i) if group is None else f"group {group}", []).append(i)
    whole = wanted // max(map(len, members.values()))
    if not whole:
        return _spread(there, wanted)
    listed = list(members.values())
    return sorted(i for number in _spread(len(listed), min(whole, len(listed))) for i in listed[number])


def _spread(there: int, wanted: int) -> list[int]:
    return [i * there // wanted for i in range(wanted)]


def plain(value: Any, depth: int = 0) -> Any:
    """The value in JSON types: texts without secrets and cut, lists cut, numbers that are not finite as text."""
    if isinstance(value, str):
        text = without_secrets(value[:MAX_TEXT])
        return text if len(value) <= MAX_TEXT else f"{text}... ({len(value)} characters)"
    if isinstance(value, bool | int) or value is None:
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if hasattr(value, "tolist"):  # arrays and tensors
        return plain(value.tolist(), depth)
    if depth < 4 and isinstance(value, Mapping):
        return {str(k)[:200]: plain(v, depth + 1) for k, v in list(value.items())[:MAX_ITEMS]}
    if isinstance(value, list) and NUMBERS.issuperset(map(type, value)) and math.isfinite(sum(value)):
        return value[:MAX_ITEMS]  # thousands of log-probabilities at once
    if depth < 4 and isinstance(value, list | tuple):
        return [plain(item, depth + 1) for item in value[:MAX_ITEMS]]
    return without_secrets(str(value)[:MAX_TEXT])
