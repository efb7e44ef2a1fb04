"""What a rule may look at besides rows: each subject with a typed view of its own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, get_args

from msgspec import Struct, field

Subject = Literal["rows", "samples", "config", "env", "pair", "checkpoints", "tensors"]
SUBJECTS: tuple[Subject, ...] = get_args(Subject)
BY_ROW: frozenset[Subject] = frozenset(
    {"rows", "samples"}
)  # these get a frame for every row; the others are looked at once

# what a run must have for rules over a subject, in a reader's words
WANTS: Mapping[Subject, str] = {
    "samples": "per-sample records (completions with their rewards or advantages)",
    "config": "the run's configuration, which this log does not carry",
    "env": "facts about the machine and its packages",
    "pair": "a second run to compare with",
    "checkpoints": "checkpoints of the run",
    "tensors": "measurements of a hook in the trainer",
}


class ConfigView(Struct, frozen=True, kw_only=True):
    """The configuration of a run, by concept (`rules.knobs.CONCEPTS`) or by the trainer's own keys."""

    values: Mapping[str, Any] = field(default_factory=dict)
    keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    algorithm: str | None = None
    framework: str | None = None
    total_steps: int | None = None

    def key(self, concept: str) -> str:
        """The trainer's own key for the concept, as this configuration spells it; "" where it has none."""
        return next((key for key in self.keys.get(concept, ()) if self.values.get(key) is not None), "")

    def get(self, concept: str) -> Any:
        """The value that the configuration has for the concept, unchanged; None where it has none."""
        return self.values.get(self.key(concept))

    def number(self, concept: str) -> float:
        """The same value as a number; NaN where it is not a number. A boolean is not a number."""
        found = self.get(concept)
        if isinstance(found, bool):
            return math.nan
        try:
            return float(found) if isinstance(found, int | float | str) else math.nan
        except ValueError:
            return math.nan

    def named(self, name: str) -> Any:
        """The value under the trainer's own key `name`; None where there is none."""
        return self.values.get(name)
