"""Where the hand-written loops write: TensorBoard events or JSON lines, under CleanRL's names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


class Events:
    """One scalar at a time, as CleanRL writes them; to JSON lines they go as one row for each step."""

    def __init__(self, folder: Path, sink: str, name: str) -> None:
        self.rows: list[dict[str, float]] = []
        self.board, self.path = None, folder / "metrics.jsonl"
        if sink == "tensorboard":
            from torch.utils.tensorboard import SummaryWriter

            self.board = SummaryWriter(str(folder / "runs" / name))

    def add(self, key: str, value: float, step: int) -> None:
        """Writes one value."""
        if self.board is not None:
            self.board.add_scalar(key, value, step)
            return
        if not self.rows or self.rows[-1]["global_step"] != step:
            self.rows.append({"global_step": step})
        self.rows[-1][key] = float(value)

    def note(self, args: dict[str, Any]) -> None:
        """Writes the table of hyper-parameters that CleanRL writes first."""
        if self.board is not None:
            lines = "\n".join(f"|{key}|{value}|" for key, value in args.items())
            self.board.add_text("hyperparameters", "|param|value|\n|-|-|\n" + lines)

    def close(self) -> None:
        """Puts everything on disk."""
        if self.board is not None:
            self.board.close()
        else:
            self.path.write_text("".join(json.dumps(row) + "\n" for row in self.rows))
