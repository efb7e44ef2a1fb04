"""Two files of scores, joined by what names their rows in both. Their texts are not held."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from rldk.errors import NoData
from rldk.reward.scorers.digests import Digests, Places, first_places, missing, places
from rldk.reward.scorers.files import KEYS, ScoreFile, ambiguous, doubts_of, has_keys, raw_scores, score_file

Array = NDArray[np.float64]


class JoinedFiles(Struct, frozen=True, kw_only=True):
    """Two score files with the same kind of key. `mine`, `other`: where each shared key stands in the first and in the
    second file, in the order of the first. `unlike`: shared keys under which the files hold different answers; 0 where
    these are fewer than half. `notes`: which key was not used, and why."""

    first: ScoreFile
    second: ScoreFile
    mine: Places
    other: Places
    unlike: int
    notes: tuple[str, ...] = ()

    @property
    def scores(self) -> tuple[Array, Array]:
        """The scores of both for the shared keys."""
        return self.first.scores[self.mine], self.second.scores[self.other]

    @property
    def doubts(self) -> tuple[str, ...]:
        """Why rows with one key may be different answers."""
        if not self.unlike:
            return ()
        names = f"{self.first.name} and {self.second.name}"
        return (f"under {self.unlike:,} of {len(self.mine):,} shared ids {names} hold different answers",)

    @property
    def wrong(self) -> int:
        """How many rows say that the key does not fit."""
        return ambiguous(self.first) + ambiguous(self.second) + self.unlike


def joined_files(first: Any, second: Any) -> JoinedFiles:
    """Two files of scores keyed alike: by ids, else by texts, else by the answers alone.

    A key does not fit where the files have no row in common, where more than 5 % of the rows of a file repeat it with
    another score, or where the files hold different answers under most of the keys that both have. The first key that
    fits is taken; where none fits, the one with the fewest such rows.
    Raises `NoData` where the files have no row in common."""
    raws = raw_scores(first), raw_scores(second)
    tries: list[JoinedFiles] = []
    for by in KEYS:
        one, two = (score_file(raw, by) for raw in raws)
        found = None if one is None or two is None else _joined(one, two)
        if found is not None:
            tries.append(found)
            if not found.wrong:
                break
    if not tries:
        keys = [" and ".join(by for by in KEYS[:2] if has_keys(raw, by)) or "neither" for raw in raws]
        hint = f"rows are joined by ids or texts; the first file has {keys[0]}, the second {keys[1]}"
        raise NoData("the two files have no row in common", hint=hint)
    best, usual = min(tries, key=lambda each: each.wrong), tries[0]
    if best is usual:
        return best
    told = "; ".join((*doubts_of(usual.first), *doubts_of(usual.second), *usual.doubts))
    return replace(best, notes=(f"{told}: rows are joined by their {best.first.by} instead",))


def _joined(one: ScoreFile, two: ScoreFile) -> JoinedFiles | None:
    """The files by the keys that they share; None where they share none."""
    at = places(one.keys, two.keys)
    mine = np.flatnonzero(at >= 0)
    if not len(mine):
        return None
    other = at[mine]
    unlike = _unlike(one.digests_of("response"), two.digests_of("response"), mine, other)
    return JoinedFiles(first=one, second=two, mine=mine, other=other, unlike=unlike if 2 * unlike > len(mine) else 0)


def _unlike(one: Digests | None, two: Digests | None, mine: Places, other: Places) -> int:
    """How many shared keys have answers in both files, and different ones."""
    if one is None or two is None:
        return 0
    a, b = one[mine], two[other]
    return int(((a != b).any(axis=1) & ~missing(a) & ~missing(b)).sum())


class JoinedItems:
    """The items that both files score, in the order of the first file. `prompt`: codes of the prompts, shape (items,).
    Their texts are read when they are asked for."""

    pairs = None

    def __init__(self, joined: JoinedFiles) -> None:
        self._joined = joined
        self.prompt = _prompts(joined)

    def __len__(self) -> int:
        return len(self._joined.mine)

    def shown(self, items: Sequence[int]) -> list[tuple[str, str, str]]:
        """Key, prompt and answer of each of the items."""
        some = np.array(items, dtype=np.int64)
        keys = [key.tobytes().hex() for key in self._joined.first.keys[self._joined.mine[some]]]
        if self._joined.first.by == "ids":
            keys = self._texts("id", some)
        return list(zip(keys, self._texts("prompt", some), self._texts("response", some), strict=True))

    def _texts(self, field: str, items: Places) -> list[str]:
        """The texts of a column, from the first file that has one; "" where both have none."""
        made = [""] * len(items)
        for file, own in _sides(self._joined):
            column = file.column(field)
            lacking = [place for place, text in enumerate(made) if not text]
            if column is not None and lacking:
                rows = file.rows[own[items[lacking]]]
                order = np.argsort(rows, kind="stable")
                for place, text in zip(order.tolist(), column.some(rows[order]), strict=True):
                    made[lacking[place]] = text or ""
        return made


def _sides(joined: JoinedFiles) -> Iterator[tuple[ScoreFile, Places]]:
    yield joined.first, joined.mine
    yield joined.second, joined.other


def _prompts(joined: JoinedFiles) -> Places:
    """Codes of the prompts: by their ids in the first file, else in the second, else by their texts. An item whose
    prompt is not known is one of its own."""
    count = len(joined.mine)
    known = np.zeros((count, 2), dtype=np.uint64)
    for field in ("prompt_id", "prompt"):
        for file, own in _sides(joined):
            lacking = missing(known)
            found = file.digests_of(field) if lacking.any() else None
            if found is not None:
                known[lacking] = found[own[lacking]]
    made = np.arange(count)
    first = first_places(known)
    made[first >= 0] = count + np.unique(first[first >= 0], return_inverse=True)[1]
    return made
