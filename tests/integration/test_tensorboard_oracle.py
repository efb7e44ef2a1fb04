"""Our event-file reader against TensorBoard's own."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from rldk.adapters.formats.tensorboard import TensorBoard

pytestmark = [pytest.mark.integration, pytest.mark.filterwarnings("ignore")]  # TensorBoard's own warnings are not ours
FILES = sorted((Path(__file__).parents[1] / "fixtures").rglob("events.out.tfevents.*"))


@pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parent.parent.name}-{p.parent.name}-{p.stem[-12:]}")
def test_every_value_that_tensorboard_reads_is_read(path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    theirs = accumulator.EventAccumulator(str(path), size_guidance={"scalars": 0, "tensors": 0}).Reload()
    table = TensorBoard(path).read().table
    ours = {
        (name, step): value
        for name, column in table.columns.items()
        for step, value in zip(table.step.tolist(), column.tolist(), strict=True)
        if not math.isnan(value)
    }
    for tag in theirs.Tags()["scalars"]:
        last = {e.step: e.value for e in theirs.Scalars(tag)}
        for step, value in last.items():
            if not math.isnan(value):
                assert ours[tag, step] == pytest.approx(value), (tag, step)
