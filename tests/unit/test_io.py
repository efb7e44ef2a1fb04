from __future__ import annotations

import json
import math
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rldk import io
from rldk.errors import MalformedInput

EVENT = io.Event(
    step=4,
    wall_time=12.5,
    metrics={"kl": 0.25, "loss": math.inf, "grad_norm": None},
    rng={"seed": 3},
    data_slice={"tokens_in": 128},
    model_info={"run_id": "a", "phase": "eval"},
    notes=["High clipping fraction detected"],
)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    events = [EVENT, io.Event(step=5, metrics={"kl": 1.0})]
    assert io.write_events(events, tmp_path / "events.jsonl") == 2
    assert io.read_events(tmp_path / "events.jsonl") == events
    assert io.validate_events(tmp_path / "events.jsonl") == ()


def test_scalar_and_wide_lines_are_events_too(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"time":1.5,"step":1,"name":"kl","value":0.5,"run_id":"a"}\n{"step":2,"kl":0.25,"x":{"y":null}}\n')
    first, second = io.read_events(path)
    assert first == io.Event(step=1, wall_time=1.5, metrics={"kl": 0.5}, model_info={"run_id": "a"})
    assert second == io.Event(step=2, metrics={"kl": 0.25, "x/y": None})


def test_bad_lines_are_left_out_listed_or_an_error(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"step":1,"kl":1}\n\n{"kl":\n{"name":"kl","value":2}\n')
    assert [event.step for event in io.read_events(path)] == [1, 1]
    assert [(p.line, p.offset, p.reason) for p in io.validate_events(path)] == [
        (3, 19, "not JSON: Expecting value at column 7"),
        (4, 26, "Object missing required field `step`"),
    ]
    with pytest.raises(MalformedInput, match="line 3, byte 19"):
        io.read_events(path, strict=True)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    io.write_events([EVENT], path)
    with pytest.raises(TypeError):
        io.write_events([EVENT, io.Event(step=1, rng={"x": object()})], path)
    assert io.read_events(path) == [EVENT]
    assert list(tmp_path.iterdir()) == [path]


KEYS = st.sampled_from(["step", "name", "value", "metrics", "time", "wall_time", "notes", "run_id", "rng", "kl"])
VALUES = st.recursive(
    st.none() | st.integers() | st.just(0.5) | st.sampled_from(["", "kl", "NaN"]),
    lambda inner: st.dictionaries(KEYS, inner, max_size=2) | st.lists(inner, max_size=2),
)


@given(
    st.dictionaries(KEYS, VALUES, max_size=4)
    | st.dictionaries(KEYS, VALUES, max_size=4).map(lambda d: {**d, "step": 1})
)
def test_validation_is_the_published_schema(obj: dict[str, object]) -> None:
    fits = jsonschema.Draft202012Validator(io.event_schema).is_valid(obj)
    assert fits == (io.validate_events([obj]) == ())


def test_normalised_rows_fit_their_schema() -> None:
    validator = jsonschema.Draft202012Validator(io.training_metrics_schema)
    assert validator.is_valid({"step": 1, "phase": "train", "seed": 3, "kl": 0.1, "loss": None, "x": "NaN"})
    assert not validator.is_valid({"step": 1, "kl": "high"})
    assert json.dumps(io.training_metrics_schema)
