"""Makes a determinism card from whatever is there: a report, the folder of a check, several runs, or one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rldk.cards.trust.kinds import card
from rldk.core.codec import from_json
from rldk.determinism.card import DeterminismCard, determinism_card
from rldk.determinism.report import DeterminismReport
from rldk.determinism.run_card import card_of_runs
from rldk.errors import MalformedInput, UnreadableSource

REPORT = "determinism_report.json"
MAX_BYTES = 64 << 20


@card("determinism")
def card_of_source(
    run: Any, *, field_map: Mapping[str, str] | None = None, tolerance: float = 0.0, command: str = ""
) -> DeterminismCard:
    """The card of a report of `check`, of the folder or file that it was kept in, of several runs (replicas of one
    command), or of what one run records.

    `run`: also a list of sources, a folder of runs, or a DataFrame. `tolerance`: share of a value by which replicas may
    differ. `command`: prints the card again. Raises `MalformedInput` for a damaged report, and the errors of the
    adapters."""
    report = run if isinstance(run, DeterminismReport) else kept_report(run)
    if report is not None:
        return determinism_card(report, command=command)
    return card_of_runs(run, field_map=field_map, tolerance=tolerance, command=command)


def kept_report(source: Any) -> DeterminismReport | None:
    """The report that a check has kept in that folder or file; None where it is something else."""
    if not isinstance(source, str | os.PathLike):
        return None
    path = Path(source)
    try:
        path = path / REPORT if path.is_dir() else path
        if path.name != REPORT or not path.is_file():
            return None
        if path.stat().st_size > MAX_BYTES:
            raise MalformedInput(f"{path} is larger than {MAX_BYTES >> 20} MiB", hint="no check writes such a report")
        text = path.read_bytes()
    except OSError as error:
        raise UnreadableSource(f"cannot read {path}: {error.strerror or error}") from None
    report = from_json(text, DeterminismReport)
    if report.kind != "determinism":
        raise MalformedInput(f"{path} is no report of a determinism check", hint="rldk check-determinism writes one")
    return report
