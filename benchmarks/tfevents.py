"""Scalars of a TensorBoard event file, against TensorBoard's own EventAccumulator where it is installed."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from benchmarks.data import event_file
from benchmarks.measure import Work, race
from benchmarks.result import Result

SCALARS = 250_000
SPEED_UP = 4.0
_THEIRS = "tensorboard.backend.event_processing.event_accumulator"


def results(work: Path, scale: float, repeats: int) -> list[Result]:
    path = work / "events.out.tfevents.1790000000.host.1.0"
    scalars = int(SCALARS * scale)
    event_file(path, scalars)
    works = [Work(f"{__name__}:read_scalars", str(path), "rldk.adapters.formats.tensorboard")]
    if find_spec("tensorboard") is not None:
        works.append(Work(f"{__name__}:accumulate", str(path), _THEIRS))
    ours, *others = race(*works, repeats=repeats)
    theirs = others[0] if others else None
    note = f"{scalars / ours.cpu_s / 1000:.0f} k scalars/cpu-s"
    if theirs is None:
        note += "; no baseline: tensorboard is not installed"
    path.unlink()
    return [
        Result(
            job=f"tfevents, {ours.facts['values']} scalars",
            ours=ours,
            baseline=theirs,
            against="EventAccumulator",
            ratio=theirs.cpu_s / ours.cpu_s if theirs else None,
            at_least=SPEED_UP,
            note=note,
        )
    ]


def read_scalars(path: str) -> dict[str, int]:
    import numpy as np

    from rldk.adapters.formats.tensorboard import TensorBoard

    table = TensorBoard(path).read().table
    return {"values": int(sum(np.count_nonzero(~np.isnan(column)) for column in table.columns.values()))}


def accumulate(path: str) -> dict[str, int]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    accumulator = EventAccumulator(path, size_guidance={"scalars": 0})
    accumulator.Reload()
    return {"values": sum(len(accumulator.Scalars(tag)) for tag in accumulator.Tags()["scalars"])}
