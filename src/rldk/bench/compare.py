"""The changes between two measurements of one corpus: runs gained and lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct

from rldk.bench.judge import Result
from rldk.bench.score import Rate, RunOutcome, rate
from rldk.core.stats.proportions import sign_test

# figure -> the runs it covers, and when a run counts; a rise of `named` and `detected` is good
MEASURES: dict[str, tuple[Callable[[RunOutcome], bool], Callable[[RunOutcome], bool]]] = {
    "named": (lambda o: not o.healthy, lambda o: bool(o.naming)),
    "detected": (lambda o: not o.healthy, lambda o: bool(o.late)),
    "early": (lambda o: not o.healthy, lambda o: bool(o.early)),
    "clean": (lambda o: o.healthy, lambda o: bool(o.loud)),
    "critical": (lambda o: o.healthy, lambda o: o.critical),
}


class Change(Struct, frozen=True, kw_only=True):
    """One figure on the runs that both measurements judged. `gained`: runs that count now and did not before.

    `p`: how likely so uneven a change is by chance (exact sign test)."""

    figure: str
    before: Rate
    now: Rate
    gained: tuple[str, ...]
    lost: tuple[str, ...]
    p: float


class Comparison(Struct, frozen=True, kw_only=True):
    """Two measurements. `only_before`, `only_now`: runs that are not compared, because the other measurement did not
    judge them or had another label."""

    changes: tuple[Change, ...]
    only_before: tuple[str, ...]
    only_now: tuple[str, ...]


def compare(before: Sequence[Result], now: Sequence[Result]) -> Comparison:
    """The changes, by the names of the runs. Each run is compared with its present label."""
    labels = {r.run: r.label for r in now}
    old = {r.run: RunOutcome(result=r) for r in before if not r.error and labels.get(r.run) == r.label}
    new = {r.run: RunOutcome(result=r) for r in now if not r.error}
    shared = [(old[name], new[name]) for name in new if name in old]
    return Comparison(
        changes=tuple(_change(figure, shared) for figure in MEASURES),
        only_before=tuple(r.run for r in before if r.run not in new or r.run not in old),
        only_now=tuple(r.run for r in now if r.run not in new or r.run not in old),
    )


def _change(figure: str, shared: Sequence[tuple[RunOutcome, RunOutcome]]) -> Change:
    concerned, counts = MEASURES[figure]
    pairs = [(a, b) for a, b in shared if concerned(b)]
    gained = tuple(b.run for a, b in pairs if counts(b) and not counts(a))
    lost = tuple(b.run for a, b in pairs if counts(a) and not counts(b))
    return Change(
        figure=figure,
        before=rate(counts(a) for a, _ in pairs),
        now=rate(counts(b) for _, b in pairs),
        gained=gained,
        lost=lost,
        p=sign_test(len(gained), len(lost)),
    )
