"""The page of two checkpoints: the strip of layers, the order of tensors, and what an infinite change is called."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from examples import each_of

from rldk.cards import terminal
from rldk.cards.checkpoints import heat_strip
from rldk.forensics import diff_checkpoints
from rldk.provenance.fingerprints.safetensors import write_tensors


@each_of(
    ("values", "strip"),
    [
        ([0.0, 1.0, 0.1, 1e-4, 1e-9], "·█▆▁▁"),
        ([math.inf, 1.0], "██"),
        ([0.0, 0.0], "··"),
        ([1.0] * 200, "█" * 128 + " ..."),
    ],
    ids=["decades", "infinite", "still", "many"],
)
def test_a_strip_has_one_mark_a_layer(values: list[float], strip: str) -> None:
    assert heat_strip(values, max((v for v in values if math.isfinite(v)), default=0.0)) == strip


def test_tensors_that_were_zero_come_last_and_say_so(tmp_path: Path) -> None:
    for name, scale in (("a", 1.0), ("b", 1.5)):
        tensors = {
            "model.layers.0.mlp.bias": np.full(4, scale - 1.0, np.float32),
            "model.layers.0.mlp.weight": np.full(4, scale, np.float32),
        }
        kinds = dict.fromkeys(tensors, ("float32", (4,)))
        pairs = ((key, values.view(np.uint8).data) for key, values in tensors.items())
        write_tensors(tmp_path / f"{name}.safetensors", kinds, pairs)
    report = diff_checkpoints(tmp_path / "a.safetensors", tmp_path / "b.safetensors")
    text = terminal.render(report.view())
    weight, bias = (
        text.index("`model.layers.0.mlp.weight` changed by 0.5"),
        text.index("`model.layers.0.mlp.bias` was zero"),
    )
    assert weight < bias


@pytest.mark.parametrize(
    ("scale", "names", "badge"), [(1.0, "w", "THE SAME"), (1.5, "w", "CHANGED"), (1.0, "v", "WARNING")]
)
def test_the_badge_says_whether_anything_changed(tmp_path: Path, scale: float, names: str, badge: str) -> None:
    for file, name, factor in (("a", "w", 1.0), ("b", names, scale)):
        values = np.full(20_000, factor, np.float32)
        pairs = iter([("w", values.view(np.uint8).data), (name + ".x", values.view(np.uint8).data)])
        write_tensors(tmp_path / file, dict.fromkeys(("w", name + ".x"), ("float32", (20_000,))), pairs)
    assert diff_checkpoints(tmp_path / "a", tmp_path / "b").view().badge == badge
