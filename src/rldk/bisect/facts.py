"""What a bisection says, as values."""

from __future__ import annotations

from msgspec import field

from rldk.bisect.state import BisectRun
from rldk.core.model import Report


class BisectFacts(Report, frozen=True, kw_only=True):
    """The first bad commit, or version. `passed`: one was found.

    `culprit_sha`: it, or its version; None where several cannot be told apart. `iterations`: how many runs there were.
    `logs_path`: the folder that keeps their output. `candidates`: the credible set of 95 %, the likeliest first.
    `probabilities`: of every commit that is likely enough to be named. `runs`: each run in its order. `subjects`: date,
    author and message of the candidates."""

    culprit_sha: str | None = None
    iterations: int = 0
    logs_path: str = ""
    candidates: tuple[str, ...] = ()
    probabilities: dict[str, float] = field(default_factory=dict)
    runs: tuple[BisectRun, ...] = ()
    subjects: dict[str, str] = field(default_factory=dict)
