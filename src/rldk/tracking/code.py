"""The code of a run."""

from __future__ import annotations

from pathlib import Path

from rldk.core.manifest import GitState
from rldk.provenance.capture import code_of


def record_code(run_dir: Path) -> GitState | None:
    """The state of the repository that holds the current directory, None outside of one. What is in no commit is kept
    in the run directory, without secrets."""
    return code_of(Path(), run_dir)
