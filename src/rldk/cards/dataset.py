"""Fingerprints of datasets, and what differs between two of them, as views."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rldk.cards.words import plural
from rldk.core.text import first_few
from rldk.core.view import Bullets, Facts, Part, Section, Table, View
from rldk.provenance.fingerprints.dataset import DatasetFingerprint
from rldk.provenance.fingerprints.difference import DatasetDifference, RowRange, spans

MOST = 20  # lines of a list, without --all
MOST_COLUMNS = 30


def fingerprint_view(found: Sequence[tuple[str, DatasetFingerprint]]) -> View:
    """One section for each dataset."""
    sections = [Section(title=name, parts=(Facts(pairs=tuple(_facts(one))),)) for name, one in found]
    return View(kind="dataset", title="fingerprint", tone="info", badge="DATASET", banner="", sections=tuple(sections))


def difference_view(found: DatasetDifference, names: tuple[str, str]) -> View:
    """What became of the rows. Rows are counted from 0."""
    return View(
        kind="dataset-difference",
        title=f"{names[0]} and {names[1]}",
        tone="ok" if found.same else "warn",
        badge="THE SAME" if found.same else "DIFFERENT",
        banner=sentence(found),
        sections=tuple(Section(title=title, parts=(part,)) for title, part in _parts(found)),
    )


def sentence(found: DatasetDifference) -> str:
    """The difference in one sentence."""
    before, after = found.rows
    unit = "file" if found.kind == "files" else "row"
    files = (len(found.columns_added), len(found.columns_removed)) if found.kind == "files" else (0, 0)
    if found.same:
        return f"Both have the same {plural(after, unit)} in the same order."
    counts = [(len(found.changed) + len(found.files_changed), "changed")]
    counts += [(len(found.added) + files[0], "added"), (len(found.removed) + files[1], "removed")]
    said = [f"{count:,} {word}" for count, word in (*counts, (len(found.moved), "moved")) if count]
    if found.regions:
        said = [f"rows differ within {plural(len(found.regions), 'range')}"]
    elif not said:
        said = ["the bytes differ" if found.kind == "files" else "the columns differ, or their types"]
    return f"{', '.join(said)}; {plural(before, unit)} before, {after:,} after.".capitalize()


def _facts(one: DatasetFingerprint) -> Iterator[tuple[str, str]]:
    yield "digest", f"{one.algorithm}:{one.digest}"
    yield "kind", one.kind
    yield ("files" if one.kind == "files" else "rows"), f"{one.rows:,}"
    if one.columns:
        yield "names", first_few(one.columns, MOST_COLUMNS)
    if one.unordered:
        yield "in any order", f"{one.algorithm}:{one.unordered}"
    if one.sampled is not None:
        yield "SAMPLED", f"only the first {plural(one.sampled, 'row')}: this is not the digest of the whole"


def _parts(found: DatasetDifference) -> Iterator[tuple[str, Part]]:
    names = [f"{name} was added" for name in found.columns_added]
    names += [f"{name} was removed" for name in found.columns_removed]
    names += [f"{name} was changed" for name in found.files_changed]
    if names:
        yield "Files" if found.kind == "files" else "Columns", _list(names)
    for title, pairs in (("Changed", found.changed), ("Moved", found.moved)):
        if pairs:
            rows = tuple((f"{before:,}", f"{after:,}") for before, after in pairs)
            yield title, Table(heads=("row before", "row after"), rows=rows, most=MOST)
    for title, ranges in (("Added", spans(found.added)), ("Removed", spans(found.removed)), ("Within", found.regions)):
        if ranges:
            yield title, _list(map(_range, ranges))


def _list(items: Iterable[str]) -> Bullets:
    return Bullets(items=tuple(items), plain=True, most=MOST)


def _range(rows: RowRange) -> str:
    return f"row {rows.first:,}" if rows.first == rows.last else f"rows {rows.first:,} to {rows.last:,}"
