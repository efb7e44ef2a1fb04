"""A run with its code in one archive, which `rldk restore` opens without the repository."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct

from rldk.core.text import legible
from rldk.errors import MalformedInput
from rldk.provenance.git_objects import LINK, MAX_FILE, PROGRAM, CommitFile, contents
from rldk.provenance.hashing import file_sha256
from rldk.provenance.inside import is_plain_file, place_inside
from rldk.provenance.recorded_code import RecordedCode, recorded_code
from rldk.tracking.exports.archive import ArchiveEntry, unpack_zip, write_zip
from rldk.tracking.exports.source import ExportSource, LeftOut

INDEX = "bundle.json"
KIND = "rldk-bundle"
VERSION = 1
RUN, CODE = "run", "code"


class OpenBundle(Struct, frozen=True, kw_only=True):
    """A bundle, unpacked. `run`: the run directory. `code`: the files of the commit, None where it has none. `links`:
    their symbolic links, each with its target. `left_out`: what the bundle says it lacks."""

    run: Path
    code: Path | None
    links: dict[str, str]
    left_out: tuple[LeftOut, ...]


def write_bundle(source: ExportSource, output: Path, places: list[Path]) -> tuple[LeftOut, ...]:
    """Writes the archive and returns what it lacks. `places`: where the repository may be, the first that has the
    commit counts."""
    entries = [ArchiveEntry(name=f"{RUN}/{file.name}", content=file.path) for file in source.files]
    digests = {f"{RUN}/{file.name}": file.sha256 for file in source.files}
    index: dict[str, Any] = {"kind": KIND, "schema_version": VERSION, "run_id": source.name}
    left = list(source.left_out)
    state = source.manifest.git
    with tempfile.TemporaryDirectory(prefix="rldk-bundle-") as spool:
        if state is not None:
            code = recorded_code(source.folder, state, places)
            links: dict[str, str] = {}
            for number, (file, data) in enumerate(_code(code)):
                name = f"{CODE}/{file.path}"
                if legible(file.path) != file.path:
                    left.append(LeftOut(what=legible(name), why="its name is no text"))
                    continue
                if file.mode == LINK:
                    links[file.path] = data.decode("utf-8", "surrogateescape")
                    continue
                kept = Path(spool) / str(number)  # not all files of a repository fit into memory
                kept.write_bytes(data)
                entries.append(ArchiveEntry(name=name, content=kept, is_program=file.mode == PROGRAM))
                digests[name] = hashlib.sha256(data).hexdigest()
            left += _missing(code)
            if code.commit is not None:
                index["code"] = {"commit": code.commit.sha, "links": links}
        index |= {"files": dict(sorted(digests.items())), "left_out": [*map(_plain, left)]}
        text = json.dumps(index, indent=1, sort_keys=True, ensure_ascii=True)
        write_zip(output, [*entries, ArchiveEntry(name=INDEX, content=text.encode())])
    return tuple(left)


@contextmanager
def open_bundle(path: Path) -> Iterator[OpenBundle]:
    """Unpacks a bundle into a temporary folder, and checks every file against its index. Raises `MalformedInput`."""
    with tempfile.TemporaryDirectory(prefix="rldk-bundle-") as name:
        folder = Path(name)
        unpack_zip(path, folder)
        index = _index(folder / INDEX, path)
        files, code = index.get("files"), index.get("code")
        found = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
        found.pop(INDEX, None)
        if not isinstance(files, dict) or set(files) != set(found):
            raise MalformedInput(f"{path} does not hold the files that its {INDEX} names", hint="was it edited?")
        for inner, digest in files.items():
            if file_sha256(place_inside(folder, inner)) != digest:
                raise MalformedInput(f"{inner} in {path} is not what its {INDEX} says", hint="was it edited?")
        has_code = isinstance(code, dict)
        links = code.get("links") if isinstance(code, dict) else None
        yield OpenBundle(
            run=folder / RUN,
            code=folder / CODE if has_code else None,
            links={str(k): str(v) for k, v in links.items()} if isinstance(links, dict) else {},
            left_out=tuple(
                LeftOut(what=str(one.get("what")), why=str(one.get("why")))
                for one in index.get("left_out") or ()
                if isinstance(one, dict)
            ),
        )


def _code(code: RecordedCode) -> Iterator[tuple[CommitFile, bytes]]:
    if code.repository is not None and code.commit is not None:
        yield from contents(code.repository, code.commit.files)


def _missing(code: RecordedCode) -> Iterator[LeftOut]:
    if code.state.sha is not None and code.commit is None:
        yield LeftOut(what=f"the commit {code.state.sha}", why="no repository that has it was found: give --repo DIR")
    if code.commit is not None:
        for file in code.commit.files:
            if file.bytes > MAX_FILE:
                yield LeftOut(what=f"{CODE}/{file.path}", why=f"it has more than {MAX_FILE >> 20} MiB")
        for path, sha in code.commit.submodules.items():
            yield LeftOut(what=f"{CODE}/{path}", why=f"a submodule at {sha}, which is in another repository")


def _plain(one: LeftOut) -> dict[str, str]:
    return {"what": one.what, "why": one.why}


def _index(path: Path, archive: Path) -> dict[str, Any]:
    try:
        index = json.loads(path.read_bytes()) if is_plain_file(path) else None
    except (ValueError, RecursionError):
        index = None
    if not isinstance(index, dict) or index.get("kind") != KIND:
        raise MalformedInput(f"{archive} is no bundle of rldk", hint="rldk export RUN --format bundle writes one")
    if index.get("schema_version") != VERSION:
        hint = "open it with the version of rldk that wrote it, or a later one"
        raise MalformedInput(f"{archive} has schema_version {index.get('schema_version')}, not {VERSION}", hint=hint)
    return index
