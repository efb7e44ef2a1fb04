"""What a meter looks at when it is told only a part of the training."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from examples import each_of

from rldk.integrations.environments import ORIGIN
from rldk.integrations.identities.cadence import Cadence
from rldk.integrations.identities.meter import Meter
from rldk.integrations.recorder import Recorder, Recording

NAMED = SimpleNamespace(named_parameters=lambda: iter(()))


def meter(folder: Path, every: int = 1) -> Meter:
    recorder = Recorder(Recording(output_dir=folder, run_id="r", echo=False), ORIGIN)
    return Meter(recorder, cadence=Cadence(every=every))


@each_of(("model", "sampler"), [(None, NAMED), (NAMED, None), (NAMED, object()), (None, None)])
def test_a_sampler_is_compared_only_where_both_have_weights(tmp_path: Path, model: Any, sampler: Any) -> None:
    made = meter(tmp_path)
    made.watch(model, None, sampler=sampler)
    made.synced()
    assert made.guard.failures == {}


@each_of(
    ("every", "due"),
    [(0, []), (1, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]), (10, [1, 2, 3, 10]), (4, [1, 2, 3, 4, 8, 12])],
)
def test_measurements_are_due_on_the_first_steps_and_then_at_intervals(every: int, due: list[int]) -> None:
    cadence = Cadence(every=every, first=3)
    assert [count for count in range(1, 13) if cadence.due(count)] == due
