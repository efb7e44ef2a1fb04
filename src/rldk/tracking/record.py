"""The manifest of a run that is being written: changed by any thread, saved whole after every change."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from rldk.core.files import write_whole
from rldk.core.manifest import MAX_BYTES, Manifest, manifest_text, plain
from rldk.core.rundir import MANIFEST
from rldk.core.secrets.redact import redactions
from rldk.core.text import legible
from rldk.emit import rank_path
from rldk.errors import UsageError
from rldk.outage import Outage
from rldk.tracking.folders import file_word

ROOM = 1 << 16  # kept free for the end of a run


class Copies(Struct, frozen=True, kw_only=True):
    """In which forms a manifest is written."""

    json: bool = True
    yaml: bool = False


class RunRecord:
    """The manifest of one run and rank. Each rank has a file of its own: `run.json`, `run.rank1.json`.

    A save that fails, as on a full disk, leaves the last one whole and is tried again with the next change. `outage`
    reports it, once for all writers of the run. A forked child changes nothing: the run is that of its parent."""

    def __init__(self, folder: Path, manifest: Manifest, *, copies: Copies | None = None) -> None:
        self.folder = folder
        self.manifest = manifest
        self._copies = copies or Copies()
        self._path = rank_path(folder / MANIFEST, manifest.rank or 0)
        self._owner = os.getpid()
        self._lock = threading.RLock()  # re-entrant: a signal handler may end the run, too
        self.outage = Outage(effect="New records are lost until this is mended, run.json waits; the program goes on.")

    @property
    def is_ours(self) -> bool:
        """Whether this is the process that writes the run, and no forked child of it."""
        return os.getpid() == self._owner

    def begin(self) -> None:
        """Saves the manifest for the first time. Raises `OSError`."""
        with self._lock:
            self._save(manifest_text(self._counted(self.manifest)))

    def change(self, make: Callable[[Manifest], Manifest], *, room: int = ROOM) -> None:
        """Replaces the manifest by what `make` gives, and saves it. Raises `UsageError` when it would be too large;
        `room`: the bytes that must be left for later changes."""
        if not self.is_ours:
            return
        with self._lock:
            changed = self._counted(make(self.manifest))
            text = manifest_text(changed)
            if len(text) > MAX_BYTES - room:
                raise UsageError(
                    f"{self._path.name} would be larger than {MAX_BYTES - room:,} bytes",
                    hint="write large data to a file of its own in the run directory",
                )
            self.manifest = changed
            self.outage.attempt(self._path, partial(self._save, text), records=0)

    def stem(self, folder: str, name: str) -> str:
        """The beginning of the names of the files about `name`; ranks do not share them."""
        rank = self.manifest.rank
        return f"{folder}/{file_word(name)}{f'.rank{rank}' if rank else ''}"

    def keep(self, name: str, content: str | bytes) -> str | None:
        """Writes a file beside the manifest and returns its name; None, reported by `outage`, when it cannot be
        written."""
        write = partial(write_whole, self.folder / name, content, parents=True)
        return name if self.outage.attempt(self.folder / name, write, once=True) else None

    def _counted(self, manifest: Manifest) -> Manifest:
        return replace(manifest, redactions=redactions(plain(manifest)) or None)

    def _save(self, text: str) -> None:
        if self._copies.json:
            write_whole(self._path, text, durable=True)
        if self._copies.yaml:
            write_whole(self._path.with_suffix(".yaml"), _yaml(text))


def _yaml(text: str) -> str:
    import json

    import yaml

    dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # the one in C is ten times as fast
    return str(yaml.dump(_legible(json.loads(text)), Dumper=dumper, sort_keys=False, allow_unicode=True))


def _legible(value: Any) -> Any:
    """The value without lone surrogates, which JSON may escape and no file of YAML can hold."""
    match value:
        case str():
            return legible(value)
        case dict():
            return {legible(key): _legible(item) for key, item in value.items()}
        case list():
            return [_legible(item) for item in value]
        case _:
            return value
