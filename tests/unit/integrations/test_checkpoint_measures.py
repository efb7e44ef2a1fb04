"""What is measured at a checkpoint, on arrays as tensors."""

from __future__ import annotations

import csv
import math
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from arrays_as_tensors import tensor, torch_of_arrays

from rldk.core.table import Row
from rldk.integrations.trl.checkpoints import CheckpointLog, CheckpointMeasures, _trend


@pytest.fixture(autouse=True)
def _torch(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = torch_of_arrays()
    torch.cuda = SimpleNamespace(is_available=lambda: False)
    monkeypatch.setitem(sys.modules, "torch", torch)


def model(**parameters: Any) -> Any:
    named = {name: tensor(np.asarray(values, dtype=float)) for name, values in parameters.items()}
    return SimpleNamespace(named_parameters=lambda: iter(named.items()), named=named)


def take(measures: CheckpointMeasures, made: Any, **measured: float) -> Any:
    return measures.take(made, step=7, path="p", measured={name.replace("__", "/"): x for name, x in measured.items()})


def test_the_moments_of_all_weights_by_hand() -> None:
    made = model(a=[3.0, -4.0, 0.0], none=np.zeros(0), b=[[1.0]])
    made.named["b"].requires_grad = False
    found = take(CheckpointMeasures(), made)
    assert (found.step, found.path) == (7, "p")
    assert (found.weight_norm, found.weight_mean, found.weight_max_abs) == (math.sqrt(26.0), 0.0, 4.0)
    assert (found.weight_std, found.zero_weight_frac, found.nonfinite_weights) == (math.sqrt(6.5), 0.25, 0)
    assert (found.total_parameters, found.trainable_parameters) == (4, 3)
    assert (found.drift, found.trend, found.health) == (None, None, "sound")
    assert (found.grad_norm, found.gradient_flow) == (None, None)
    assert found.memory_gb is not None


def test_weights_that_are_not_finite_are_counted_and_left_out() -> None:
    found = take(CheckpointMeasures(), model(a=[math.nan, math.inf, 2.0, 0.0]))
    assert (found.nonfinite_weights, found.health, found.weight_norm, found.zero_weight_frac) == (
        2,
        "broken",
        2.0,
        0.75,
    )


def test_the_drift_from_one_checkpoint_to_the_next() -> None:
    made, measures = model(a=[3.0, 4.0]), CheckpointMeasures()
    told = []
    for move in (0.0, 0.0, 5.0, 10.0, 1.0):
        made.named["a"][:] *= 1 + move / float(np.linalg.norm(made.named["a"]))
        found = take(measures, made)
        told.append((None if found.drift is None else round(found.drift, 3), found.trend, found.health))
    assert told == [
        (None, None, "sound"), (0.0, None, "unchanged"), (1.0, "rising", "sound"), (1.0, "steady", "sound"),
        (0.05, "falling", "sound"),
    ]  # fmt: skip
    nothing, measures = model(a=[0.0]), CheckpointMeasures()
    assert [take(measures, nothing).drift for _ in range(2)] == [None, None]


def test_a_drift_within_a_tenth_of_the_last_is_no_trend() -> None:
    for now, before, expected in [
        (11.0, 10.0, "steady"), (11.01, 10.0, "rising"), (9.0, 10.0, "steady"), (8.99, 10.0, "falling"),
        (None, 1.0, None), (1.0, None, None), (0.0, 0.0, "steady"),
    ]:  # fmt: skip
        assert _trend(now, before) == expected, (now, before)


def test_gradients_are_those_that_were_measured_by_part() -> None:
    parts = {"grad_norm_module__a": 3.0, "grad_norm_module__b": 4.0, "grad_norm_module__c": 0.0, "grad_norm": 9.0}
    found = take(CheckpointMeasures(parameters=False), model(a=[1.0]), **parts)
    assert (found.grad_norm, found.grad_norm_min, found.grad_norm_max) == (5.0, 0.0, 4.0)
    assert found.gradient_flow == pytest.approx(2 / 3)
    assert found.total_parameters is None
    assert take(CheckpointMeasures(gradients=False), None, **parts).grad_norm is None


def test_the_table_of_checkpoints_has_a_row_for_each(tmp_path: Path) -> None:
    log, saved = CheckpointLog(CheckpointMeasures()), dict[str, str]()
    for rank in (0, 1):
        recorder: Any = SimpleNamespace(rank=rank, files=SimpleNamespace(save=saved.__setitem__))
        log.row(None)
        log.row(Row(step=1, values={"grad_norm_module/a": 2.0, "kl": 1.0}))
        log.saved(recorder, model(a=[1.0]), step=10 + rank, folder=str(tmp_path))
    rows = list(csv.DictReader(saved["checkpoint_summary.csv"].splitlines()))
    assert [(row["step"], row["path"], row["grad_norm"]) for row in rows] == [
        ("10", str(tmp_path / "checkpoint-10"), "2.0")
    ]
    assert (rows[0]["drift"], len(log.made)) == ("", 2)
