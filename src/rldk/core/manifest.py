"""The manifest of a run directory, `run.json`: written whole or not at all, read with mistrust."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_type_hints

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from rldk.core.codec import to_builtins
from rldk.core.files import write_whole
from rldk.core.rundir import MANIFEST
from rldk.errors import MalformedInput, UnreadableSource

SCHEMA_VERSION = 1
MAX_BYTES = 8 << 20
Status = Literal["running", "finished", "crashed", "unknown"]


class RunProcess(Struct, frozen=True, kw_only=True):
    """The process that writes the run. `born`: when it began, as its kernel counts; a later process with the same
    number has another one."""

    pid: int
    host: str
    born: str | None = None


class GitFile(Struct, frozen=True, kw_only=True):
    """A file that is in no commit. `kept`: whether its content is in the run directory; otherwise `reason` says why
    not."""

    path: str
    bytes: int
    digest: str | None = None
    kept: bool = False
    reason: str | None = None


class GitState(Struct, frozen=True, kw_only=True):
    """The code that ran. `dirty`: whether it has changes that are in no commit; None if that is not known. `remote`:
    the address that it was cloned from, without credentials. `diff`: the file of the run directory that holds the
    changes, `diff_digest` its digest. `submodules`: commit by path. `redactions`: how many secrets were taken out of
    the changes; a replay then lacks them."""

    sha: str | None = None
    branch: str | None = None
    dirty: bool | None = None
    remote: str | None = None
    diff: str | None = None
    diff_digest: str | None = None
    untracked: tuple[GitFile, ...] | None = None
    submodules: dict[str, str] | None = None
    redactions: int | None = None


class Script(Struct, frozen=True, kw_only=True):
    """The file that was started."""

    path: str
    sha256: str


class DatasetRecord(Struct, frozen=True, kw_only=True):
    """A dataset of the run. `fingerprint`: its digest as `algorithm:hex`. `format`: how it was read. `source`: the file
    or folder, where there is one. `sampled`: only a part was read, so the digest proves less. `rows_file`: the file of
    the run directory with 16 bytes for each row, one after another. `leaves_file`: the one with the digests of the
    leaves, which tell roughly where a row has changed."""

    fingerprint: str
    format: str
    rows: int | None = None
    bytes: int | None = None
    source: str | None = None
    sampled: bool = False
    rows_file: str | None = None
    leaves_file: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


class ModelRecord(Struct, frozen=True, kw_only=True):
    """A model of the run: the digest of its weights and, apart from it, of its architecture. `tensors_file`: the file
    of the run directory with one digest per tensor."""

    weights: str
    architecture: str
    parameters: int
    source: str | None = None
    tensors_file: str | None = None
    weights_file: str | None = None
    architecture_file: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


class TokenizerRecord(Struct, frozen=True, kw_only=True):
    """A tokenizer of the run: one digest over everything that decides its output, and one for each part of it."""

    digest: str
    parts: dict[str, str] = field(default_factory=dict)
    source: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


class Manifest(Struct, frozen=True, kw_only=True):
    """What `run.json` says of a run; a field that is None or empty is not written. Times are ISO 8601 in UTC.

    `cwd`: the directory that the command was started in; relative paths of the command and the script begin there.
    `other`: keys that this version does not know, of a nested object under the name of that object. They are written
    back as they were read. `records_lost`: what could not be written to the log. `restarts`: how often the run was
    continued. `exit_code`: of the command of `rldk run`. `error`: the type of the exception that ended the run.
    `rank`: of the process in a distributed run; None for the first. `redactions`: how many secrets were taken out."""

    schema_version: int | None = SCHEMA_VERSION
    run_id: str | None = None
    project: str | None = None
    name: str | None = None
    status: Literal["running", "finished", "crashed"] | None = None
    started_at: str | None = None
    finished_at: str | None = None
    process: RunProcess | None = None
    command: tuple[str, ...] = ()
    cwd: str | None = None
    script: Script | None = None
    exit_code: int | None = None
    error: str | None = None
    seed: int | None = None
    config: dict[str, Any] = field(default_factory=dict)
    git: GitState | None = None
    environment: dict[str, Any] = field(default_factory=dict)
    packages: dict[str, str] = field(default_factory=dict)
    datasets: dict[str, DatasetRecord] = field(default_factory=dict)
    models: dict[str, ModelRecord] = field(default_factory=dict)
    tokenizers: dict[str, TokenizerRecord] = field(default_factory=dict)
    seeds: dict[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    notes: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    records: int | None = None
    records_lost: int | None = None
    restarts: int | None = None
    rank: int | None = None
    redactions: int | None = None
    other: dict[str, Any] = field(default_factory=dict)


def stated_config(manifest: Manifest) -> dict[str, Any]:
    """The settings that a run states: its metadata, where `ExperimentTracker` keeps what its user passes, and its
    configuration, which counts more. A result that was added to the metadata is among them."""
    return {**manifest.metadata, **manifest.config}


_HINTS = {name: hint for name, hint in get_type_hints(Manifest).items() if name != "other"}
_NESTED: dict[str, type[Struct]] = {"process": RunProcess, "git": GitState, "script": Script}
_RECORDS = ("datasets", "models", "tokenizers")


def read_manifest(folder: Path, name: str = MANIFEST) -> Manifest | None:
    """The manifest of the run in `folder`; None when there is no `run.json`. `name`: of the file of another rank.

    A file without a `schema_version` is somebody else's: what does not fit goes to `other`. Raises `UnreadableSource`,
    and `MalformedInput` for a file that is broken or of a later version of rldk."""
    path = folder / name
    try:
        if not path.is_file() or path.is_symlink():
            return None
        if path.stat().st_size > MAX_BYTES:
            raise MalformedInput(f"{path} is larger than {MAX_BYTES >> 20} MiB", hint="no run writes such a manifest")
        data = json.loads(path.read_bytes())
    except OSError as error:
        raise UnreadableSource(f"cannot read {path}: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise MalformedInput(f"{path} is no JSON: {error}", hint="was it copied whole?") from None
    if not isinstance(data, dict):
        raise MalformedInput(f"{path} is no JSON object", hint="it is not the manifest of a run")
    return manifest_of(data, str(path))


def recorded_manifest(folder: Path) -> Manifest:
    """The manifest of the run. Raises `UnreadableSource` where there is none."""
    manifest = read_manifest(folder)
    if manifest is None:
        raise UnreadableSource(f"{folder} has no run.json", hint="`rldk runs list` shows which runs there are")
    return manifest


def manifest_of(data: Mapping[str, Any], where: str = MANIFEST) -> Manifest:
    """The manifest in a JSON object; `where` names it in errors. Raises `MalformedInput` as `read_manifest` does."""
    version = data.get("schema_version")
    ours = type(version) is int
    if type(version) is int and version > SCHEMA_VERSION:
        hint = "open it with the version of rldk that wrote it, or a later one"
        raise MalformedInput(f"{where} has schema_version {version}; this rldk knows {SCHEMA_VERSION}", hint=hint)
    known: dict[str, Any] = {"schema_version": None}
    other: dict[str, Any] = {}
    for key, value in data.items():
        if value is None and key in _HINTS:
            continue
        try:
            known[key] = msgspec.convert(value, _HINTS[key])
        except (KeyError, msgspec.ValidationError) as error:
            if ours and key in _HINTS:
                raise MalformedInput(f"{where}: {key}: {error}", hint="correct it, or remove the key") from None
            other[key] = value
        else:
            left = _unknown(_NESTED[key], value) if key in _NESTED else {}
            other |= {key: left} if left else {}
    return Manifest(**known, other=other)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Replaces `folder/run.json`: a crash leaves the old one or the new one, whole.

    Raises `OSError`, and `TypeError` for what has no JSON form."""
    write_whole(folder / MANIFEST, manifest_text(manifest), durable=True)


