"""What a monitor remembers between two starts: the alerts it sent, and how far it had read each source."""

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
TAIL_BYTES = 16 << 20  # of the alerts file, which is searched for alerts that the state does not know yet


class SentAlerts(Struct):
    """The record of one source: how many alerts of each key were sent, and the last step that was read.

    `due`: how many alerts will come again, because the source is reread from its beginning. They are counted by number
    and not by step, because a log may turn out to have other steps than its first lines showed. `expected`: alerts
    about a row that was not yet whole."""

    identity: str = ""
    last_step: int | None = None
    keys: Counter[str] = field(default_factory=Counter)
    due: Counter[str] = field(default_factory=Counter)
    expected: set[tuple[str, int]] = field(default_factory=set)
    resumed: bool = False


def _key(event: str, rule: str, metric: str) -> str:
    return json.dumps([event, rule, metric])


def key_of(alert: Alert) -> str:
    """The identity of an alert without its step. The third alert of a key is the same one whenever the source is
    reread."""
    return _key(alert.event, alert.rule, alert.finding.metric)


class MonitorState:
    """The state in `path`. It is saved by writing a new file and renaming it. Without a path nothing is saved."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self.id = secrets.token_hex(8)
        self.resumed = False
        self.changed = True  # an alert is new
        self.behind = False  # only the last steps are unsaved
        self._sources: dict[str, SentAlerts] = {}
        if path is not None:
            self._read(path)

    def name(self, source: str) -> str:
        """The name that alerts of this source carry, so that they can be found again."""
        return f"{self.id}-{self.record_of(source).identity}"

    def record_of(self, source: str) -> SentAlerts:
        return self._sources.setdefault(source, SentAlerts())

    def open(self, source: str, identity: str) -> None:
        """Begins with a source. A different source starts with no alerts: a new run may fail at the same step."""
        sent = self.record_of(source)
        if sent.identity and identity != sent.identity:
            self._sources[source] = sent = SentAlerts()
        sent.identity = identity
        self.changed = True

    def rewind(self, source: str) -> None:
        """The source is reread from its beginning: all its alerts will come again."""
        sent = self.record_of(source)
        sent.due, sent.expected = Counter(sent.keys), set()

    def end_rereading(self, source: str) -> None:
        """Everything that was read before has been reread. Alerts that did not come again never will.

        This happens when new columns show another algorithm. Without this call, a new alert of the same kind would be
        taken for a repetition."""
        sent = self.record_of(source)
        if not sent.resumed:
            sent.due.clear()

    def advance(self, source: str, step: int | None) -> None:
        """Notes how far a source was read."""
        self.record_of(source).last_step = step
        self.behind = True

    def expect(self, alert: Alert) -> None:
        """Notes an alert about a row that was not yet whole: it will come again with the whole row."""
        self.record_of(alert.run).expected.add((key_of(alert), alert.step))

    def is_repeated(self, alert: Alert) -> bool:
        """Whether the alert was sent already, and comes again because the source is reread."""
        sent, key = self.record_of(alert.run), key_of(alert)
        if (key, alert.step) in sent.expected:
            sent.expected.remove((key, alert.step))
            return True
        if not sent.due[key]:
            return False
        sent.due[key] -= 1
        return True

    def add(self, alert: Alert) -> None:
        self.record_of(alert.run).keys[key_of(alert)] += 1
        self.changed = True

    def recover(self, alerts: Path) -> None:
        """Adds the alerts of this state that are in the alerts file, which is written before the state."""
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
            self._sources = {name: _sent_alerts(entry) for name, entry in document["sources"].items()}
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ConfigError(
                f"{path} is not a monitor state: {error}", hint="move it away, or name another file"
            ) from None
        self.resumed = True


def _sent_alerts(entry: dict[str, Any]) -> SentAlerts:
    step = entry["last_step"]
    keys = Counter({str(key): int(count) for key, count in entry["told"].items()})
    return SentAlerts(
        identity=str(entry["identity"]),
        last_step=None if step is None else int(step),
        keys=keys,
        due=Counter(keys),
        resumed=True,
    )
