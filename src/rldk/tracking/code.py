"""The code of a run."""

from __future__ import annotations

from pathlib import Path

from rldk.core.manifest import GitState
from rldk.provenance.capture import code_of


def code_state() -> GitState | None:
    """The state of the repository that holds the current directory, None outside of one."""
    return code_of(Path())


def record_code(run_dir: Path) -> GitState | None:
    """The same at the start of the run in `run_dir`, which keeps what is in no commit, without secrets."""
    return code_of(Path(), run_dir)
