"""What a check of resuming says, as values."""

from __future__ import annotations

from msgspec import Struct, field

from rldk.core.model import Report
from rldk.resume.checkpoints import FoundCheckpoint
from rldk.rules.resumes import LostState


class ResumeTrial(Struct, frozen=True, kw_only=True):
    """How one run went. `result`: what it showed, in words."""

    name: str
    result: str
    code: int | None
    seconds: float
    rows: int
    optimizer_steps: int
    folder: str
    command: str = ""


class ResumeFacts(Report, frozen=True, kw_only=True):
    """Whether a resumed training is the uninterrupted one. `passed`: it was compared, and is.

    `repeatable`: two uninterrupted runs agree; without that nothing is judged (`inconclusive`). `lost`: the states that
    were lost, `suspects`: what else may be, by the metrics that differ and what the checkpoint lacks. `checkpoint`: the
    one that was resumed from. `trials`: each run."""

    repeatable: bool = False
    inconclusive: bool = False
    lost: tuple[LostState, ...] = ()
    suspects: tuple[str, ...] = ()
    checkpoint: FoundCheckpoint | None = None
    in_place: tuple[str, ...] = ()
    trials: tuple[ResumeTrial, ...] = ()
    metrics_compared: tuple[str, ...] = field(default_factory=tuple)
