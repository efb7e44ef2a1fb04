"""The processes of one training, compared with each other through the events that each of them writes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from msgspec import Struct

MAX_READ = 1 << 20  # bytes of one file at one look
KEPT_STEPS = 200
# the digests of a row event, and the metric that counts the ranks: those that differ, or those that are the same
PLACES = {
    "weights": ("model_info", "weights"),
    "random": ("rng", "digest"),
    "prompts": ("data_slice", "prompts"),
}


class RankDigests(Struct, frozen=True, kw_only=True):
    """What one rank wrote about one step: checksums, "" where there is none."""

    weights: str = ""
    random: str = ""
    prompts: str = ""

    @classmethod
    def of(cls, event: Mapping[str, Any]) -> RankDigests:
        """The digests in an event, or in what will be one."""
        found = {}
        for name, (group, key) in PLACES.items():
            value = event.get(group)
            text = value.get(key) if isinstance(value, Mapping) else None
            if isinstance(text, str):
                found[name] = text[:64]
        return cls(**found)


class RankPeers:
    """The other ranks, as rank 0 sees them: it reads what is new in their events, and compares step by step.

    A rank whose file does not grow holds nothing up: a step is compared once all ranks have written it."""

    def __init__(self, events: Mapping[int, Path]) -> None:
        self._files = dict(events)
        self._offsets = dict.fromkeys(events, 0)
        self._own: dict[int, RankDigests] = {}
        self._theirs: dict[int, dict[int, RankDigests]] = {}

    def add(self, step: int, own: RankDigests) -> None:
        """Takes the digests of rank 0 at a step."""
        if own != RankDigests():
            self._own[step] = own
            while len(self._own) > KEPT_STEPS:
                self._own.pop(next(iter(self._own)))

    def poll(self) -> dict[str, float]:
        """Metrics of the newest step that every rank has written since the last call; {} when there is none."""
        for rank in self._files:
            for event in self._read(rank):
                step, said = event.get("step"), RankDigests.of(event)
                if isinstance(step, int) and said != RankDigests():
                    self._theirs.setdefault(step, {})[rank] = said
        ready = [step for step in self._own if len(self._theirs.get(step, ())) == len(self._files)]
        if not ready:
            return {}
        step = max(ready)
        own, theirs = self._own[step], list(self._theirs[step].values())
        for old in [s for s in (*self._own, *self._theirs) if s <= step]:
            self._own.pop(old, None)
            self._theirs.pop(old, None)
        return _compared(own, theirs)

    def _read(self, rank: int) -> Iterator[dict[str, Any]]:
        """The whole lines that are new in the file of a rank."""
        data = b""
        with suppress(OSError), self._files[rank].open("rb") as stream:
            stream.seek(self._offsets[rank])
            data = stream.read(MAX_READ)
        end = data.rfind(b"\n") + 1
        self._offsets[rank] += end if end or len(data) < MAX_READ else len(data)
        for line in data[:end].splitlines():
            with suppress(ValueError, RecursionError):
                event = json.loads(line)
                if isinstance(event, dict):
                    yield event


def _compared(own: RankDigests, theirs: list[RankDigests]) -> dict[str, float]:
    found: dict[str, float] = {}
    if own.weights and all(t.weights for t in theirs):
        found["ranks_with_other_weights"] = float(sum(t.weights != own.weights for t in theirs))
    if own.random and all(t.random for t in theirs):
        found["ranks_with_same_random_state"] = float(sum(t.random == own.random for t in theirs))
    if own.prompts and all(t.prompts for t in theirs):
        found["ranks_with_same_prompts"] = float(sum(t.prompts == own.prompts for t in theirs))
    return found
