"""The code of a run."""

from __future__ import annotations

from pathlib import Path

from rldk.core.manifest import GitState
from rldk.provenance.git import git_state


def code_state() -> GitState | None:
    """The state of the repository that holds the current directory, None outside of one."""
    return git_state(Path())


def record_code(run_dir: Path) -> GitState | None:  # noqa: ARG001 - where the changes that are in no commit are kept
    """The state of the code at the start of the run in `run_dir`."""
    return code_state()
