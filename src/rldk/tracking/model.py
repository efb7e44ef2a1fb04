"""A model of a run: its record in the manifest, and beside it the digests of its tensors, its architecture, and its
weights where they are asked for."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from rldk.cards.progress import Progress, progress
from rldk.core.manifest import ModelRecord
from rldk.core.secrets.redact import without_secrets
from rldk.provenance.fingerprints.model import ModelFingerprint, model_fingerprint, tensors_of
from rldk.provenance.fingerprints.safetensors import write_tensors
from rldk.tracking.config import TrackingConfig, plain_config
from rldk.tracking.record import RunRecord


def record_model(
    model: Any, name: str, into: RunRecord, *, config: TrackingConfig, metadata: Mapping[str, Any] | None = None
) -> ModelRecord:
    """The record of a model: a module, a mapping of tensors, a path, or an object with such a `policy`.

    Raises as `model_fingerprint` does."""
    if not hasattr(model, "state_dict") and hasattr(getattr(model, "policy", None), "state_dict"):
        model = model.policy  # an algorithm of Stable-Baselines3
    stem, said = into.stem("models", name), plain_config(metadata)
    state = model.state_dict() if hasattr(model, "state_dict") else model  # once: a sharded model gathers it
    with progress(len(state) if isinstance(state, Mapping) else 0) as bar:
        algorithm = config.model_fingerprint_algorithm
        found = model_fingerprint(state, algorithm=algorithm, each=lambda tensor: bar.begin(f"{name}: {tensor}"))
        weights = None
        if config.save_model_weights:
            bar.expect(len(found.tensors))
            weights = _weights(state, found, f"{stem}.safetensors", into, bar)
    return ModelRecord(
        weights=f"{found.algorithm}:{found.weights}",
        architecture=f"{found.algorithm}:{found.architecture}",
        parameters=found.parameters,
        source=without_secrets(str(Path(model).absolute())) if isinstance(model, str | os.PathLike) else None,
        tensors_file=into.keep(f"{stem}.tensors.json", _tensors(found)),
        weights_file=weights,
        architecture_file=into.keep(f"{stem}.architecture.json", _architecture(model, found))
        if config.save_model_architecture
        else None,
        metadata=said,
    )


def _tensors(found: ModelFingerprint) -> bytes:
    """The fingerprint as JSON; the leaves are hexadecimal."""
    said = msgspec.to_builtins(found, builtin_types=(bytes,))
    for tensor in said["tensors"].values():
        tensor["leaves"] = [leaf.hex() for leaf in tensor["leaves"]]
    return msgspec.json.encode(said)


def _architecture(model: Any, found: ModelFingerprint) -> str:
    config = getattr(getattr(model, "config", None), "to_dict", None)  # of transformers
    is_path = isinstance(model, str | os.PathLike)
    said = {
        "class": None if is_path else f"{type(model).__module__}.{type(model).__qualname__}",
        "parameters": found.parameters,
        "config": plain_config(config()) if callable(config) else None,
        "tensors": {name: {"dtype": one.dtype, "shape": one.shape} for name, one in found.tensors.items()},
    }
    return json.dumps({key: value for key, value in said.items() if value is not None}, indent=1)


def _weights(model: Any, found: ModelFingerprint, name: str, into: RunRecord, bar: Progress) -> str | None:
    path = into.folder / name
    kinds = {key: (one.dtype, one.shape) for key, one in found.tensors.items()}

    def shown() -> Iterator[tuple[str, Any]]:
        for key, _, _, data in tensors_of(model):
            bar.begin(f"{name}: {key}")
            yield key, data

    def write() -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_tensors(path, kinds, shown())

    return name if into.outage.attempt(path, write, once=True) else None
