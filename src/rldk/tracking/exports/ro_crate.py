"""A run as an RO-Crate 1.1 (w3id.org/ro/crate/1.1) that follows Process Run Crate 0.5."""

from __future__ import annotations

import json
import mimetypes
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rldk.tracking.exports.archive import ArchiveEntry, write_zip
from rldk.tracking.exports.source import ExportSource, RunDirectoryFile, shown_command

DESCRIPTOR = "ro-crate-metadata.json"
CRATE = "https://w3id.org/ro/crate/1.1"
PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
CONTEXT = [f"{CRATE}/context", {"sha256": "http://schema.org/sha256"}]
_TYPES = {".jsonl": "application/jsonl", ".diff": "text/x-diff", ".safetensors": "application/octet-stream"}
_STATUS = {"finished": "CompletedActionStatus", "crashed": "FailedActionStatus", "running": "ActiveActionStatus"}
_UNKNOWN_DAY = "1970-01-01"  # the format asks for a day; a run that does not say when it was has none


def write_crate(source: ExportSource, output: Path) -> None:
    """Writes the crate as an archive: the files of the run below `run/`, and the metadata. Raises `OutputError`."""
    text = json.dumps(crate(source), indent=1, ensure_ascii=True, sort_keys=False)
    files = [ArchiveEntry(name=f"run/{file.name}", content=file.path) for file in source.files]
    write_zip(output, [*files, ArchiveEntry(name=DESCRIPTOR, content=text.encode())])


def crate(source: ExportSource) -> dict[str, Any]:
    """The metadata of the crate as JSON-LD."""
    manifest = source.manifest
    files = [_file(file) for file in source.files]
    inputs, outputs = _inputs(source), _models(source)
    day = (manifest.finished_at or manifest.started_at or _UNKNOWN_DAY)[:10]
    root = {
        "@id": "./",
        "@type": "Dataset",
        "name": f"Training run {source.name}",
        "description": manifest.notes or f"The record of the training run {source.name}, as rldk keeps it.",
        "datePublished": day if re.fullmatch(r"\d{4}-\d\d-\d\d", day) else _UNKNOWN_DAY,
        "license": {"@id": "#license"},
        "conformsTo": {"@id": PROFILE},
        "hasPart": [{"@id": file["@id"]} for file in files],
        "mentions": {"@id": "#run"},
        **({"keywords": list(manifest.tags)} if manifest.tags else {}),
    }
    action = {
        "@id": "#run",
        "@type": "CreateAction",
        "name": shown_command(manifest) or source.name,
        "instrument": {"@id": "#code"},
        "object": [{"@id": one["@id"]} for one in inputs],
        "result": [{"@id": one["@id"]} for one in (*outputs, *files)],
        **_moments(source),
    }
    graph = [
        {
            "@id": DESCRIPTOR,
            "@type": "CreativeWork",
            "conformsTo": {"@id": CRATE},
            "about": {"@id": "./"},
        },
        root,
        {"@id": PROFILE, "@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5"},
        {
            "@id": "#license",
            "@type": "CreativeWork",
            "name": "not stated",
            "description": "The record does not say under which terms the run may be used.",
        },
        action,
        _code(source),
        *inputs,
        *outputs,
        *files,
    ]
    return {"@context": CONTEXT, "@graph": graph}


def _file(file: RunDirectoryFile) -> dict[str, Any]:
    suffix = Path(file.name).suffix
    kind = _TYPES.get(suffix) or mimetypes.types_map.get(suffix) or "application/octet-stream"
    return {
        "@id": quote(f"run/{file.name}"),
        "@type": "File",
        "name": file.name,
        "contentSize": str(file.bytes),
        "encodingFormat": kind,
        "sha256": file.sha256,
    }


def _code(source: ExportSource) -> dict[str, Any]:
    git = source.manifest.git
    script = source.manifest.script
    said: dict[str, Any] = {"name": script.path if script is not None else source.manifest.project or "training code"}
    if git is not None and git.sha is not None:
        said["version"] = git.sha
        if git.remote is not None and git.remote.startswith(("https://", "http://")):
            said["codeRepository"] = git.remote
    return {"@id": "#code", "@type": "SoftwareApplication", **said}


def _inputs(source: ExportSource) -> list[dict[str, Any]]:
    manifest = source.manifest
    made = []
    for name, one in manifest.datasets.items():
        rows = f"{one.rows:,} {'files' if one.format == 'files' else 'rows'}, " if one.rows is not None else ""
        said = {"name": name, "description": f"{rows}read as {one.format}", "identifier": one.fingerprint}
        made.append({"@id": f"#data-{quote(name, safe='')}", "@type": "Dataset", **said})
    for name, tokenizer in manifest.tokenizers.items():
        said = {"name": name, "description": "a tokenizer", "identifier": tokenizer.digest}
        made.append({"@id": f"#tokenizer-{quote(name, safe='')}", "@type": "CreativeWork", **said})
    for name, value in (("config", manifest.config), ("seed", manifest.seed)):
        if value not in (None, {}):
            text = json.dumps(value, sort_keys=True)
            made.append({"@id": f"#{name}", "@type": "PropertyValue", "name": name, "value": text})
    return made


def _models(source: ExportSource) -> list[dict[str, Any]]:
    return [
        {
            "@id": f"#model-{quote(name, safe='')}",
            "@type": "CreativeWork",
            "name": name,
            "description": f"weights of {one.parameters:,} parameters",
            "identifier": one.weights,
        }
        for name, one in source.manifest.models.items()
    ]


def _moments(source: ExportSource) -> dict[str, Any]:
    manifest = source.manifest
    said: dict[str, Any] = {"startTime": manifest.started_at, "endTime": manifest.finished_at}
    if manifest.status in _STATUS:
        said["actionStatus"] = f"http://schema.org/{_STATUS[manifest.status]}"
    return {key: value for key, value in said.items() if value is not None}
