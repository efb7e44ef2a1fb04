"""Which rules are asked about which rows: those that apply to the run, whose metrics are there, and that may speak."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import TYPE_CHECKING

from rldk.engine.evaluate import EVERYWHERE, BoundRule, Turn
from rldk.rules.rule import Context, Rule

if TYPE_CHECKING:
    from rldk.engine.ragged import Ragged  # loads numpy, without which a monitor starts


def inapplicable(rule: Rule, context: Context) -> str | None:
    """Why the rule does not apply to a run with this context, None where it does."""
    if rule.algorithms is not None and context.algorithm is not None and context.algorithm not in rule.algorithms:
        return f"defined for {', '.join(sorted(rule.algorithms))}; this run is {context.algorithm}"
    return rule.unless(context) if rule.unless else None


@lru_cache(8192)  # runs of one directory have the same names
def matches(name: str, patterns: tuple[str, ...]) -> bool:
    """Whether an `each` rule with these patterns is asked about the metric."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def turns_of_row(bound: Iterable[BoundRule], columns: Mapping[str, Sequence[float]]) -> list[Turn]:
    """The rules to ask about a single row that has values which are not finite."""
    sound = {name for name, (x,) in columns.items() if x - x == 0.0}
    return [
        (w, "", 0.0, 0.0)
        for w in bound
        if not w.failure and (w.required <= sound or (w.rule.nonfinite and w.required <= columns.keys()))
    ]


def turns_of_block(
    bound: Iterable[BoundRule], columns: Mapping[str, object], ragged: Mapping[str, Ragged], context: Context
) -> list[Turn]:
    """The rules to ask about a block. A note that was made need not be made again. `ragged`: as of `Memory`."""
    odd = {name for name, some in ragged.items() if not some.is_finite}
    turns = (
        (w, "", 0.0, 0.0) if _is_uncalm(w, ragged, odd) else _turn(w, columns, context)
        for w in bound
        if w.required <= columns.keys() and not w.failure and not (w.rule.note and w.episodes.began)
    )
    return [t for t in turns if t[2:] != EVERYWHERE or not t[0].episodes.idle]


def _turn(bound: BoundRule, values: Mapping[str, object], context: Context) -> Turn:
    """A rule may be skipped by its calm range only once it has had every input: a rule that is never asked is not
    checked."""
    if bound.rule.calm is None or not bound.ready or bound.metric not in values:
        return bound, "", 0.0, 0.0
    return bound, bound.metric, *bound.rule.calm(bound.metric, context)


def _is_uncalm(bound: BoundRule, ragged: Container[str], odd: set[str]) -> bool:
    """Whether the values of the rule's metric in a block do not say that the rule is silent: on some rows it is asked
    without the metric, or about a value that is not finite. `odd`: metrics with such values."""
    if bound.metric in ragged and bound.metric not in bound.required:
        return True
    return bound.rule.nonfinite and not odd.isdisjoint(bound.required)
