"""The commands of `rldk track --interactive`: a line goes in, an answer comes out."""

from __future__ import annotations

import time
from collections.abc import Callable

from rldk.core.manifest import Manifest
from rldk.errors import RldkError, UnknownName, UsageError
from rldk.tracking.tracker import ExperimentTracker

HELP = """\
note TEXT                  add a line to the notes
tag NAME...                add tags
metric NAME VALUE [STEP]   append a value to the log
snapshot                   look at code and packages again, and say what has changed
status                     show what is recorded
finish                     end the run (Ctrl-D and Ctrl-C do the same)
help                       show this list"""


class Prompt:
    """Answers one line after another, until `finished`."""

    def __init__(self, tracker: ExperimentTracker) -> None:
        self._tracker = tracker
        self._began = time.monotonic()
        self._metrics = 0
        self.finished = False
        self.failures = 0
        self._actions: dict[str, Callable[[str], str]] = {
            "note": self._note,
            "tag": self._tag,
            "metric": self._metric,
            "snapshot": self._snapshot,
            "status": self._status,
            "finish": self._finish,
            "help": lambda _: HELP,
        }

    def answer(self, line: str) -> str:
        """The answer to a line; empty for an empty one. A mistake is answered, too, and counted in `failures`."""
        name, _, rest = line.strip().partition(" ")
        if not name:
            return ""
        action = self._actions.get({"quit": "finish", "exit": "finish", "?": "help"}.get(name, name))
        try:
            if action is None:
                raise UnknownName("command", name, self._actions)
            return action(rest.strip())
        except RldkError as error:
            self.failures += 1
            return f"{error.message}; {error.hint}" if error.hint else error.message

    def _note(self, rest: str) -> str:
        if not rest:
            raise UsageError("a note needs a text", hint="write `note the reward model was changed here`")
        self._tracker.add_note(rest)
        return "The note is saved."

    def _tag(self, rest: str) -> str:
        names = rest.replace(",", " ").split()
        if not names:
            raise UsageError("a tag needs a name", hint="write `tag baseline`")
        for name in names:
            self._tracker.add_tag(name)
        return f"Tags: {', '.join(self._tracker.manifest.tags)}."

    def _metric(self, rest: str) -> str:
        words = rest.split()
        try:
            name, value, step = words[0], float(words[1]), int(words[2]) if len(words) > 2 else None
        except (IndexError, ValueError):
            raise UsageError("a metric needs a name and a number", hint="write `metric reward_mean 0.5 100`") from None
        if len(words) > 3:
            raise UsageError("a metric takes a name, a number and a step", hint="write `metric reward_mean 0.5 100`")
        self._tracker.log({name: value}, step=step)
        self._metrics += 1
        return f"{name} = {value:g} is in the log."

    def _snapshot(self, _: str) -> str:
        made = self._tracker.snapshot()
        if made is None:
            return "Nothing is written, so there is no snapshot."
        changed = "; ".join(made.changes) or "nothing has changed since the start"
        return f"{made.file or 'The snapshot'}: {changed}."

    def _status(self, _: str) -> str:
        return "\n".join(status_lines(self._tracker.manifest, time.monotonic() - self._began, self._metrics))

    def _finish(self, _: str) -> str:
        self.finished = True
        return ""


def status_lines(manifest: Manifest, seconds: float, metrics: int) -> list[str]:
    """What is recorded so far, in a few lines."""
    commit = (manifest.git.sha or "")[:12] if manifest.git else ""
    said = {
        "run": manifest.run_id,
        "open for": f"{seconds / 60:.0f} min" if seconds >= 60 else f"{seconds:.0f} s",
        "tags": ", ".join(manifest.tags),
        "notes": len((manifest.notes or "").splitlines()) or None,
        "metrics": metrics or None,
        "datasets": ", ".join(manifest.datasets),
        "models": ", ".join(manifest.models),
        "seed": manifest.seed,
        "commit": f"{commit}, changed since" if commit and manifest.git and manifest.git.dirty else commit,
    }
    return [f"{name:<9} {value}" for name, value in said.items() if value not in (None, "")]
