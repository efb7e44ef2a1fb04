"""A dataset of a run as Croissant 1.0 (mlcommons.org/croissant/1.0): its files with their SHA-256, and its columns."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from rldk.core.extras import need
from rldk.core.manifest import DatasetRecord
from rldk.errors import MalformedInput, NoData, UnknownName, UnreadableSource, UsageError
from rldk.provenance.fingerprints.dataset import LINES, fingerprint
from rldk.provenance.hashing import file_sha256, split_digest
from rldk.provenance.places import recorded_place
from rldk.tracking.exports.source import ExportSource

VERSION = "http://mlcommons.org/croissant/1.0"
MAX_FILES = 10_000
MAX_COLUMNS = 1000
LOOKED_AT = 200  # rows from which the types of columns are taken
CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "sc": "https://schema.org/",
    "samplingRate": "cr:samplingRate",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
_FORMATS = {
    ".jsonl": "application/jsonlines",
    ".ndjson": "application/jsonlines",
    ".csv": "text/csv",
    ".tsv": "text/tab-separated-values",
    ".parquet": "application/x-parquet",
    ".json": "application/json",
}
_TYPES = ((bool, "sc:Boolean"), (int, "sc:Integer"), (float, "sc:Float"), (str, "sc:Text"))


def croissant(source: ExportSource, name: str | None, root: Path, at: Path | None = None) -> dict[str, Any]:
    """The description of the dataset called `name`; None where the run has only one. `at`: where it is now.

    Raises `UsageError` and `UnknownName` for the choice, `UnreadableSource` when the data is not there, and
    `MalformedInput` when it is not what the run recorded."""
    known = source.manifest.datasets
    if not known:
        raise NoData(f"{source.name} has no dataset", hint="ExperimentTracker.track_dataset() records one")
    if name is None and len(known) > 1:
        raise UsageError(f"{source.name} has {len(known)} datasets", hint=f"give --dataset {' or '.join(known)}")
    chosen = next(iter(known)) if name is None else name
    if chosen not in known:
        raise UnknownName("dataset of the run", chosen, known)
    record = known[chosen]
    place = at if at is not None else recorded_place(record.source, root) if record.source is not None else None
    if place is None:
        where = "was in memory" if record.source is None else f"is not at {record.source}"
        raise UnreadableSource(f"the dataset {chosen} {where}", hint=f"give --at {chosen}=PATH")
    _check(chosen, record, place)
    files = _files(place)
    fields = _fields(place, files)
    records = {"@type": "cr:RecordSet", "@id": "rows", "name": "rows", "field": fields}
    rows = f"{record.rows:,} {'files' if record.format == 'files' else 'rows'}" if record.rows is not None else "data"
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "name": _word(chosen),
        "description": f"The dataset {chosen} of the training run {source.name}: {rows}, {record.fingerprint}.",
        "conformsTo": VERSION,
        "identifier": record.fingerprint,
        "distribution": files,
        **({"recordSet": [records]} if fields else {}),
    }


def _check(name: str, record: DatasetRecord, place: Path) -> None:
    algorithm, digest = split_digest(record.fingerprint)
    found = fingerprint(place, algorithm=algorithm, max_rows=record.rows if record.sampled else None)
    if found.digest != digest:
        raise MalformedInput(f"{place} is not the dataset {name} of the run", hint="`rldk verify` names what changed")


def _files(place: Path) -> list[dict[str, Any]]:
    if place.is_dir():
        paths = sorted(p for p in place.rglob("*") if p.is_file() and not p.is_symlink())
        if len(paths) > MAX_FILES:
            raise UsageError(f"{place} has more than {MAX_FILES:,} files", hint="pack them into archives first")
        names = [path.relative_to(place).as_posix() for path in paths]
    else:
        paths, names = [place], [place.name]
    return [
        {
            "@type": "cr:FileObject",
            "@id": quote(name),
            "name": name,
            "contentUrl": quote(name),
            "contentSize": f"{path.stat().st_size} B",
            "encodingFormat": _FORMATS.get(path.suffix.lower(), "application/octet-stream"),
            "sha256": file_sha256(path),
        }
        for path, name in zip(paths, names, strict=True)
    ]


def _fields(place: Path, files: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The columns, where the dataset is one table."""
    if place.is_dir() or len(files) != 1:
        return []
    columns = _columns(place)
    return [
        {
            "@type": "cr:Field",
            "@id": f"rows/{quote(column)}",
            "name": column,
            "dataType": kind,
            "source": {"fileObject": {"@id": files[0]["@id"]}, "extract": {"column": column}},
        }
        for column, kind in list(columns.items())[:MAX_COLUMNS]
        if kind
    ]


def _columns(path: Path) -> dict[str, str]:
    """The types of the columns, "" for those that hold lists or objects."""
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        return _parquet(path)
    if suffix in LINES:
        rows = _first_rows(path)
    elif suffix in (".csv", ".tsv"):
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
            head = next(csv.reader(stream, delimiter="\t" if suffix == ".tsv" else ","), [])
        return dict.fromkeys(head, "sc:Text")
    else:
        return {}
    found: dict[str, str] = {}
    for row in rows:
        for key, value in row.items():
            kind = next((word for cls, word in _TYPES if isinstance(value, cls)), "")
            if value is not None:
                found[key] = kind if found.get(key, kind) == kind else _wider(found[key], kind)
    return found


def _wider(one: str, other: str) -> str:
    return "sc:Float" if {one, other} == {"sc:Float", "sc:Integer"} else "" if "" in (one, other) else "sc:Text"


def _first_rows(path: Path) -> list[Mapping[str, Any]]:
    rows: list[Mapping[str, Any]] = []
    with path.open("rb") as stream:
        for line in stream:
            if len(rows) == LOOKED_AT:
                break
            row = msgspec.json.decode(line) if line.strip() else None
            if isinstance(row, Mapping):
                rows.append(row)
    return rows


def _parquet(path: Path) -> dict[str, str]:
    with need("parquet", "pyarrow"):
        import pyarrow as pa
        import pyarrow.parquet as pq
    checks = (
        (pa.types.is_boolean, "sc:Boolean"),
        (pa.types.is_integer, "sc:Integer"),
        (pa.types.is_floating, "sc:Float"),
        (pa.types.is_string, "sc:Text"),
        (pa.types.is_large_string, "sc:Text"),
    )
    schema = pq.read_schema(path)
    return {field.name: next((word for check, word in checks if check(field.type)), "") for field in schema}


def _word(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9 _.-]", "_", text)[:200] or "dataset"
