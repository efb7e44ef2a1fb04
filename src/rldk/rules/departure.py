"""When a metric has left its own course: one test, and a table of what is material for each metric.

The test is the engine's line test (`Frame.leap`): all three newest rows lie off the line through the 24 rows before
them and off their recent level, by so many robust scales. Measured on real logs it is not enough alone: with the
limit of five scales and no table, five of 86 healthy runs alarmed, with the table none, and one fault fewer in 108 was
seen. So every entry says how far the metric must have moved, in a unit that matters for it, and in which direction
that can be bad. What moves in healthy learning as well (KL, entropy, length, value loss) needs a second witness, which
the rules themselves ask for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from msgspec import Struct

from rldk.rules.rule import Frame

REFERENCE_ROWS = 5  # rows whose median is held against an approved run
REFERENCE_SLACK = 1.5  # seeds differ: the material change must be so many times as large (ours)
SCALES = 5.0  # of the line test; 3.5 gave false alarms on 2 of 86 healthy runs
LATEST, RECENT = 3, 8  # rows that must have left, rows before them that are the level they left


class Course(Struct, frozen=True, kw_only=True):
    """What is material for one metric.

    `log`: the test is made on the logarithm, and `rise` and `fall` are factors (> 1); else they are shares of the
    recent level. `floor`: the least scale, in the unit of the test: discrete metrics have spells without any noise.
    `scales`: the limit of the test. An infinite `rise` or `fall`: that direction is never bad by itself.
    """

    rise: float = math.inf
    fall: float = math.inf
    log: bool = False
    floor: float = 0.0
    scales: float = SCALES


class Departure(Struct, frozen=True, kw_only=True):
    """A material move off the course: from the recent level to the median of the newest three rows; or, with an
    approved run as reference, off that run's level at this step."""

    level: float
    now: float
    scales: float
    reference: bool = False

    @property
    def how(self) -> str:
        """The end of a sentence that begins with the metric."""
        if self.reference:
            return f"is {self.now:.3g} where the reference run had {self.level:.3g}"
        return f"went from {self.level:.3g} to {self.now:.3g} within three rows"

    @property
    def up(self) -> bool:
        return self.scales > 0


# Material changes as measured for detection on real trainings (a factor of three for gradient norms, two for KL, 2.5
# for the spread of the reward, ...). Floors: 0.02 of a log scale is rounding to three digits.
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
    """The material move of a metric that the line test sees on this row, or None.

    With a log course, levels <= 0 are no reference and nothing is said."""
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
