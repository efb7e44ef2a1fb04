"""`rldk run --hooks`: the environment of the command, and what its processes said that was hooked."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import rldk
from rldk.cards.safe import clean
from rldk.cli.output import say
from rldk.core.rundir import RunDirectory
from rldk.engine.processes.injection import injected

HOOKS = Path(rldk.__file__).parent / "integrations" / "inject" / "rldk_trainers.py"
FOLDER = "hooks"  # in the run directory
STREAM = "training_events.jsonl"
VARIABLE = "RLDK_HOOKS"
SAMPLES = "RLDK_HOOKS_SAMPLES"
MOST_FILES, MOST_BYTES = 1000, 1 << 16


class HookFolder:
    """Where the hooked processes of a run leave their files. A folder of its own for each start of the command."""

    def __init__(self, left: RunDirectory) -> None:
        number, path = 1, left.path / FOLDER
        while path.exists():
            number += 1
            path = left.path / f"{FOLDER}-{number}"
        path.mkdir(parents=True)
        self.path = path.absolute()

    @property
    def stream(self) -> Path:
        """The rows of the training; there when something was hooked that has rows."""
        return self.path / STREAM

    def variables(self, samples: int, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
        """What the environment of the command gets besides its own. `samples`: how many per-sample records of a step
        are written."""
        return {**injected(HOOKS, environment), VARIABLE: str(self.path), SAMPLES: str(samples)}

    def found(self) -> dict[str, Any]:
        """What was hooked, what was not and why, and how many rows were recorded."""
        hooked: list[str] = []
        failed: dict[str, str] = {}
        for path in sorted(self.path.glob("process-*.json"))[:MOST_FILES]:
            said = _read(path)
            hooked += [clean(str(name), 200) for name in _list(said.get("hooked"))]
            named = said.get("failed")
            if isinstance(named, dict):
                failed |= {clean(str(name), 200): clean(str(why), 300) for name, why in list(named.items())[:100]}
        return {"hooked": list(dict.fromkeys(hooked)), "failed": failed, "rows": self._rows()}

    def tell(self, report: Path) -> None:
        """Says on stderr and in the report what was hooked."""
        found = self.found()
        say(f"rldk: {hook_line(found)}")
        add_to_report(report, found)

    def remove(self) -> None:
        """Removes the folders that were made for a command that did not start."""
        with suppress(OSError):
            self.path.rmdir()
            self.path.parent.rmdir()

    def _rows(self) -> int:
        try:
            with self.stream.open("rb") as stream:
                return sum(line.endswith(b"\n") for line in stream)
        except OSError:
            return 0


def hook_line(found: Mapping[str, Any]) -> str:
    """One line on what was hooked."""
    parts = []
    if found["hooked"]:
        rows = f"{found['rows']} rows" if found["rows"] else "it logged no row"
        parts.append(f"hooked {', '.join(found['hooked'])}: {rows}")
    else:
        parts.append("nothing was hooked: no Python process of the command loaded a trainer that rldk knows")
    parts += [f"{name} was not hooked: {why}" for name, why in found["failed"].items()]
    return "; ".join(parts)


def add_to_report(report: Path, found: Mapping[str, Any]) -> None:
    """Writes what was hooked into the report of the monitor, where there is one."""
    from rldk.core.files import write_whole

    try:
        document = json.loads(report.read_text(encoding="utf-8"))
        document["hooks"] = dict(found)
        write_whole(report, json.dumps(document, indent=2) + "\n")
    except (OSError, ValueError, TypeError):
        return


def _read(path: Path) -> dict[str, Any]:
    """The notes of one process. The script could have written anything there."""
    try:
        if path.stat().st_size > MOST_BYTES:
            return {}
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _list(value: Any) -> list[Any]:
    return value[:100] if isinstance(value, list) else []
