"""A run as MLflow keeps one in files: `mlruns/EXPERIMENT/RUN/` with parameters, metrics, tags and artifacts.

The layout is that of mlflow/store/tracking/file_store.py, checked with MLflow itself."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rldk.core.rundir import RunDirectory
from rldk.core.text import later
from rldk.tracking.exports.archive import ArchiveEntry, write_zip
from rldk.tracking.exports.source import ExportSource, shown_command

MAX_PARAM = 6000  # characters; MLflow refuses longer ones
MAX_DEPTH = 16
_STATUS = {"running": 1, "finished": 3, "crashed": 4}  # RunStatus of MLflow
_STRANGE = later(r"[^A-Za-z0-9_. /-]")  # in the name of a metric or a parameter


def write_mlflow(source: ExportSource, output: Path) -> None:
    """Writes the store as an archive. Raises `OutputError`."""
    write_zip(output, entries(source))


def entries(source: ExportSource) -> list[ArchiveEntry]:
    """Every file of the store. The names of experiment and run follow from those of the project and the run, so that
    the same run gives the same store."""
    manifest = source.manifest
    project = manifest.project or "rldk"
    experiment = str(int(hashlib.sha256(project.encode("utf-8", "replace")).hexdigest()[:15], 16))
    run = hashlib.sha256(f"{project}\0{source.name}".encode("utf-8", "replace")).hexdigest()[:32]
    home, inner = f"mlruns/{experiment}", f"mlruns/{experiment}/{run}"
    start, end = _milliseconds(manifest.started_at), _milliseconds(manifest.finished_at)
    about_experiment = {
        "artifact_location": home,
        "creation_time": start,
        "experiment_id": experiment,
        "last_update_time": end if end is not None else start,
        "lifecycle_stage": "active",
        "name": project,
    }
    about_run: dict[str, Any] = {
        "artifact_uri": f"{inner}/artifacts",
        "end_time": end,
        "entry_point_name": "",
        "experiment_id": experiment,
        "lifecycle_stage": "active",
        "run_id": run,
        "run_name": source.name,
        "run_uuid": run,
        "source_name": "",
        "source_type": 4,
        "source_version": "",
        "start_time": start,
        "status": _STATUS.get(manifest.status or "", 3),
        "tags": [],
        "user_id": "rldk",
    }
    made = {f"{home}/meta.yaml": _yaml(about_experiment), f"{inner}/meta.yaml": _yaml(about_run)}
    made |= {f"{inner}/params/{name}": text for name, text in _params(manifest.config)}
    made |= {f"{inner}/tags/{name}": text for name, text in _tags(source)}
    made |= {f"{inner}/metrics/{name}": text for name, text in _metrics(source.folder, start or 0)}
    texts = [ArchiveEntry(name=name, content=text.encode("utf-8", "replace")) for name, text in made.items()]
    return texts + [ArchiveEntry(name=f"{inner}/artifacts/{file.name}", content=file.path) for file in source.files]


def _yaml(values: Mapping[str, Any]) -> str:
    """JSON is YAML, and needs no quoting rules of its own."""
    return "".join(f"{key}: {json.dumps(value)}\n" for key, value in values.items())


def _params(config: Mapping[str, Any], before: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
    for key, value in config.items():
        name = f"{before}{_name(str(key))}"
        if isinstance(value, Mapping) and value and depth < MAX_DEPTH:
            yield from _params(value, f"{name}.", depth + 1)
        else:
            text = value if isinstance(value, str) else json.dumps(value)
            yield name, text[:MAX_PARAM]


def _tags(source: ExportSource) -> Iterator[tuple[str, str]]:
    manifest = source.manifest
    said = {
        "mlflow.runName": source.name,
        "mlflow.source.name": manifest.script.path if manifest.script is not None else shown_command(manifest),
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": manifest.git.sha if manifest.git is not None else None,
        "mlflow.source.git.branch": manifest.git.branch if manifest.git is not None else None,
        "mlflow.note.content": manifest.notes,
        "rldk.seed": None if manifest.seed is None else str(manifest.seed),
    }
    said |= {f"rldk.data.{_name(name)}": one.fingerprint for name, one in manifest.datasets.items()}
    said |= {f"rldk.weights.{_name(name)}": one.weights for name, one in manifest.models.items()}
    said |= {f"rldk.tokenizer.{_name(name)}": one.digest for name, one in manifest.tokenizers.items()}
    said |= {f"rldk.tag.{_name(tag)}": "true" for tag in manifest.tags}
    yield from ((name, text) for name, text in said.items() if text)


def _metrics(folder: Path, start: int) -> Iterator[tuple[str, str]]:
    """One file for each number of the log: time, value and step of each row."""
    log = RunDirectory(folder).metrics
    if not log.is_file() or log.is_symlink() or not log.stat().st_size:
        return
    from rldk.adapters.open import open_runs

    (run, *_) = open_runs(log)
    table = run.metrics
    times = [int(t * 1000) if math.isfinite(t) else start for t in table.time.tolist()]
    steps = table.step.tolist()
    for key, column in table.columns.items():
        rows = zip(times, column.tolist(), steps, strict=True)
        text = "".join(f"{time} {value!r} {step}\n" for time, value, step in rows if math.isfinite(value))
        if text:
            yield _name(key), text


def _name(text: str) -> str:
    """A name that MLflow takes and that is a path inside of its folder."""
    plain = _STRANGE.sub("_", text)
    parts = [part for part in plain.split("/") if part.strip(". ")]
    return "/".join(part[:200] for part in parts)[:240] or "_"


def _milliseconds(moment: str | None) -> int | None:
    try:
        found = datetime.fromisoformat(moment or "")
    except ValueError:
        return None
    return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000)
