"""Writes a run down for other tools: plain JSON and zip archives, the same bytes for the same run."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from rldk.core.files import save
from rldk.errors import UnknownName, UsageError
from rldk.provenance.places import recorded_root
from rldk.tracking.exports.source import ExportSource, LeftOut, export_source

__all__ = ["FORMATS", "ExportedRun", "export_run"]

# name -> the end of the file's name, and what it is
FORMATS = {
    "bundle": (".bundle.zip", "the run and its code in one archive, for rldk restore"),
    "ro-crate": (".crate.zip", "an RO-Crate 1.1 with the files of the run (Process Run Crate)"),
    "in-toto": (".intoto.json", "an in-toto statement with SLSA provenance, not signed"),
    "mlflow": (".mlflow.zip", "a file store of MLflow: unpack it beside your mlruns"),
    "croissant": (".croissant.json", "the description of one dataset, for catalogues of data"),
}


class ExportedRun(Struct, frozen=True, kw_only=True):
    """What was written. `left_out`: what the file lacks, and why."""

    path: str
    format: str
    bytes: int
    left_out: tuple[LeftOut, ...] = ()


class ExportChoice(Struct, frozen=True, kw_only=True):
    """Where things are. `repository`: of the code, None to look around the run and in `root`. `root`: the folder that
    relative paths in the record are relative to, None for the one that the run was started in. `dataset`: the one that
    Croissant describes. `places`: where datasets are now, by name."""

    repository: Path | None = None
    root: Path | None = None
    dataset: str | None = None
    places: Mapping[str, Path] = {}


def export_run(
    run: str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    *,
    form: str = "bundle",
    choice: ExportChoice | None = None,
    begin: Callable[[str], None] | None = None,
) -> ExportedRun:
    """Writes the run in the directory `run` to the file `output`, by default beside the current folder under the name
    of the run. A file that exists is replaced.

    `form`: one of `FORMATS`. Raises `UnknownName` for another one, `UnreadableSource` and `MalformedInput` for the run,
    `OutputError` for the file."""
    if form not in FORMATS:
        raise UnknownName("format of an export", form, FORMATS)
    folder, chosen = Path(run), choice or ExportChoice()
    source = export_source(folder, begin=begin)
    path = Path(output) if output is not None else Path(f"{_word(source.name)}{FORMATS[form][0]}")
    if path.resolve().is_relative_to(folder.resolve()):
        raise UsageError(f"{path} is inside of the run itself", hint="name a file outside of it with --output")
    root = chosen.root if chosen.root is not None else recorded_root(source.manifest)
    left = _write(source, path, form, replace(chosen, root=root))
    return ExportedRun(path=str(path), format=form, bytes=path.stat().st_size, left_out=left)


def _write(source: ExportSource, path: Path, form: str, choice: ExportChoice) -> tuple[LeftOut, ...]:
    root = choice.root or Path()
    match form:
        case "bundle":
            from rldk.tracking.exports.bundle import write_bundle

            around = [source.folder, root, Path()] if choice.repository is None else [choice.repository]
            return write_bundle(source, path, around)
        case "ro-crate":
            from rldk.tracking.exports.ro_crate import write_crate

            write_crate(source, path)
        case "mlflow":
            from rldk.tracking.exports.mlflow import write_mlflow

            write_mlflow(source, path)
        case "in-toto":
            from rldk.tracking.exports.in_toto import statement

            _write_json(path, statement(source))
        case _:
            from rldk.tracking.exports.croissant import croissant

            place = choice.places.get(choice.dataset or next(iter(source.manifest.datasets), ""))
            _write_json(path, croissant(source, choice.dataset, root, place))
            return ()
    return source.left_out


def _write_json(path: Path, value: dict[str, Any]) -> None:
    save(path, json.dumps(value, indent=2, ensure_ascii=True, allow_nan=False) + "\n", parents=True)


def _word(text: str) -> str:
    return "".join(c if c.isalnum() or c in "._=+-" else "-" for c in text).strip(".-")[:100] or "run"
