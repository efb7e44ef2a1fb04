"""Brings back an earlier state: the code at its commit with the changes, the configuration, and what data it had."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from msgspec import Struct

from rldk.core.codec import to_builtins
from rldk.core.manifest import GitState, Manifest, recorded_manifest
from rldk.errors import MalformedInput, OutputError, UsageError
from rldk.provenance.git_objects import LFS, LINK, MAX_FILE, PROGRAM, CommitFile, contents
from rldk.provenance.git_patch import apply_patch
from rldk.provenance.inside import is_plain_file, place_inside
from rldk.provenance.places import recorded_root
from rldk.provenance.recorded_code import RecordedCode, is_intact, recorded_code, redacted_paths
from rldk.tracking.exports.bundle import OpenBundle, open_bundle
from rldk.tracking.exports.source import LeftOut, export_source, shown_command

CODE, RUN, CONFIG, DATA, ACCOUNT = "code", "run", "config.json", "data.json", "restored.json"
MAX_POINTER = 1024  # bytes of a file that stands for one that Git LFS keeps


class RestoredRun(Struct, frozen=True, kw_only=True):
    """What was brought back to `folder`. `commit`: of the code. `files`: how many of it. `redacted`: files in which a
    secret was taken out. `lacking`: what is not there, and why. `command`: what was started, from the root of the code
    unless it was started elsewhere."""

    folder: str
    run_id: str
    commit: str | None
    files: int
    redacted: tuple[str, ...]
    lacking: tuple[LeftOut, ...]
    command: str


def restore_run(
    run: str | os.PathLike[str],
    to: str | os.PathLike[str],
    *,
    repository: str | os.PathLike[str] | None = None,
) -> RestoredRun:
    """Writes the state of a run into the folder `to`, which must be empty or not exist.

    `run`: its directory, or a bundle of `rldk export`. `repository`: where the commit is; by default the one around the
    run, around the folder that it was started in, or around the current one. `to` gets `code/`, `config.json`,
    `data.json` with the digests of the data, `run/` with the record, and `restored.json` with what this function
    returns. It appears whole or not at all. Raises `OutputError` when `to` is not empty, `MalformedInput` for a record
    that leads outside or was changed."""
    target = Path(to)
    _refuse_full(target)
    source = Path(run)
    if source.is_dir():
        started = recorded_root(recorded_manifest(source))
        around = [source, started, Path()] if repository is None else [Path(repository)]
        return _restored(source, target, around, None)
    with open_bundle(source) as bundle:
        return _restored(bundle.run, target, [Path(repository)] if repository is not None else [], bundle)


def _restored(folder: Path, target: Path, around: list[Path], bundle: OpenBundle | None) -> RestoredRun:
    manifest = recorded_manifest(folder)
    with _new_folder(target) as part:
        code = part / CODE
        code.mkdir()
        lacking: list[LeftOut] = list(bundle.left_out) if bundle is not None else []
        redacted: tuple[str, ...] = ()
        if manifest.git is None:
            lacking.append(LeftOut(what="the code", why="the run was in no repository"))
        else:
            lacking += _write_code(folder, manifest.git, around, bundle, code)
            redacted = _redacted(folder, manifest.git)
        _write_record(folder, part, manifest, lacking)
        made = RestoredRun(
            folder=str(target),
            run_id=manifest.run_id or folder.absolute().name,
            commit=manifest.git.sha if manifest.git is not None else None,
            files=sum(len(names) for _, _, names in os.walk(code)),
            redacted=redacted,
            lacking=tuple(lacking),
            command=shown_command(manifest),
        )
        _write_json(part / ACCOUNT, {"schema_version": 1, **to_builtins(made)})
    return made


def _write_code(
    folder: Path, state: GitState, around: list[Path], bundle: OpenBundle | None, into: Path
) -> Iterator[LeftOut]:
    code = recorded_code(folder, state, around)
    if code.commit is not None and code.repository is not None:
        for file, data in contents(code.repository, [one for one in code.commit.files if one.mode != LINK]):
            yield from _write_file(file, data, into)
        links = [one for one in code.commit.files if one.mode == LINK]
        # after the files, so that none is written through a link
        yield from _write_links({f.path: os.fsdecode(data) for f, data in contents(code.repository, links)}, into)
        yield from _elsewhere(code)
    elif bundle is not None and bundle.code is not None:
        if bundle.code.is_dir():
            shutil.copytree(bundle.code, into, dirs_exist_ok=True)
            for path in sorted(into.rglob("*")):
                if path.is_file() and path.stat().st_size < MAX_POINTER:
                    yield from _pointer(path.relative_to(into).as_posix(), path.read_bytes())
        yield from _write_links(bundle.links, into)
    elif state.sha is not None:
        why = "no repository that has it was found: give --repo DIR"
        yield LeftOut(what=f"the commit {state.sha}", why=why)
        return
    yield from _write_changes(code, into)


def _write_file(file: CommitFile, data: bytes, into: Path) -> Iterator[LeftOut]:
    place = place_inside(into, file.path)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(data)
    place.chmod(0o755 if file.mode == PROGRAM else 0o644)
    yield from _pointer(file.path, data)


def _pointer(path: str, data: bytes) -> Iterator[LeftOut]:
    if data.startswith(LFS):
        yield LeftOut(what=path, why="Git LFS keeps its content: this is the pointer; `git lfs pull` brings it")


def _write_links(links: dict[str, str], into: Path) -> Iterator[LeftOut]:
    for path, target in links.items():
        place = place_inside(into, path)
        aim = Path(os.path.normpath(place.parent / target))  # without following what is there
        if "\0" in target or Path(target).is_absolute() or not aim.is_relative_to(into):
            yield LeftOut(what=path, why=f"a link to {target}, which is outside of the code")
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(target)


def _elsewhere(code: RecordedCode) -> Iterator[LeftOut]:
    if code.commit is None:
        return
    for file in code.commit.files:
        if file.bytes > MAX_FILE:
            yield LeftOut(what=file.path, why=f"it has more than {MAX_FILE >> 20} MiB")
    for path, sha in code.commit.submodules.items():
        yield LeftOut(what=path, why=f"a submodule at {sha}, which is in another repository")


def _write_changes(code: RecordedCode, into: Path) -> Iterator[LeftOut]:
    if code.patch is not None:
        if code.state.diff_digest is None or not is_intact(code.patch, code.state.diff_digest):
            raise MalformedInput(f"{code.patch.name} is not what was recorded", hint="`rldk verify` says more")
        for path, why in apply_patch(into, code.patch).items():
            yield LeftOut(what=path, why=f"its changes do not fit: {why}; they are in {RUN}/{code.state.diff}")
    elif code.state.dirty:
        yield LeftOut(what="the changes that no commit had", why="they were not kept")
    for file, kept in code.kept():
        if not is_intact(kept, file.digest):
            raise MalformedInput(f"the kept file {file.path} is not what was recorded", hint="`rldk verify` says more")
        place = place_inside(into, file.path)
        if place.is_symlink() or place.is_dir():
            raise MalformedInput(f"the kept file {file.path} is in the place of a link or a folder of the commit")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(kept, place)
    for file in code.lost():
        yield LeftOut(what=file.path, why=file.reason or "its content was not kept")


def _redacted(folder: Path, state: GitState) -> tuple[str, ...]:
    if state.diff is None:
        return ()
    patch = place_inside(folder, state.diff)
    return redacted_paths(patch.read_bytes()) if is_plain_file(patch) else ()


def _write_record(folder: Path, into: Path, manifest: Manifest, lacking: list[LeftOut]) -> None:
    """Copies the run directory, and writes the configuration and what data there was."""
    source = export_source(folder)
    for file in source.files:
        place = place_inside(into / RUN, file.name)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file.path, place)
    lacking += [LeftOut(what=f"{RUN}/{one.what}", why=one.why) for one in source.left_out]
    _write_json(into / CONFIG, manifest.config)
    names = ("datasets", "models", "tokenizers")
    data = {name: to_builtins(getattr(manifest, name)) for name in names}
    _write_json(into / DATA, {"schema_version": 1, "seed": manifest.seed, **data})


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def _refuse_full(target: Path) -> None:
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise OutputError(f"{target} is no folder", hint="name a folder that does not exist yet")
    with suppress(FileNotFoundError):
        if any(target.iterdir()):
            raise OutputError(f"{target} is not empty", hint="name a folder that does not exist yet")


@contextmanager
def _new_folder(target: Path) -> Iterator[Path]:
    """A folder beside `target` that takes its name when the block ends, and is removed when it fails."""
    part = target.absolute().with_name(f".{target.absolute().name[:200]}.{os.urandom(4).hex()}.part")
    if part.name.startswith(".."):
        raise UsageError(f"{target} is no name of a folder")
    try:
        part.mkdir(parents=True)
        yield part
        part.rename(target.absolute())  # an empty folder is replaced, a full one is not
    except OSError as error:
        raise OutputError.of(target, error) from None
    finally:
        shutil.rmtree(part, ignore_errors=True)
