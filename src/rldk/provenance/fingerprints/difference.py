"""Which rows of a dataset were added, removed, changed or moved."""

from __future__ import annotations

from collections import Counter
from difflib import SequenceMatcher
from itertools import pairwise
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from rldk.errors import UsageError
from rldk.provenance.fingerprints.dataset import DatasetFingerprint, fingerprint
from rldk.provenance.fingerprints.digest import ROW_BYTES
from rldk.provenance.fingerprints.tree import differing, split_rows

MOST = 50_000  # rows between the first and the last difference that are matched one by one
REPEATS = 50  # more rows of one content than this make matching quadratic


class RowRange(Struct, frozen=True, kw_only=True):
    """Rows from `first` to `last`, both counted from 0 and both among them."""

    first: int
    last: int


class DatasetDifference(Struct, frozen=True, kw_only=True):
    """How a dataset differs from an earlier one. Rows of the earlier one are in `removed` and on the left of `changed`
    and `moved`; rows of the later one in `added` and on the right.

    `changed`: rows that stand in the same place among their neighbours with another content. `moved`: rows with the
    same content in another order. `regions`: what is known where there are no digests of rows: ranges within which some
    row differs. `exact`: whether rows are named; else `regions` stands for all of it. Of directories, files that came
    and went are in `columns_added` and `columns_removed`, and those of another content in `files_changed`."""

    same: bool
    exact: bool
    kind: str
    rows: tuple[int, int]
    columns_added: tuple[str, ...] = ()
    columns_removed: tuple[str, ...] = ()
    files_changed: tuple[str, ...] = ()
    added: tuple[int, ...] = ()
    removed: tuple[int, ...] = ()
    changed: tuple[tuple[int, int], ...] = ()
    moved: tuple[tuple[int, int], ...] = ()
    regions: tuple[RowRange, ...] = ()


def difference(before: DatasetFingerprint, after: DatasetFingerprint) -> DatasetDifference:
    """Compares two fingerprints. Rows are named when both keep the digests of their rows; otherwise the leaves that
    differ are.

    Raises `UsageError` when they cannot be compared: other kinds of data, hashes or encodings, or samples."""
    _comparable(before, after)
    common: dict[str, Any] = {
        "same": before.digest == after.digest,
        "kind": after.kind,
        "rows": (before.rows, after.rows),
        "columns_removed": tuple(c for c in before.columns if c not in after.columns),
        "columns_added": tuple(c for c in after.columns if c not in before.columns),
    }
    if common["same"]:
        return DatasetDifference(exact=True, **common)
    if before.kind == "files":
        contents = [dict(zip(one.columns, one.leaves, strict=False)) for one in (before, after)]
        both = [name for name in before.columns if name in contents[1]]
        changed = tuple(name for name in both if contents[0][name] != contents[1][name])
        return DatasetDifference(exact=True, files_changed=changed, **common)
    if before.row_digests is None or after.row_digests is None:
        return DatasetDifference(exact=False, regions=_regions(before, after), **common)
    named: dict[str, Any] = _rows(before.row_digests, after.row_digests)
    return DatasetDifference(exact=True, **named, **common)


def _comparable(before: DatasetFingerprint, after: DatasetFingerprint) -> None:
    for what in ("kind", "algorithm", "encoding", "leaf_rows"):
        one, other = getattr(before, what), getattr(after, what)
        if one != other:
            raise UsageError(
                f"these fingerprints cannot be compared: {what.replace('_', ' ')} {one} and {other}",
                hint="take both from the same kind of data in the same way",
            )
    if before.sampled is not None or after.sampled is not None:
        raise UsageError("a sample says nothing of the rows that it left out", hint="take both without max_rows")


def _regions(before: DatasetFingerprint, after: DatasetFingerprint) -> tuple[RowRange, ...]:
    """The ranges of rows of the leaves that differ, neighbours joined."""
    ranges: list[list[int]] = []
    last = max(before.rows, after.rows) - 1
    for leaf in differing(before.leaves, after.leaves):
        first, end = leaf * after.leaf_rows, min((leaf + 1) * after.leaf_rows - 1, last)
        if ranges and ranges[-1][1] == first - 1:
            ranges[-1][1] = end
        else:
            ranges.append([first, end])
    return tuple(RowRange(first=first, last=end) for first, end in ranges)


