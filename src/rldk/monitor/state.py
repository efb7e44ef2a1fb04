"""What a monitor remembers between two lives: which alerts were said, and how far each source had been read."""

from __future__ import annotations

import json
import os
import secrets
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from rldk.core.files import write_whole
from rldk.core.model import Alert
from rldk.errors import ConfigError

SCHEMA_VERSION = 1
TAIL_BYTES = 16 << 20  # of the alerts file that is searched for alerts which the state does not know yet


class Told(Struct):
    """Of one source: how many alerts of each key were said, and the last step that had been read.

    `due`: how many of them will come again, because the source is read again from its beginning; by number, not by
    step, because a log may turn out to have other steps than its first lines showed. `expected`: alerts that were said
    of a row that was not yet whole."""

    identity: str = ""
    last_step: int | None = None
    keys: Counter[str] = field(default_factory=Counter)
    due: Counter[str] = field(default_factory=Counter)
    expected: set[tuple[str, int]] = field(default_factory=set)
    resumed: bool = False


def _key(event: str, rule: str, metric: str) -> str:
    return json.dumps([event, rule, metric])


def key_of(alert: Alert) -> str:
    """What an alert says of what; the third of a key is the same one whenever the source is read again."""
    return _key(alert.event, alert.rule, alert.finding.metric)


class MonitorState:
    """The state in `path`, kept by writing the file anew and renaming it; without a path nothing is kept."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self.id = secrets.token_hex(8)
        self.resumed = False
        self.failing = False  # the last attempt to save did not succeed
        self.changed = True  # an alert is new
        self.behind = False  # only the last steps are
        self._sources: dict[str, Told] = {}
        if path is not None:
            self._read(path)

    def name(self, source: str) -> str:
        """What alerts of this source carry, by which they are found again."""
        return f"{self.id}-{self.record_of(source).identity}"

    def record_of(self, source: str) -> Told:
        return self._sources.setdefault(source, Told())

    def open(self, source: str, identity: str) -> None:
        """Begins with a source. Of another one than before nothing was told: a new run may fail at the same step."""
        told = self.record_of(source)
        if told.identity and identity != told.identity:
            self._sources[source] = told = Told()
        told.identity = identity
        self.changed = True

    def rewind(self, source: str) -> None:
        """The source is read again from its beginning: all that was said will come again."""
        told = self.record_of(source)
        told.due, told.expected = Counter(told.keys), set()

    def caught_up(self, source: str) -> None:
        """All that had been read before is read again: what was said of it and did not come again never will, as when
        new columns show another algorithm. Without this an alert of the same kind would be taken for its repetition."""
        told = self.record_of(source)
        if not told.resumed:
            told.due.clear()

    def advance(self, source: str, step: int | None) -> None:
        """Notes how far a source was read."""
        self.record_of(source).last_step = step
        self.behind = True

    def expect(self, alert: Alert) -> None:
        """The alert was said of a row that was not yet whole: it will come again with the whole one."""
        self.record_of(alert.run).expected.add((key_of(alert), alert.step))

    def is_repeated(self, alert: Alert) -> bool:
        """The alert was said already, and comes again because the source is read again."""
        told, key = self.record_of(alert.run), key_of(alert)
        if (key, alert.step) in told.expected:
            told.expected.remove((key, alert.step))
            return True
        if not told.due[key]:
            return False
        told.due[key] -= 1
        return True

    def add(self, alert: Alert) -> None:
        self.record_of(alert.run).keys[key_of(alert)] += 1
        self.changed = True

    def recover(self, alerts: Path) -> None:
        """Adds the alerts of this state that stand in the alerts file: it is written before the state is."""
        found: dict[str, Counter[str]] = {}
        try:
            with alerts.open("rb") as stream:
                stream.seek(max(0, stream.seek(0, os.SEEK_END) - TAIL_BYTES))
                lines = stream.read().split(b"\n")
        except OSError:
            return
        for line in lines:
            with suppress(ValueError, KeyError, TypeError, RecursionError):
                said = json.loads(line)
                if said["monitor"] == self.name(said["run"]):
                    key = _key(said["event"], said["rule"], said["finding"]["metric"])
                    found.setdefault(said["run"], Counter())[key] += 1
        for source, keys in found.items():
            self.record_of(source).keys |= keys
            self.rewind(source)

    def save(self) -> None:
        """Writes what has changed. Raises `OSError`."""
        if self.path is None:
            return
        sources = {
            name: {"identity": t.identity, "last_step": t.last_step, "told": dict(sorted(t.keys.items()))}
            for name, t in self._sources.items()
        }
        document = {"schema_version": SCHEMA_VERSION, "kind": "monitor-state", "id": self.id, "sources": sources}
        write_whole(self.path, json.dumps(document) + "\n", durable=True, parents=True)
        self.changed = self.behind = False

    def _read(self, path: Path) -> None:
        try:
            document = json.loads(path.read_bytes())
            self.id = str(document["id"])
            self._sources = {name: _told(entry) for name, entry in document["sources"].items()}
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ConfigError(
                f"{path} is no state of a monitor: {error}", hint="move it away, or name another file"
            ) from None
        self.resumed = True


def _told(entry: dict[str, Any]) -> Told:
    step = entry["last_step"]
    keys = Counter({str(key): int(count) for key, count in entry["told"].items()})
    return Told(
        identity=str(entry["identity"]),
        last_step=None if step is None else int(step),
        keys=keys,
        due=Counter(keys),
        resumed=True,
    )
