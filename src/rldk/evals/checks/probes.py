"""Probes: fixed prompts that are asked at several steps of a training, to see what it forgets and when."""

from __future__ import annotations

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from rldk.core.stats.effects import paired_d_z
from rldk.core.stats.estimates import Estimate
from rldk.core.stats.paired import holm
from rldk.core.stats.proportions import sign_test
from rldk.core.stats.shingles import normalised
from rldk.core.text import first_few
from rldk.evals.facts import Measurement, effect_of, known, lacking, measured
from rldk.evals.intervals import LEAST, average, smallest_difference
from rldk.evals.registry import EvalOptions, evaluation, limit_of
from rldk.evals.significance import normal_p
from rldk.evals.table import Array, EvalTable
from rldk.evals.verdicts import above

SHOWN = 5
MOST_STEPS = 200
RIGHT = "Probes"
LIKELY = "Probes: log-probability of the right answer"


class ProbeScores(Struct, frozen=True, kw_only=True):
    """The mean score of each probe at each step, shape (probes, steps); NaN where it was not asked."""

    score: NDArray[np.float64]
    names: tuple[str, ...]
    steps: tuple[float, ...]


@evaluation("probes", title=RIGHT, needs=("probe", "step", "correct|gold"), limit=0.02)
def probes(table: EvalTable, options: EvalOptions) -> Measurement:
    """The change of the share of right answers to fixed prompts, from the first step at which they were asked to the
    last one. It passes where a fall of 2 points is excluded (non-inferiority), and fails where the whole interval is
    below. It also says from which step on they are worse than at first, and which probes were lost.

    An answer is right by the column `correct`; without one, where it is the expected answer, whatever the case and
    spacing. P-values of the steps are adjusted for their number (Holm)."""
    score = table.flag("correct")
    if "correct" not in table.cells:
        pairs = zip(table.texts("response"), table.texts("gold"), strict=True)
        score = np.array([np.nan if a is None or b is None else float(normalised(a) == normalised(b))
                          for a, b in pairs])  # fmt: skip
    return _change("probes", RIGHT, table, score, options)


@evaluation("probe_logprob", title=LIKELY, needs=("probe", "step", "expected_logprob"), limit=0.1)
def probe_logprob(table: EvalTable, options: EvalOptions) -> Measurement:
    """The same for the log-probability of the expected answer, in nats. It sees a loss before an answer changes. The
    limit is a fall of 0.1 nats [judgement]: the answer is a tenth less likely."""
    return _change("probe_logprob", LIKELY, table, table.number("expected_logprob"), options)


def course_of(table: EvalTable, score: Array) -> ProbeScores | None:
    """The scores of the probes over the steps; None where none was asked twice."""
    label, step = table.labels("probe"), table.number("step")
    there = (label >= 0) & np.isfinite(step) & np.isfinite(score)
    if not there.any():
        return None
    steps, place = np.unique(step[there], return_inverse=True)
    count = int(label.max()) + 1
    sums, sizes = np.zeros((count, len(steps))), np.zeros((count, len(steps)))
    np.add.at(sums, (label[there], place), score[there])
    np.add.at(sizes, (label[there], place), 1)
    with np.errstate(invalid="ignore"):
        means = sums / sizes
    names = table.names_of("probe")
    return ProbeScores(score=means, names=tuple(names), steps=tuple(steps.tolist())) if len(steps) > 1 else None


def _change(name: str, title: str, table: EvalTable, score: Array, options: EvalOptions) -> Measurement:
    course = course_of(table, score)
    if course is None:
        return lacking(name, title, "needs the same probes at two steps or more", ("probe", "step"))
    first, last = course.score[:, 0], course.score[:, -1]
    both = np.isfinite(first) & np.isfinite(last)
    gap = (last - first)[both]
    if len(gap) < LEAST:
        reason = f"needs {LEAST} probes that were asked at the first and the last step; there are {len(gap)}"
        return lacking(name, title, reason, ("probe", "step"))
    found, limit = average(gap, None, seed=options.seed), limit_of(name, options)
    if float(np.ptp(gap)) == 0:
        n = len(gap)
        value = float(gap[0])
        found = Estimate(value=value, low=value, high=value, n=n, clusters=n, method="all probes change alike")
    status, reason = above(found, -limit)
    lost = [course.names[i] for i in np.flatnonzero(both & (last < first)).tolist()]
    gained = int((gap > 0).sum())
    onset = _worse_from(course, limit, options.seed)
    told = [
        reason,
        "" if onset is None else f"below the first step from step {onset:g} on",
        f"lost: {first_few(lost, SHOWN)}" if lost else "",
    ]
    exact = set(np.unique(course.score[both][:, [0, -1]])) <= {0.0, 1.0}
    return measured(
        name, f"{title}: change from step {course.steps[0]:g} to {course.steps[-1]:g}", status, found, limit=-limit,
        rule=f"change above {-limit:.3g}", reason="; ".join(part for part in told if part) if status != "pass" else "",
        effect=effect_of(paired_d_z(gap), "d_z"), detectable=smallest_difference(gap, None),
        p=sign_test(gained, len(lost)) if exact else normal_p(found),
        details={
            "first": float(first[both].mean()), "last": float(last[both].mean()), "lost": lost[:50],
            "gained": gained, "worse_from_step": onset,
            "course": [[s, known(float(np.nanmean(col)))] for s, col in zip(course.steps, course.score.T, strict=True)
                       if np.isfinite(col).any()][:MOST_STEPS],
        },
    )  # fmt: skip


def _worse_from(course: ProbeScores, limit: float, seed: int) -> float | None:
    """The first step from which on every step is below the first by more than the limit, with adjusted p below 0.05."""
    first, steps = course.score[:, 0], []
    for place in range(1, min(len(course.steps), MOST_STEPS)):
        gap = course.score[:, place] - first
        gap = gap[np.isfinite(gap)]
        if len(gap) >= LEAST:
            found = average(gap, None, seed=seed)
            p = normal_p(found)
            steps.append((course.steps[place], found.value, 1.0 if p is None else p))
    onset = None
    adjusted = holm([p for *_, p in steps])
    for (step, value, _), p in zip(reversed(steps), reversed(adjusted), strict=True):
        if not (value < -limit and p < 0.05):
            break
        onset = step
    return onset
