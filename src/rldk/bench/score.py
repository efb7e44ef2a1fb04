"""Scores the findings on a corpus: rates with their intervals, by fault, algorithm, framework and rule.

A detection is a finding of severity warn or above, of a family that is not tolerated, that starts at or after the onset
(less `SLACK` steps). It names the fault when its family is among those of the label."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property

from msgspec import Struct

from rldk.bench.judge import Result, Said
from rldk.core.stats.order import quantile
from rldk.core.stats.proportions import wilson
from rldk.core.stats.ranking import auc, auc_interval

SLACK = 2  # steps before the onset from which a finding counts for the fault
LEVEL = 0.95
DELAYS = (0.1, 0.25, 0.5, 0.75, 0.9)  # quantiles of the delay in the report


class RunOutcome(Struct, frozen=True, kw_only=True, dict=True):
    """How the findings of one run compare with its label."""

    result: Result

    @property
    def run(self) -> str:
        return self.result.run

    @property
    def healthy(self) -> bool:
        return self.result.label.healthy

    @property
    def error(self) -> str:
        return self.result.error

    @cached_property
    def loud(self) -> tuple[Said, ...]:
        tolerated = self.result.label.tolerated
        return tuple(s for s in self.result.said if s.severity != "info" and s.family not in tolerated)

    @cached_property
    def early(self) -> tuple[Said, ...]:
        """The findings on a faulty run before the fault began."""
        return tuple(s for s in self.loud if not self.healthy and not self._after(s))

    @cached_property
    def late(self) -> tuple[Said, ...]:
        """The findings on a faulty run since the fault began."""
        return tuple(s for s in self.loud if not self.healthy and self._after(s))

    @cached_property
    def naming(self) -> tuple[Said, ...]:
        """The `late` findings that name the fault, the first one first."""
        families = self.result.label.families
        return tuple(sorted((s for s in self.late if s.family in families), key=lambda s: (s.first_step, s.code)))

    @property
    def critical(self) -> bool:
        return any(s.severity == "critical" for s in self.loud)

    @property
    def delay(self) -> int | None:
        """Steps from the onset to the first finding that names the fault."""
        return self.naming[0].first_step - self.result.label.onset if self.naming else None

    def _after(self, said: Said) -> bool:
        return said.first_step >= self.result.label.onset - SLACK


class Rate(Struct, frozen=True, kw_only=True):
    """`hits` among `n` runs, the share (None without runs) and its 95 % Wilson interval."""

    hits: int
    n: int
    share: float | None
    low: float
    high: float


class Delay(Struct, frozen=True, kw_only=True):
    """Quantiles of the delays in steps, by share. `n` runs were named."""

    n: int
    median: float | None
    quantiles: dict[str, float]
    longest: float | None


class Order(Struct, frozen=True, kw_only=True):
    """How clearly the health scores separate healthy runs from faulty ones: the area under the ROC curve, its 95 %
    interval, and the runs that have a score."""

    auc: float | None
    low: float
    high: float
    healthy: int
    faulty: int


class Summary(Struct, frozen=True, kw_only=True):
    """The figures of some runs. `clean`: healthy runs with a warning. `critical`: healthy runs with a critical finding.

    `early`: faulty runs with a warning before the fault. `detected`, `named`: faulty runs that were seen at all, and
    named."""

    runs: int
    errors: int
    clean: Rate
    critical: Rate
    early: Rate
    detected: Rate
    named: Rate
    delay: Delay
    health: Order


class CodeCount(Struct, frozen=True, kw_only=True):
    """What one rule did, in runs. `hits`: it named the fault. `first`: no other rule named it earlier.

    `only`: no other rule named it at all. `off`: it fired after the onset, but its family does not name the fault.
    `early`: it fired before the onset. `false`: it fired on a healthy run. `checked`: healthy runs on which it had its
    inputs."""

    code: str
    hits: int
    first: int
    only: int
    off: int
    early: int
    false: int
    checked: int


class Score(Struct, frozen=True, kw_only=True):
    """Everything that is counted over a corpus. `silent`: rules that had their inputs somewhere and never fired."""

    corpus: str
    summary: Summary
    faults: dict[str, Summary]
    algorithms: dict[str, Summary]
    frameworks: dict[str, Summary]
    codes: tuple[CodeCount, ...]
    silent: tuple[str, ...]
    outcomes: tuple[RunOutcome, ...]


def score(results: Sequence[Result], corpus: str | os.PathLike[str] = "") -> Score:
    """Scores the results of a corpus. A run that failed is counted under errors, and in no rate."""
    outcomes = tuple(RunOutcome(result=r) for r in results)
    codes = _codes(outcomes)
    return Score(
        corpus=os.fspath(corpus),
        summary=summary(outcomes),
        faults=_by(outcomes, lambda o: o.result.label.fault),
        algorithms=_by(outcomes, lambda o: o.result.label.algorithm),
        frameworks=_by(outcomes, lambda o: o.result.label.framework),
        codes=codes,
        silent=tuple(sorted({c for r in results for c in r.checked} - {c.code for c in codes})),
        outcomes=outcomes,
    )


def summary(outcomes: Iterable[RunOutcome]) -> Summary:
    """The figures of these runs."""
    every = list(outcomes)
    sound = [o for o in every if not o.error]
    clean, faulty = [o for o in sound if o.healthy], [o for o in sound if not o.healthy]
    return Summary(
        runs=len(every),
        errors=len(every) - len(sound),
        clean=rate(bool(o.loud) for o in clean),
        critical=rate(o.critical for o in clean),
        early=rate(bool(o.early) for o in faulty),
        detected=rate(bool(o.late) for o in faulty),
        named=rate(bool(o.naming) for o in faulty),
        delay=_delay([o.delay for o in faulty if o.delay is not None]),
        health=_order(*([o.result.health for o in group if o.result.health is not None] for group in (clean, faulty))),
    )


def rate(hits: Iterable[bool]) -> Rate:
    """The share of true values."""
    each = list(hits)
    low, high = wilson(sum(each), len(each), LEVEL)
    return Rate(hits=sum(each), n=len(each), share=sum(each) / len(each) if each else None, low=low, high=high)


def _delay(steps: Sequence[int]) -> Delay:
    if not steps:
        return Delay(n=0, median=None, quantiles={}, longest=None)
    told = {f"{share:g}": quantile(steps, share) for share in DELAYS}
    return Delay(n=len(steps), median=told["0.5"], quantiles=told, longest=max(steps))


def _order(clean: Sequence[float], faulty: Sequence[float]) -> Order:
    if not clean or not faulty:
        return Order(auc=None, low=0.0, high=1.0, healthy=len(clean), faulty=len(faulty))
    area = auc(clean, faulty)
    low, high = auc_interval(area, len(clean), len(faulty), LEVEL)
    return Order(auc=area, low=low, high=high, healthy=len(clean), faulty=len(faulty))


def _by(outcomes: Sequence[RunOutcome], key: Callable[[RunOutcome], str]) -> dict[str, Summary]:
    groups: dict[str, list[RunOutcome]] = {}
    for outcome in outcomes:
        groups.setdefault(key(outcome), []).append(outcome)
    return {name: summary(groups[name]) for name in sorted(groups) if name}


def _codes(outcomes: Sequence[RunOutcome]) -> tuple[CodeCount, ...]:
    """One line for each rule that fired, those that named most first."""
    spoken = {s.code for o in outcomes for s in o.loud}
    return tuple(sorted((_code(code, outcomes) for code in spoken), key=lambda c: (-c.hits, -c.false, c.code)))


def _code(code: str, outcomes: Sequence[RunOutcome]) -> CodeCount:
    def runs(said: Callable[[RunOutcome], Sequence[Said]]) -> list[RunOutcome]:
        return [o for o in outcomes if any(s.code == code for s in said(o))]

    named = runs(lambda o: o.naming)
    return CodeCount(
        code=code,
        hits=len(named),
        first=sum(o.naming[0].code == code for o in named),
        only=sum(all(s.code == code for s in o.naming) for o in named),
        off=len(runs(lambda o: [s for s in o.late if s not in o.naming])),
        early=len(runs(lambda o: o.early)),
        false=len(runs(lambda o: o.loud if o.healthy else ())),
        checked=sum(o.healthy and code in o.result.checked for o in outcomes),
    )
