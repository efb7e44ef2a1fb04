"""A trust card as values: its checks with their evidence, the runs that it is about, curves and tables."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct, field

from rldk.cards.trust.status import CardWord
from rldk.core.model import Report, Severity
from rldk.core.view import Band, Limit, SideLine


class CardCheck(Struct, frozen=True, kw_only=True):
    """One question of a card and its answer.

    `code`: of the rule that answers it, or the check's own. `result`: what was seen, as a sentence. `reason`: why it
    was not checked. `value`, `limit`: what was measured and what it was compared with, in `unit`. `low`, `high`: the
    95 % interval of the value. `p`: the adjusted p-value. `n`: how many of `of` (steps, replicas, rules) the answer
    rests on. `method`: how it was measured, and where the limit comes from. `steps`: first and last step that it is
    about. `main`: the card cannot pass without it."""

    name: str
    code: str
    status: CardWord
    result: str = ""
    reason: str = ""
    value: float | None = None
    limit: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    unit: str = ""
    n: int | None = None
    of: str = ""
    method: str = ""
    metric: str = ""
    steps: tuple[int, int] | None = None
    causes: tuple[str, ...] = ()
    fixes: tuple[str, ...] = ()
    main: bool = False


class CardSubject(Struct, frozen=True, kw_only=True):
    """A run that a card is about, or the program whose runs it is about. `role`: "run", "A", "B", "baseline",
    "replica" or "command". `changed_code`: whether the code had changes that are in no commit. `data`: dataset ->
    digest. `packages`: those that decide results -> version. What is not recorded is None or empty."""

    role: str
    source: str
    run: str = ""
    format: str = ""
    framework: str | None = None
    algorithm: str | None = None
    rows: int | None = None
    first_step: int | None = None
    last_step: int | None = None
    seed: int | None = None
    commit: str | None = None
    changed_code: bool | None = None
    data: dict[str, str] = field(default_factory=dict)
    packages: dict[str, str] = field(default_factory=dict)


class CardCurve(Struct, frozen=True, kw_only=True):
    """A curve of a card, thinned out. None in `value` breaks the line. `gaps`: steps at which the source said NaN.
    `log`: its axis is logarithmic."""

    name: str
    step: Sequence[int] = ()
    value: Sequence[float | None] = ()
    gaps: Sequence[int] = ()
    bands: tuple[Band, ...] = ()
    limits: tuple[Limit, ...] = ()
    beside: tuple[SideLine, ...] = ()
    log: bool = False


class CardPlot(Struct, frozen=True, kw_only=True):
    """A plot of a card over two axes: points, a line through them (`joined`), or `bars`. `ideal`: the ends of a dashed
    line to compare with."""

    name: str
    x: Sequence[float] = ()
    y: Sequence[float] = ()
    x_name: str = "x"
    y_name: str = "y"
    joined: bool = False
    bars: bool = False
    ideal: tuple[tuple[float, float], tuple[float, float]] | None = None


class CardTable(Struct, frozen=True, kw_only=True):
    """A table of a card: `rows` of as many texts as there are `heads`."""

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...] = ()


class CardFacts(Report, frozen=True, kw_only=True):
    """A trust card. `passed`: its status is "pass" or "warn". `status`: the worst answer; "not checked" where the main
    question has none and nothing failed.

    `command`: prints the same card again. `made_by`: name and version of the program that made it."""

    status: CardWord
    subjects: tuple[CardSubject, ...] = ()
    checks: tuple[CardCheck, ...] = ()
    curves: tuple[CardCurve, ...] = ()
    tables: tuple[CardTable, ...] = ()
    command: str = ""
    made_by: str = ""

    def worst(self) -> Severity | None:
        """The severity that a gate sees."""
        grave: dict[CardWord, Severity] = {"fail": "critical", "warn": "warn"}
        return grave.get(self.status)
