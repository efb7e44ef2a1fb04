"""Fingerprints of models: one digest for the same weights in any files; a changed element is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from examples import each_of

from rldk.errors import MalformedInput, NotALog, UnreadableSource
from rldk.provenance.fingerprints.model import diff_models, model_fingerprint

TYPES = {"float32": "F32", "int64": "I64", "float16": "F16", "bool": "BOOL"}


def weights() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    return {
        "embed": rng.standard_normal((300, 1000)).astype(np.float32),
        "head.bias": np.zeros(3, np.float16),
        "steps": np.array(7),
        "mask": np.array([True, False]),
        "none": np.zeros((0, 4), np.float32),
    }


def write(path: Path, tensors: dict[str, Any], **meta: Any) -> Path:
    """A safetensors file, by the format's own description."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt", **meta}}
    body = b""
    for name, array in tensors.items():
        data = array.tobytes()
        place = [len(body), len(body) + len(data)]
        header[name] = {"dtype": TYPES[array.dtype.name], "shape": list(array.shape), "data_offsets": place}
        body += data
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + body)
    return path


def test_files_shards_and_arrays_are_one_model(tmp_path: Path) -> None:
    tensors = weights()
    whole = model_fingerprint(tensors)
    one = model_fingerprint(write(tmp_path / "a.safetensors", tensors))
    (tmp_path / "shards").mkdir()
    for i, name in enumerate(reversed(tensors)):
        write(tmp_path / "shards" / f"model-{i}-of-5.safetensors", {name: tensors[name]}, shard=str(i))
    assert whole == one == model_fingerprint(str(tmp_path / "shards"))
    assert whole.parameters == 300_000 + 3 + 1 + 2
    assert list(whole.tensors) == sorted(tensors)
    assert model_fingerprint({**tensors, "embed": np.asfortranarray(tensors["embed"])}) == whole


def test_a_changed_element_is_named() -> None:
    before, tensors = model_fingerprint(weights()), weights()
    tensors["embed"][290, 5] += 1
    after = model_fingerprint(tensors)
    (found,) = diff_models(before, after)
    assert (found.name, found.why) == ("embed", "changed")
    assert found.first is not None and found.last is not None  # noqa: PT018 - for the types
    assert found.first <= 290_005 <= found.last <= 299_999
    assert found.last - found.first < 1 << 18
    assert (before.weights != after.weights, before.architecture == after.architecture) == (True, True)
    assert diff_models(before, before) == ()


def test_tensors_that_came_went_and_changed_their_shape_are_named() -> None:
    tensors = weights()
    tensors["new"] = tensors.pop("mask")
    tensors["head.bias"] = np.zeros(4, np.float16)
    tensors["steps"] = np.array(7, np.float32)
    after = model_fingerprint(tensors)
    assert {d.name: d.why for d in diff_models(model_fingerprint(weights()), after)} == {
        "head.bias": "float16 [3] became float16 [4]",
        "mask": "removed",
        "new": "added",
        "steps": "int64 [] became float32 []",
    }
    assert after.architecture != model_fingerprint(weights()).architecture


def test_a_name_moved_to_other_weights_is_another_model() -> None:
    one, other = np.zeros(3, np.float32), np.ones(3, np.float32)
    made = [model_fingerprint({"a": x, "b": y}) for x, y in ((one, other), (other, one))]
    assert (made[0].weights != made[1].weights, made[0].architecture == made[1].architecture) == (True, True)


ENTRY = b'{"a": {"dtype": "F32", "shape": [2], "data_offsets": %s}}'
HEADERS = {
    "too long": (1 << 40).to_bytes(8, "little"),
    "no json": (4).to_bytes(8, "little") + b"{{{{",
    "a list": (2).to_bytes(8, "little") + b"[]",
    "deep": (60_000).to_bytes(8, "little") + b"[" * 60_000,
    "short": b"\1\0",
    "outside": (72).to_bytes(8, "little") + (ENTRY % b"[0, 8]").ljust(72),
    "backwards": (72).to_bytes(8, "little") + (ENTRY % b"[8, 0]").ljust(80),
    "no shape": (64).to_bytes(8, "little") + b'{"a": {"dtype": "F32", "data_offsets": [0, 0]}}'.ljust(64),
}


@each_of("name", HEADERS)
def test_damaged_files_are_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes(HEADERS[name])
    with pytest.raises(NotALog):
        model_fingerprint(tmp_path / "x.safetensors")


def test_what_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(UnreadableSource, match="none"):
        model_fingerprint(tmp_path / "none.safetensors")
    (tmp_path / "empty.safetensors").write_bytes(b"")
    with pytest.raises(UnreadableSource, match="empty"):
        model_fingerprint(tmp_path / "empty.safetensors")
    with pytest.raises(NotALog, match="no safetensors"):
        model_fingerprint(tmp_path / ".." / tmp_path.name / "..")
    for thing in (7, {"a": object()}, {"a": np.array([None])}):
        with pytest.raises(MalformedInput):
            model_fingerprint(thing)
