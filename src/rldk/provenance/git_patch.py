"""Changes that no commit has, as `git diff --binary` writes them: which files they touch, and their effect."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from rldk.errors import MalformedInput
from rldk.provenance.git_objects import TIMEOUT_S, CommitFile, contents, git_variables
from rldk.provenance.inside import is_plain_file, place_inside, relative_path

MAX_PATCH = 256 << 20


def patch_paths(patch: Path) -> tuple[str, ...]:
    """The files that the patch touches. Raises `MalformedInput` for a file that is no patch, and for a path that leads
    outside."""
    if not is_plain_file(patch) or patch.stat().st_size > MAX_PATCH:
        raise MalformedInput(f"{patch} is no regular file, or larger than {MAX_PATCH >> 20} MiB")
    code, out, said = _apply(patch.parent, patch, "--numstat", "-z")
    if code != 0:
        raise MalformedInput(f"{patch} is no patch of git: {said}", hint="was it copied whole?")
    paths = tuple(os.fsdecode(line.split(b"\t", 2)[2]) for line in out.split(b"\0") if line.count(b"\t") == 2)
    for path in paths:
        relative_path(path)
    return paths


def apply_patch(folder: Path, patch: Path) -> dict[str, str]:
    """Applies a patch to the files in `folder`. Returns what git says against each file that it does not fit; the
    others are changed. git refuses paths that lead outside or through links."""
    paths = patch_paths(patch)
    if not paths or _apply(folder, patch)[0] == 0:
        return {}
    refused = {}
    for path in paths:
        code, _, said = _apply(folder, patch, f"--include={_literal(path)}")
        if code != 0:
            refused[path] = said
    return refused


def patched(
    repository: Path | None, files: Mapping[str, CommitFile], patch: Path
) -> tuple[dict[str, bytes | None], dict[str, str]]:
    """The content of each file that the patch touches, after it, None for one that it deletes; and what git says
    against each file that it does not fit. `files`: those of the commit, by path."""
    paths = patch_paths(patch)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "code"
        folder.mkdir()
        before = [files[path] for path in paths if path in files]
        if repository is not None:
            for file, data in contents(repository, before):
                place = place_inside(folder, file.path)
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(data)
                place.chmod(0o755 if file.mode.endswith("755") else 0o644)
        refused = apply_patch(folder, patch)
        after = {path: place_inside(folder, path) for path in paths if path not in refused}
        return {path: place.read_bytes() if is_plain_file(place) else None for path, place in after.items()}, refused


def _apply(folder: Path, patch: Path, *words: str) -> tuple[int, bytes, str]:
    """Runs `git apply` in the folder, as if no repository were around it: git would leave out what is not below its
    root. Gives its exit code, its output and its last complaint."""
    variables = git_variables() | {"GIT_CEILING_DIRECTORIES": str(folder.resolve().parent)}
    argv = ["git", "-c", "core.autocrlf=false", "apply", "--whitespace=nowarn", *words, "--", str(patch.resolve())]
    try:
        done = subprocess.run(  # noqa: S603 - fixed words
            argv,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
            env=variables,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return 1, b"", f"git cannot be run: {error}"
    said = done.stderr.decode("utf-8", "replace").strip().splitlines()
    return done.returncode, done.stdout, said[-1].removeprefix("error: ") if said else ""


def _literal(path: str) -> str:
    """The path as a pattern that fits only itself."""
    return "".join(f"\\{c}" if c in "*?[]\\" else c for c in path)
