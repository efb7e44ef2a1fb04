"""Makes and reads `rldk.lock`: the environment that a result came from, as a text for version control."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from rldk.core.audit.lock import SCHEMA_VERSION, EnvironmentLock
from rldk.errors import MalformedInput, UnreadableSource

NAME = "rldk.lock"
MAX_BYTES = 4 << 20
# These belong to one start of a run, not to the environment.
_OF_ONE_START = frozenset({"SLURM_JOB_ID", "CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"})
_OWN = "rldk"  # its version is a field of its own


def environment_lock(environment: Mapping[str, Any], packages: Mapping[str, str]) -> EnvironmentLock:
    """The lock of an environment as `provenance.environment` gives it, with the digests under `lock_files`."""
    processor, devices = _mapping(environment, "processor"), _mapping(environment, "devices")
    gpus = devices.get("gpus")
    names = [str(gpu.get("name")) for gpu in gpus if isinstance(gpu, Mapping)] if isinstance(gpus, list) else []
    machine = {
        "architecture": environment.get("machine"),
        "processor": processor.get("model"),
        "instructions": " ".join(map(str, processor.get("flags") or ())),
        "processors": processor.get("usable"),
        "driver": devices.get("driver"),
        "gpus": ", ".join(names),
        **{f"limit_{name}": value for name, value in _mapping(environment, "limits").items()},
    }
    variables = _mapping(environment, "variables")
    return EnvironmentLock(
        rldk=str(environment.get("rldk") or ""),
        python=_texts(
            {key: environment.get(name) for key, name in (("version", "python"), ("implementation", "implementation"))}
            | {"platform": environment.get("platform")}
        ),
        packages=_texts({k: v for k, v in packages.items() if k != _OWN}),
        origins=_texts({k: v for k, v in _mapping(environment, "origins").items() if k != _OWN}),
        conda=_texts(_mapping(environment, "conda")),
        lock_files=_texts(_mapping(environment, "lock_files")),
        variables=_texts({k: v for k, v in variables.items() if k not in _OF_ONE_START}),
        libraries=_texts(_libraries(environment)),
        machine=_texts(machine),
    )


def lock_text(lock: EnvironmentLock) -> str:
    """The lock as it is written: JSON with one value on each line, so that a diff of two locks can be read."""
    return json.dumps(msgspec.to_builtins(lock), indent=2, ensure_ascii=False) + "\n"


def read_lock(path: Path) -> EnvironmentLock:
    """The lock in a file. Raises `UnreadableSource` and `MalformedInput`."""
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise UnreadableSource(f"cannot read {path}: {error.strerror or error}") from None
    if len(raw) > MAX_BYTES:
        raise MalformedInput(
            f"{path} is larger than {MAX_BYTES >> 20} MiB", hint="no lock is so large; is it another file?"
        )
    hint = "write it again with `rldk env-audit --update`"
    try:
        data = json.loads(raw)
        version = data.get("schema_version") if isinstance(data, dict) else None
        if not isinstance(version, int):
            raise MalformedInput(f"{path} is no lock of rldk: it has no schema_version", hint=hint)
        if version > SCHEMA_VERSION:
            newer = "open it with the version of rldk that wrote it, or a later one"
            raise MalformedInput(f"{path} has schema_version {version}; this rldk knows {SCHEMA_VERSION}", hint=newer)
        return msgspec.convert(data, EnvironmentLock)
    except (ValueError, RecursionError, msgspec.ValidationError) as error:
        raise MalformedInput(f"{path} is no lock of rldk: {error}", hint=hint) from None


def _libraries(environment: Mapping[str, Any]) -> dict[str, Any]:
    torch = _mapping(environment, "torch")
    found = {f"torch_{name}": torch[name] for name in ("version", "cuda", "hip", "git_version") if name in torch}
    for part, fields in _mapping(environment, "blas").items():
        if isinstance(fields, Mapping):
            found[str(part)] = " ".join(str(fields[key]) for key in ("name", "version") if key in fields)
    return found


def _mapping(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = values.get(name)
    return found if isinstance(found, Mapping) else {}


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    return {str(name): str(values[name]) for name in sorted(values) if values[name] not in (None, "")}