def manifest_text(manifest: Manifest) -> str:
    """What `run.json` holds. Raises `TypeError` for what has no JSON form."""
    return json.dumps(plain(manifest), indent=2, allow_nan=False)


def plain(manifest: Manifest) -> dict[str, Any]:
    """The manifest as the JSON object that is written."""
    data = to_builtins(manifest)
    other = data.pop("other")
    known = {key: value for key, value in data.items() if value is not None and value not in ([], {})}
    nested = {key: _stated(known[key]) | other.get(key, {}) for key in _NESTED if key in known}
    records = {key: {name: _stated(one) for name, one in known[key].items()} for key in _RECORDS if key in known}
    return {**known, **other, **nested, **records}


def manifest_schema() -> dict[str, Any]:
    """The JSON Schema of `run.json`; keys that it does not name are allowed."""
    from inspect import cleandoc

    from rldk.core.schema import DRAFT

    (_,), definitions = msgspec.json.schema_components([Manifest])
    parts = {name: {**part, "description": cleandoc(part["description"])} for name, part in definitions.items()}
    top = parts.pop("Manifest")
    top["properties"] = {key: value for key, value in top["properties"].items() if key != "other"}
    return {"$schema": DRAFT, **top, "title": "rldk run.json", "$defs": parts}


def continued(manifest: Manifest, earlier: Manifest | None) -> Manifest:
    """The manifest of a run that goes on in a directory that may hold an earlier one.

    It keeps the names of the run and the time of its start, and counts how often the run was continued. Taking over
    from a process that still runs does not count."""
    if earlier is None:
        return manifest
    names = ("run_id", "project", "name", "started_at", "other")
    kept = {name: getattr(earlier, name) for name in names if getattr(earlier, name) is not None}
    more = 0 if status_of(earlier) == "running" else 1
    return replace(manifest, **kept, restarts=(earlier.restarts or 0) + more or None)


def this_process() -> RunProcess:
    """The process that asks."""
    pid = os.getpid()
    return RunProcess(pid=pid, host=platform.node(), born=process_birth(pid))


def process_birth(pid: int) -> str | None:
    """When a process of this machine began, as its kernel counts; None where that is not known."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[-1].split()[19]
    except (OSError, ValueError, IndexError):
        return None


def status_of(manifest: Manifest) -> Status:
    """What has become of a run: one that says it is running has crashed when its process is gone from this machine.

    A run of another machine is believed. So is one whose process number another process has by now, where the kernel
    does not tell when a process began."""
    match manifest.status, manifest.process:
        case ("finished" | "crashed") as ended, _:
            return ended
        case "running", RunProcess() as process:
            return "crashed" if process.host == platform.node() and not _alive(process) else "running"
        case _:
            return "unknown"


def timestamp(seconds: float | None = None) -> str:
    """A moment in unix seconds (default: now) as manifests have it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _stated(record: Mapping[str, Any]) -> dict[str, Any]:
    """What a record says: the fields that are known, and the mappings that are not empty."""
    return {key: value for key, value in record.items() if value is not None and value != {}}


def _unknown(cls: type[Struct], value: Mapping[str, Any]) -> dict[str, Any]:
    return {key: item for key, item in value.items() if key not in cls.__struct_fields__}


def _alive(process: RunProcess) -> bool:
    pid = process.pid
    if not 0 < pid < 1 << 31:
        return False
    born = None if process.born is None else process_birth(pid)
    if born is not None and born != process.born:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # the process belongs to another user
    return True
