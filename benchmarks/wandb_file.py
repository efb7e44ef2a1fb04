"""W&B's own run files, against the package that writes them: its `DataStore` and its protobuf classes."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.data import METRICS, wandb_file
from benchmarks.measure import Work, race
from benchmarks.result import Result

ROWS = 20_000
SPEED_UP = 1.5
# wandb 0.24 and later have no reader of their own files in Python
_THEIRS = ("wandb.sdk.internal.datastore", "wandb.proto.wandb_internal_pb2")


def results(work: Path, scale: float, repeats: int) -> list[Result]:
    path = work / "run-made.wandb"
    rows = max(10, int(ROWS * scale))
    wandb_file(path, rows)
    works = [Work(f"{__name__}:read", str(path), "numpy,rldk.adapters.formats.wandb_offline")]
    if _has_reader():
        works.append(Work(f"{__name__}:read_with_wandb", str(path), ",".join(_THEIRS)))
    ours, *others = race(*works, repeats=repeats)
    theirs = others[0] if others else None
    note = f"{ours.facts['values'] / ours.cpu_s / 1000:.0f} k values/cpu-s"
    if theirs is None:
        note += "; no baseline: no wandb with a DataStore is installed"
    elif theirs.facts != ours.facts:
        note += f", BUT wandb sees {theirs.facts['values']} values"
    path.unlink()
    return [
        Result(
            job=f"W&B file, {rows} rows x {METRICS}",
            ours=ours,
            baseline=theirs,
            against="wandb's DataStore",
            ratio=theirs.cpu_s / ours.cpu_s if theirs else None,
            at_least=SPEED_UP,
            note=note,
        )
    ]


def _has_reader() -> bool:
    try:
        return all(find_spec(name) is not None for name in _THEIRS)
    except ModuleNotFoundError:
        return False


def read(path: str) -> dict[str, int]:
    import numpy as np

    from rldk.adapters.formats.wandb_offline import WandBAdapter

    table = WandBAdapter(path).read().table
    return {"values": int(sum(np.count_nonzero(~np.isnan(column)) for column in table.columns.values()))}


def read_with_wandb(path: str) -> dict[str, int]:
    """The history as columns, by the loop that one would write over wandb's own reader."""
    import json
    from importlib import import_module

    datastore, protocol = map(import_module, _THEIRS)
    store: Any = datastore.DataStore()
    store.open_for_scan(path)
    columns: dict[str, list[float]] = {}
    while (data := store.scan_data()) is not None:
        record: Any = protocol.Record()
        record.ParseFromString(data)
        if record.WhichOneof("record_type") != "history":
            continue
        for item in record.history.item:
            key = ".".join(item.nested_key) or item.key
            columns.setdefault(key, []).append(json.loads(item.value_json))
    return {"values": sum(len(column) for key, column in columns.items() if not key.startswith("_"))}
