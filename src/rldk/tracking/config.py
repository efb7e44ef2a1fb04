"""The configuration of a tracker, and what users pass for a run as plain JSON without secrets."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field

from rldk.core.secrets.redact import redact, without_secrets
from rldk.errors import UsageError
from rldk.tracking.folders import shelf

MAX_DEPTH = 16
MAX_TEXT = 10_000
MAX_ITEMS = 1000  # of an array; a larger one is no setting, and is cut as text


class TrackingConfig(Struct, frozen=True):
    """What an `ExperimentTracker` records, and where.

    `experiment_id`: the name of the directory in `output_dir`; one that is given again continues the run. By default it
    is made from `experiment_name`, with a number where that is taken. `output_dir`: `$RLDK_DIR`, by default `./runs`.
    `capture_pip_freeze`: the versions of all packages; pip itself is not called. `track_..._seed`: whether the state of
    that generator is recorded; `set_seeds` seeds all of them. `save_to_json`: without `run.json` the other commands of
    rldk do not find the run. `save_model_weights`: as safetensors, which takes as much space as the model."""

    experiment_name: str
    experiment_id: str | None = None
    output_dir: str | os.PathLike[str] = field(default_factory=lambda: os.fspath(shelf()))
    enable_dataset_tracking: bool = True
    enable_model_tracking: bool = True
    enable_environment_tracking: bool = True
    enable_seed_tracking: bool = True
    enable_git_tracking: bool = True
    dataset_checksum_algorithm: str = "sha256"
    model_fingerprint_algorithm: str = "sha256"
    save_model_architecture: bool = True
    save_model_weights: bool = False
    capture_conda_env: bool = True
    capture_pip_freeze: bool = True
    capture_system_info: bool = True
    track_numpy_seed: bool = True
    track_torch_seed: bool = True
    track_python_seed: bool = True
    track_cuda_seed: bool = True
    save_to_json: bool = True
    save_to_yaml: bool = True
    save_to_wandb: bool = False
    wandb_project: str = "rldk-experiments"
    tags: list[str] = []
    notes: str | None = None
    metadata: dict[str, Any] = {}


def plain_config(config: Any) -> dict[str, Any]:
    """The configuration of a mapping, a dataclass or a namespace; {} for None.

    Numbers that are not finite and objects without a JSON form become text. Raises `UsageError` for anything else."""
    if config is None:
        return {}
    if dataclasses.is_dataclass(config) and not isinstance(config, type):
        config = {f.name: getattr(config, f.name) for f in dataclasses.fields(config)}
    elif not isinstance(config, Mapping) and hasattr(config, "__dict__"):
        config = vars(config)
    if not isinstance(config, Mapping):
        raise UsageError(f"config is a {type(config).__name__}", hint="give a mapping, a dataclass or a namespace")
    return redact(_plain(config, 0))


def plain_value(key: str, value: Any) -> Any:
    """A value that the user gave under `key`, as plain JSON without secrets."""
    return redact({key: _plain(value, 0)})[key]


def _plain(value: Any, depth: int) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str(value)[:MAX_TEXT]
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(float(value))
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):  # numbers of numpy and torch
        return _plain(value.item(), depth)
    if depth < MAX_DEPTH and hasattr(value, "tolist") and math.prod(getattr(value, "shape", ())) <= MAX_ITEMS:
        return _plain(value.tolist(), depth + 1)
    if depth < MAX_DEPTH and isinstance(value, Mapping):
        return {without_secrets(str(k)): _plain(v, depth + 1) for k, v in value.items()}
    if depth < MAX_DEPTH and isinstance(value, list | tuple | set | frozenset):
        return [_plain(item, depth + 1) for item in value]
    return str(value)[:MAX_TEXT]
