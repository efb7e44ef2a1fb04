"""What the reward follows among the answers to a prompt: length, form, words, position."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from rldk.core.stats.coupling import GroupRanks, overall, residuals, within_groups
from rldk.core.stats.estimates import Coupling
from rldk.core.stats.paired import false_discovery
from rldk.reward.features import feature_columns, word_columns
from rldk.reward.rows import LEAST, clusters_of, finite_rows, grouped, has_groups, some_rows
from rldk.reward.table import Array, Codes, ScoreTable
from rldk.reward.texts import ArrowTexts
from rldk.rules.score_view import Shortcut

MOST = 200_000  # answers over which length is correlated
MOST_TEXTS = 10_000  # answers whose texts are looked at
LEAST_WORDS = 200  # answers for the search among words
PER_STEP = 8  # answers of a step from which ranks are taken within it

Rows = NDArray[np.int64]


class AnswerFacts(Struct, frozen=True, kw_only=True):
    """The couplings of the reward, and which rows they were taken over. `x`, `y`: a sample of lengths and rewards to
    draw."""

    within: bool
    length: Coupling | None = None
    shortcuts: tuple[Shortcut, ...] | None = None
    words: tuple[Shortcut, ...] | None = None
    position: Coupling | None = None
    looked_at: int = 0
    answers: int = 0
    x: Array | None = None
    y: Array | None = None
    longer_wins: tuple[int, int] = (0, 0)


def answer_facts(table: ScoreTable, *, seed: int) -> AnswerFacts:
    """What the reward follows among the answers to one prompt (at one step), or over all where prompts are unknown."""
    every = finite_rows(table.reward)
    within = has_groups(table.group, every)
    rows = grouped(table, every) if within else every
    chosen = some_rows(table, rows, MOST, seed=seed)
    texts = some_rows(table, rows, MOST_TEXTS, seed=seed)
    if isinstance(table.responses, ArrowTexts):
        table.responses.want(texts)
    length = lengths_of(table)
    coupling, x, y, wins = _length(table, length, chosen, within=within)
    shortcuts, words = _forms(table, length, texts, within=within)
    return AnswerFacts(
        within=within,
        length=coupling,
        shortcuts=shortcuts,
        words=words,
        position=_position(table, chosen, within=within),
        looked_at=len(chosen),
        answers=len(every),
        x=x,
        y=y,
        longer_wins=wins,
    )


def lengths_of(table: ScoreTable) -> Array | None:
    """Tokens where the data states them, else characters of the texts."""
    if table.length is not None:
        return table.length
    return table.responses.lengths() if table.responses is not None else None


def _length(
    table: ScoreTable, length: Array | None, rows: Rows, *, within: bool
) -> tuple[Coupling | None, Array | None, Array | None, tuple[int, int]]:
    if length is None or table.single:
        return None, None, None, (0, 0)
    used = rows[np.isfinite(length[rows])]
    if len(used) < LEAST:
        return None, None, None, (0, 0)
    a, b = length[used], table.reward[used]
    found = _coupled(table, a, b, used, within=within)
    if found.rho != found.rho:
        return None, None, None, (0, 0)
    step = max(1, len(used) // 800)
    if within and table.group is not None:
        x, y = _relative(a, table.group[used]), _relative(b, table.group[used])
        return found, x[::step], y[::step], _longer_wins(a, b, table.group[used])
    return found, a[::step], b[::step], (0, 0)


def _coupled(table: ScoreTable, a: Array, b: Array, rows: Rows, *, within: bool) -> Coupling:
    if within and table.group is not None:
        return within_groups(a, b, table.group[rows], cluster=clusters_of(table, rows))
    block: Codes | None = None
    if table.step is not None:
        codes = np.unique(table.step[rows], return_inverse=True)[1]
        block = codes if np.bincount(codes).min() >= PER_STEP else None
    return overall(a, b, block)


def _relative(values: Array, group: Codes) -> Array:
    """The values minus the mean of their group."""
    label = np.unique(group, return_inverse=True)[1]
    made: Array = values - (np.bincount(label, weights=values) / np.bincount(label))[label]
    return made


def _longer_wins(length: Array, reward: Array, group: Codes) -> tuple[int, int]:
    """Of one pair of answers of each group, the first and the last one: how often the longer one has more reward, and
    how many pairs differ in both."""
    order = np.argsort(group, kind="stable")
    ordered = group[order]
    first = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    last = np.append(first[1:], len(ordered)) - 1
    longer = length[order[last]] - length[order[first]]
    more = reward[order[last]] - reward[order[first]]
    told = (longer != 0) & (more != 0)
    return int(((longer > 0) == (more > 0))[told].sum()), int(told.sum())


def _position(table: ScoreTable, rows: Rows, *, within: bool) -> Coupling | None:
    if table.position is None or not within:
        return None
    used = rows[np.isfinite(table.position[rows])]
    if len(used) < LEAST or table.group is None:
        return None
    found = within_groups(table.position[used], table.reward[used], table.group[used], cluster=clusters_of(table, used))
    return found if found.rho == found.rho else None


def _forms(
    table: ScoreTable, length: Array | None, rows: Rows, *, within: bool
) -> tuple[tuple[Shortcut, ...] | None, tuple[Shortcut, ...] | None]:
    """The couplings with features and with words, each with the rest held fixed."""
    if table.responses is None or length is None or len(rows) < LEAST:
        return None, None
    texts = table.responses.some(rows)
    known = np.array([text is not None for text in texts], dtype=bool) & np.isfinite(length[rows])
    if int(known.sum()) < LEAST:
        return None, None
    used, kept = rows[known], [text for text, there in zip(texts, known, strict=True) if there and text is not None]
    group = table.group[used] if within and table.group is not None else np.zeros(len(used), dtype=np.int64)
    cluster = clusters_of(table, used) if within else np.arange(len(used))
    ranks = _Given(group, cluster, within=within)
    reward = ranks.of(table.reward[used])
    size = np.column_stack([ranks.of(length[used]), ranks.centred(length[used]), ranks.centred(np.log1p(length[used]))])
    columns = feature_columns(kept)
    features = {name: ranks.of(column) for name, column in columns.items()}
    shortcuts = _each(ranks, reward, features, size)
    if not shortcuts:
        return None, None  # the reward does not vary, or none of the features does
    if len(used) < LEAST_WORDS:
        return shortcuts, None
    words, present = word_columns(kept)
    return shortcuts, _words(ranks, reward, words, present, size)


class _Given:
    """Ranks within groups; without groups, over all, every answer a cluster of its own."""

    def __init__(self, group: Codes, cluster: Codes | None, *, within: bool) -> None:
        self.within = within
        self._ranks = GroupRanks(group, cluster if within else None)

    def of(self, values: Array) -> Array:
        return self._ranks.of(values)

    def centred(self, values: Array) -> Array:
        return self._ranks.centred(values)

    def of_presence(self, present: NDArray[np.bool_]) -> Array:
        return self._ranks.of_presence(present)

    def coupling(self, x: Array, y: Array) -> Coupling:
        if self.within:
            return self._ranks.coupling(x, y)
        return overall(x, y)


def _each(ranks: _Given, reward: Array, features: dict[str, Array], size: Array) -> tuple[Shortcut, ...]:
    found: list[tuple[str, Coupling, tuple[str, ...]]] = []
    for name, column in features.items():
        others = tuple(other for other in features if other != name)
        fixed = np.column_stack([size, *(features[other] for other in others)])
        coupling = ranks.coupling(residuals(column, fixed), residuals(reward, fixed))
        if coupling.rho == coupling.rho:
            found.append((name, coupling, ("length", *others)))
    return _adjusted(found)


def _words(
    ranks: _Given, reward: Array, words: Sequence[str], present: NDArray[np.bool_], size: Array
) -> tuple[Shortcut, ...]:
    if not words:
        return ()
    target = residuals(reward, size)
    columns = residuals(ranks.of_presence(present), size)
    found = []
    for place, word in enumerate(words):
        coupling = ranks.coupling(columns[:, place], target)
        if coupling.rho == coupling.rho:
            found.append((word, coupling, ("length",)))
    return _adjusted(found)


def _adjusted(found: Sequence[tuple[str, Coupling, tuple[str, ...]]]) -> tuple[Shortcut, ...]:
    """The shortcuts with p-values that allow for their number, the strongest first."""
    p = false_discovery([coupling.p for _, coupling, _ in found])
    made = [Shortcut(feature=n, coupling=c, p=q, given=g) for (n, c, g), q in zip(found, p, strict=True)]
    return tuple(sorted(made, key=lambda one: -abs(one.coupling.rho)))