def _rows(before: bytes, after: bytes) -> dict[str, Any]:
    """The rows that differ. The equal rows at both ends are passed over first; what is between them is matched as a
    whole while it is short enough, else by its contents alone."""
    start, end = _equal_ends(before, after)
    left, right = (split_rows(one[start * ROW_BYTES : len(one) - end * ROW_BYTES]) for one in (before, after))
    if len(left) == len(right):
        gone, come, changed = _in_place(left, right)
    elif max(len(left), len(right)) <= MOST and max(Counter(right).values(), default=0) <= REPEATS:
        gone, come, changed = _matched(left, right)
    else:
        gone, come, changed = [*range(len(left))], [*range(len(right))], []
    moved, gone, come = _moves(left, right, gone, come)
    return {
        "removed": tuple(start + i for i in gone),
        "added": tuple(start + i for i in come),
        "changed": tuple((start + i, start + k) for i, k in changed),
        "moved": tuple((start + i, start + k) for i, k in moved),
    }


def _equal_ends(before: bytes, after: bytes) -> tuple[int, int]:
    """How many rows are equal at the beginning, and how many of the others at the end."""
    one, other = (np.frombuffer(digests, np.uint64).reshape(-1, ROW_BYTES // 8) for digests in (before, after))
    shorter = min(len(one), len(other))
    start = _equal_rows(one[:shorter], other[:shorter])
    rest = shorter - start
    return start, _equal_rows(one[len(one) - rest :][::-1], other[len(other) - rest :][::-1])


def _equal_rows(one: NDArray[np.uint64], other: NDArray[np.uint64]) -> int:
    """How many rows are equal before the first that is not."""
    differ = (one != other).any(axis=1)
    return int(differ.argmax()) if differ.any() else len(one)


def _in_place(left: list[bytes], right: list[bytes]) -> tuple[list[int], list[int], list[tuple[int, int]]]:
    """For as many rows on both sides: those that are elsewhere on the other side have gone and come, others changed."""
    there, here = Counter(right), Counter(left)
    places = [i for i, (a, b) in enumerate(zip(left, right, strict=True)) if a != b]
    gone = [i for i in places if there[left[i]]]
    come = [i for i in places if here[right[i]]]
    lone = [i for i in places if not there[left[i]] and not here[right[i]]]
    gone += [i for i in places if not there[left[i]] and here[right[i]]]
    come += [i for i in places if there[left[i]] and not here[right[i]]]
    return sorted(gone), sorted(come), [(i, i) for i in lone]


def _matched(left: list[bytes], right: list[bytes]) -> tuple[list[int], list[int], list[tuple[int, int]]]:
    gone: list[int] = []
    come: list[int] = []
    changed: list[tuple[int, int]] = []
    for tag, a, b, c, d in SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        if tag == "replace" and b - a == d - c:
            changed += zip(range(a, b), range(c, d), strict=True)
        elif tag != "equal":
            gone += range(a, b)
            come += range(c, d)
    return gone, come, changed


def _moves(
    left: list[bytes], right: list[bytes], gone: list[int], come: list[int]
) -> tuple[list[tuple[int, int]], list[int], list[int]]:
    """Pairs the rows that went with those of the same content that came. Returns the pairs and what is left."""
    places: dict[bytes, list[int]] = {}
    for k in reversed(come):
        places.setdefault(right[k], []).append(k)
    moved, lost = [], []
    for i in gone:
        same = places.get(left[i])
        if same:
            moved.append((i, same.pop()))
        else:
            lost.append(i)
    return moved, lost, sorted(k for rest in places.values() for k in rest)


def spans(numbers: tuple[int, ...]) -> tuple[RowRange, ...]:
    """Rising numbers as ranges."""
    if not numbers:
        return ()
    breaks = [i for i, (a, b) in enumerate(pairwise(numbers), 1) if b != a + 1]
    edges = [0, *breaks, len(numbers)]
    return tuple(RowRange(first=numbers[a], last=numbers[b - 1]) for a, b in pairwise(edges))


def diff_datasets(before: Any, after: Any, *, algorithm: str = "sha256") -> DatasetDifference:
    """Compares two datasets, of any kind that `fingerprint` takes, and names the rows that differ.

    Both are read once; where they differ, a second time for the digests of the rows, and for tables and arrays of as
    many rows only in the leaves that differ."""
    first, second = fingerprint(before, algorithm=algorithm), fingerprint(after, algorithm=algorithm)
    found = difference(first, second)
    if found.same or first.kind == "files":
        return found
    leaves: Any = True
    if first.rows == second.rows and first.kind in ("table", "array") and first.columns == second.columns:
        leaves = frozenset(differing(first.leaves, second.leaves))
    return difference(*(fingerprint(one, algorithm=algorithm, row_digests=leaves) for one in (before, after)))
