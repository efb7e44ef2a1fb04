"""What the callbacks of one trainer share: its rules are asked once, and its model is measured once."""

from __future__ import annotations

import sys
import weakref
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from rldk.integrations.guard import training_outage
from rldk.integrations.identities.meter import Meter
from rldk.integrations.judge import Judge
from rldk.integrations.recorder import Recording
from rldk.integrations.runname import new_run_id

MAX_FRAMES = 40


class TrainerShare:
    """The judge and the meter of one trainer, and the outage of its files. The first callback that joins makes them."""

    def __init__(self) -> None:
        self.judge: Judge | None = None
        self.meter: Meter | None = None
        self.outage = training_outage()
        self.members = 0
        self._run_id = ""
        self._taken: set[tuple[str, str]] = set()

    def named(self, recording: Recording, kind: str) -> Recording:
        """The recording with the name of its run. All callbacks of a trainer share one; in one folder, a second
        callback adds its own kind to it."""
        run_id = recording.run_id or self._run_id or new_run_id()
        self._run_id = self._run_id or run_id
        folder = str(Path(recording.output_dir).absolute())
        name, number = run_id, 1
        while (folder, name) in self._taken:
            name = f"{run_id}-{kind}" if number == 1 else f"{run_id}-{kind}-{number}"
            number += 1
        self._taken.add((folder, name))
        return replace(recording, run_id=name)


_shares: dict[int, tuple[Any, TrainerShare]] = {}


def share_of(args: Any) -> TrainerShare:
    """The share of the trainer that has these arguments. It lives as long as they do, or until its last member left."""
    key = id(args)
    found = _shares.get(key)
    if found is not None and found[0]() is args:
        return found[1]
    share = TrainerShare()
    _shares[key] = (weakref.ref(args, lambda _: _shares.pop(key, None)), share)
    return share


def leave(args: Any) -> None:
    """A callback of this trainer has ended. After the last one, a next training begins with a new share."""
    found = _shares.get(id(args))
    if found is None:
        return
    found[1].members -= 1
    if found[1].members <= 0:
        _shares.pop(id(args), None)


def calling_trainer(callback: Any) -> Any:
    """The trainer that is calling `callback`: hooks are not given it, so it is looked for among the callers. None where
    there is none."""
    frame = sys._getframe(1)
    for _ in range(MAX_FRAMES):
        if frame is None:
            return None
        owner = frame.f_locals.get("self")
        handler = getattr(owner, "callback_handler", None)
        if handler is not None and callback in getattr(handler, "callbacks", ()):
            return owner
        frame = frame.f_back  # type: ignore[assignment]
    return None
