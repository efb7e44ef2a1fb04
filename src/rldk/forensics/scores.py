"""The three scores of a run, from the engine."""

from __future__ import annotations

from typing import NamedTuple

from rldk.engine.live import Engine
from rldk.engine.report.health import Strain, health
from rldk.engine.report.outlook import outlook


class Scores(NamedTuple):
    """Three scores. `overall`: probability that the run is healthy given the evidence.

    `stability`: share of the newest rows without a warning. `convergence`: probability that the run has converged or
    still improves, computed at most 200 rows ago. All are None before there is evidence."""

    overall: float | None = None
    stability: float | None = None
    convergence: float | None = None


class Scorer:
    """Asks the engine after each row. It remembers the outlook in between."""

    def __init__(self) -> None:
        self._convergence: float | None = None
        self._strain = Strain()

    def look(self, engine: Engine, rows: int, *, ahead: bool) -> Scores:
        """The scores at a training row of the present block. Call it once a row.

        `ahead`: renew the outlook, too. This is possible only where nothing was fed beyond the row."""
        state = health(engine, rows=rows, strain=self._strain.at(engine, rows))
        if ahead:
            seen = outlook(engine)
            self._convergence = convergence(seen.convergence, seen.probability)
        return Scores(state.overall, state.stability, self._convergence)


def convergence(kind: str, probability: float | None) -> float | None:
    """The probability that the run does not degrade, from an outlook and its probability."""
    if probability is None or kind == "unknown":
        return None
    return 1.0 - probability if kind == "degrading" else probability
