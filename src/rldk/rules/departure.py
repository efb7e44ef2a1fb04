"""Whether a metric has left its own line: one test, and a table of how large a move matters for each metric.

The test is the engine's line test (`Frame.leap`): all three newest rows lie off the line through the 24 rows before
them, and off their recent level, by a number of robust scales. On real logs the test alone is not enough. With the
limit of five scales and no table, five of 86 healthy runs alarmed. With the table none did, and one fault fewer in 108
was seen. So every entry says how far the metric must have moved, in a unit that matters for it, and in which direction
a move can be bad. Metrics that also move in healthy learning (KL, entropy, length, value loss) need a second witness.
The rules themselves ask for it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from msgspec import Struct

from rldk.rules.rule import Frame

REFERENCE_ROWS = 5  # rows whose median is compared with an approved run
REFERENCE_SLACK = 1.5  # seeds differ, so the move must be this many times as large (our own choice)
SCALES = 5.0  # of the line test; 3.5 gave false alarms on 2 of 86 healthy runs
LATEST, RECENT = 3, 8  # rows that must have left the line; rows before them, whose level they left


class Course(Struct, frozen=True, kw_only=True):
    """How large a move of one metric must be to matter.

    `log`: the test is made on the logarithm, and `rise` and `fall` are factors (> 1). Otherwise they are shares of the
    recent level. `floor`: the smallest scale, in the unit of the test, because discrete metrics have rows without any
    noise. `scales`: the limit of the test. When `rise` or `fall` is infinite, that direction is never bad by itself.
    """

    rise: float = math.inf
    fall: float = math.inf
    log: bool = False
    floor: float = 0.0
    scales: float = SCALES


class Departure(Struct, frozen=True, kw_only=True):
    """A move that matters, from the recent level to the median of the newest three rows. With an approved run as
    reference, the move is measured from that run's level at this step."""

    level: float
    now: float
    scales: float
    reference: bool = False

    @property
    def how(self) -> str:
        """The end of a sentence that begins with the name of the metric."""
        if self.reference:
            return f"is {self.now:.3g} where the reference run had {self.level:.3g}"
        return f"went from {self.level:.3g} to {self.now:.3g} within three rows"

    @property
    def up(self) -> bool:
        return self.scales > 0


# The smallest moves that matter, as measured for detection on real trainings (a factor of three for gradient norms,
# two for KL, 2.5 for the spread of the reward, ...). Floors: 0.02 of a log scale is rounding to three digits.
COURSES: Mapping[str, Course] = {
    "grad_norm": Course(log=True, rise=3.0, floor=0.05),
    "grad_norm_policy": Course(log=True, rise=3.0, floor=0.05),
    "grad_norm_value": Course(log=True, rise=3.0, floor=0.05),
    "kl": Course(log=True, rise=3.0, floor=0.05),
    "entropy": Course(rise=0.25, fall=0.25, floor=0.01),
    "reward_std": Course(log=True, rise=2.5, floor=0.05),
    "value_loss": Course(log=True, rise=3.0, floor=0.05),
    "ratio_var": Course(log=True, rise=2.0, floor=0.05),
    "rollout_logprob_diff_mean": Course(log=True, rise=2.0, floor=0.05),
    "rollout_prob_diff_mean": Course(log=True, rise=2.0, floor=0.05),
    "rollout_kl": Course(log=True, rise=2.0, floor=0.05),
}


def departure(f: Frame, name: str) -> Departure | None:
    """The move of a metric that the line test sees on this row, if it is large enough to matter; else None.

    On a log scale there is no verdict for levels <= 0."""
    course = COURSES[name]
    scales = f.leap(name, log=course.log, floor=course.floor)
    now, level = f.median(name, LATEST), f.median(name, RECENT, before=LATEST)
    if abs(scales) >= course.scales and _material(course, now, level):
        return Departure(level=level, now=now, scales=scales)
    return _off_reference(f, name, course)


def _off_reference(f: Frame, name: str, course: Course) -> Departure | None:
    now, level, spread = f.median(name, REFERENCE_ROWS), f.reference(name), f.reference_spread(name)
    scale = max(spread, 1e-3 * abs(level))
    scales = (now - level) / scale if scale > 0 else math.nan
    if abs(scales) >= course.scales and _material(course, now, level, REFERENCE_SLACK):
        return Departure(level=level, now=now, scales=scales, reference=True)
    return None


def _material(course: Course, now: float, level: float, slack: float = 1.0) -> bool:
    if course.log:
        moved = now / level if level > 0 else math.nan
        return moved > slack * course.rise or 0 < moved < 1 / (slack * course.fall)
    moved = (now - level) / abs(level) if level else math.nan
    return moved > slack * course.rise or moved < -slack * course.fall
