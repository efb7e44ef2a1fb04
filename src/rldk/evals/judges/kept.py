"""The answers of a judge in a file, so that a run that ends early loses none, and the next one asks for the rest."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any

from rldk.core.appending import AppendedFile
from rldk.core.files import append_whole
from rldk.errors import OutputError, UsageError
from rldk.evals.judges.server import JudgeAnswer, JudgeServer
from rldk.outage import Outage

SCHEMA_VERSION = 1
HEADER = {"kind": "judge-answers", "schema_version": SCHEMA_VERSION}
FULL = "Answers of the judge wait in memory and are lost if rldk is stopped now; the judge is asked on."


class KeptAnswers:
    """The answers in the file at `path`, by the keys of their questions. A new file is made where there is none.

    Each answer is on the disk as soon as it has come. Where it cannot be written, as on a full disk, it waits and is
    tried again with the next. A line that cannot be read, such as the last one of a process that was killed, counts as
    none; of two answers to one question the first counts. The file holds no address and no token. Raises `UsageError`
    for a file that holds something else or is in use, and `OutputError` where it cannot be written."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._answers: dict[str, JudgeAnswer] = {}
        self._lock = Lock()
        self._file = AppendedFile(self.path, Outage(effect=FULL))
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._held = self.path.open("ab+")
        except OSError as error:
            raise OutputError.of(self.path, error) from None
        try:
            self._reserve()
            if not self.path.is_file() or not self._read():
                self._begin()
        except BaseException as error:
            self._held.close()
            if isinstance(error, OSError):
                raise OutputError.of(self.path, error) from None
            raise

    def __len__(self) -> int:
        return len(self._answers)

    def __enter__(self) -> KeptAnswers:
        return self

    def __exit__(self, *_: object) -> None:
        """Writes what waits, and lets others use the file."""
        with self._lock:
            self._file.close()
            self._held.close()

    def get(self, key: str) -> JudgeAnswer | None:
        """The answer to a question; None where it is not there."""
        return self._answers.get(key)

    def add(self, key: str, answer: JudgeAnswer, **about: Any) -> None:
        """Keeps an answer. `about`: what a reader of the file may want to know of the question."""
        line = json.dumps({"key": key, **about, "text": answer.text, "cut": answer.cut})
        with self._lock:
            self._answers[key] = answer
            self._file.append(line)

    def _reserve(self) -> None:
        try:
            fcntl.flock(self._held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(
                f"another process keeps answers in {self.path}", hint="wait for it, or name another file with --state"
            ) from None
        except OSError:  # a file system without locks
            pass

    def _begin(self) -> None:
        with suppress(OSError):  # a device has no size
            self._held.truncate(0)
        append_whole(self._held.fileno(), json.dumps(HEADER).encode() + b"\n")

    def _read(self) -> bool:
        """Takes the answers in the file, and returns whether it has its first line."""
        torn, first = b"", None
        self._held.seek(0)
        for line, value in _values(self._held):
            if first is None and value is None:
                torn += line
            elif first is None:
                first = value
            elif isinstance(value, dict) and isinstance(value.get("key"), str) and isinstance(value.get("text"), str):
                answer = JudgeAnswer(text=value["text"], cut=value.get("cut") is True)
                self._answers.setdefault(value["key"], answer)
        if first == HEADER or (first is None and json.dumps(HEADER).encode().startswith(torn)):
            return first == HEADER
        raise UsageError(
            f"{self.path} holds something else than answers of a judge", hint="name a new file with --state"
        )


def _values(lines: Any) -> Iterator[tuple[bytes, Any]]:
    """Each line that is not empty, and what it says; None for a line that cannot be read."""
    for line in lines:
        if line.strip():
            try:
                yield line.strip(), json.loads(line) if line.endswith(b"\n") else None
            except (ValueError, RecursionError):
                yield line.strip(), None


def key_of(server: JudgeServer, question: str, *, seed: int, **more: Any) -> str:
    """A digest of all that decides an answer: the address without its query, what is sent there, and what tells
    questions apart that are sent alike. Not a secret, and none can be found from it."""
    parts = [server.endpoint, server.body(question, seed=seed), more]
    return hashlib.blake2b(json.dumps(parts, sort_keys=True).encode(), digest_size=16).hexdigest()
