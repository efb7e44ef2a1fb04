"""One process of a training that `rldk run --hooks` runs: its one recording, which the run's monitor follows."""

from __future__ import annotations

import atexit
import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from rldk.core.files import write_whole
from rldk.core.rundir import MANIFEST
from rldk.core.table import Row
from rldk.emit import launch_rank, rank_path
from rldk.integrations.guard import Guard
from rldk.integrations.judge import Judge, TrainingOrigin
from rldk.integrations.recorder import Recorder, Recording

MOST = 1000  # recordings in one folder
NAME = "training"
SAMPLES = 64  # of each step: all of a small rollout, or some whole groups


class PassingJudge(Judge):
    """Judges nothing and renames nothing: the monitor does both, and knows the trainer by its own names."""

    def _named(self, row: Row) -> Row:
        return self._with_measured(row)

    def samples(self, records: Iterable[Mapping[str, Any]], step: int) -> None:
        """The monitor looks at samples, too."""

    def settle(self) -> None:
        """Judges nothing."""
        self._waiting.clear()

    def report(self, *, meta: dict[str, Any], numbers: dict[str, float | int | None]) -> None:
        """No report: that of the run is the monitor's."""


class HookedProcess:
    """The hooks of one process. `samples`: how many per-sample records of a step it writes. `leader`: what records,
    because the rows of two hooks on one training are the same rows. A trainer leads before a writer, and a writer
    before environments."""

    RANKS = ("trainer", "writer", "environment")

    def __init__(self, folder: Path, *, samples: int = SAMPLES) -> None:
        self.folder = folder
        self.samples = samples
        self.pid = os.getpid()
        self.guard = Guard()
        self.leader = ""

    def may_lead(self, kind: str) -> bool:
        """Whether this kind of hook records: nothing that knows more does, and this is the process of the hooks."""
        if os.getpid() != self.pid:  # a forked child must not write into the files of its parent
            return False
        return not self.leader or self.RANKS.index(kind) <= self.RANKS.index(self.leader)

    def claim(self, kind: str, origin: TrainingOrigin, rank: int | None = None) -> tuple[Recording, Judge]:
        """The choices of a recorder, and its judge. The first recording of the run is the one that is followed."""
        number = launch_rank() if rank is None else rank
        name = next(name for i in range(MOST) if self._free(name := f"{NAME}_{i + 1}" if i else NAME, number))
        self.leader = kind
        if origin.config and name == NAME and number == 0:
            self.guard.run("writing the configuration", self._configure, origin.config)
        recording = Recording(output_dir=self.folder, run_id=name, rules=(), samples=self.samples, echo=False)
        atexit.register(self._tidy, self.folder / f"{name}_alerts.json")
        return recording, PassingJudge(name, origin, self.guard)

    def begin(self, kind: str, origin: TrainingOrigin) -> Recorder | None:
        """A recorder, where this kind of hook may lead."""
        if not self.may_lead(kind):
            return None
        recording, judge = self.claim(kind, origin)
        return Recorder(recording, origin, judge=judge)

    def _free(self, name: str, rank: int) -> bool:
        try:
            os.close(os.open(rank_path(self.folder / f"{name}_events.jsonl", rank), os.O_CREAT | os.O_EXCL, 0o644))
        except FileExistsError:
            return False
        return True

    def _configure(self, config: Mapping[str, Any]) -> None:
        write_whole(self.folder / MANIFEST, json.dumps({"run_id": NAME, "config": dict(config)}, default=str) + "\n")

    def _tidy(self, alerts: Path) -> None:
        """Removes the list of alerts, which is empty: nothing is judged here."""
        if os.getpid() == self.pid:
            with suppress(OSError):
                alerts.unlink(missing_ok=True)
