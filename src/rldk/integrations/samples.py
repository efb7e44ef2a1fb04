"""Per-sample records of a training, on disk: bounded in number and in size, without secrets."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rldk.core.redact import without_secrets
from rldk.emit import rank_path
from rldk.errors import UsageError

FIELDS = (
    "step", "prompt_id", "group_id", "rank", "prompt", "response", "finish_reason", "n_tokens", "reward",
    "reward_components", "logp_rollout", "logp_train", "logp_ref", "advantage", "token_ids", "loss_mask",
)  # fmt: skip
MAX_TEXT = 8_000  # characters of one prompt or response
MAX_ITEMS = 4_096  # of one list, such as the log-probabilities of a response
MAX_FILE = 64 << 20  # bytes; then the next file begins
MAX_FILES = 8  # of one rank: half a gigabyte


class SampleFiles:
    """Appends records to `samples-{run_id}.jsonl`, `samples-{run_id}-1.jsonl` and so on.

    `per_step`: how many records of a step are kept, spread evenly over those given; 0 keeps none. `left_out`: how many
    were not written."""

    def __init__(self, folder: Path, run_id: str, *, per_step: int, rank: int = 0) -> None:
        if per_step < 0:
            raise UsageError(f"samples is {per_step}", hint="it is how many samples of a step are written; 0 for none")
        self.per_step = per_step
        self.written = 0
        self.left_out = 0
        self._folder = folder
        self._run_id = run_id
        self._rank = rank
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
        kept = chosen(len(listed), self.per_step)
        self.left_out += len(listed) - len(kept)
        lines = [self._line(listed[i], step) for i in kept]
        if not lines:
            return 0
        data = "".join(lines).encode("ascii")
        if self._size + len(data) > MAX_FILE and self._size:
            self._number, self._size = self._number + 1, 0
        if self._number >= MAX_FILES:
            self.left_out += len(lines)
            return 0
        self._folder.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as stream:
            stream.write(data)
        self._size += len(data)
        self.written += len(lines)
        return len(lines)

    def _line(self, record: Mapping[str, Any], step: int) -> str:
        kept = {name: plain(record[name]) for name in FIELDS if record.get(name) is not None}
        return json.dumps({**kept, "step": int(record.get("step", step)), "rank": self._rank}, allow_nan=False) + "\n"


def chosen(there: int, wanted: int) -> list[int]:
    """Which of `there` records are kept: at most `wanted`, evenly spread, so that every group is seen."""
    if wanted >= there:
        return list(range(there))
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
    if depth < 4 and isinstance(value, list | tuple):
        return [plain(item, depth + 1) for item in value[:MAX_ITEMS]]
    return without_secrets(str(value)[:MAX_TEXT])
