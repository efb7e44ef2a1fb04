"""A lineage as a view: each transformation below what it stands on, and the data between them as a graph."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from rldk.cards.graph import Edge, Graph, Node
from rldk.cards.words import plural
from rldk.core.view import Bullets, Facts, Section, View
from rldk.tracking.lineage.chain import LineageItem, LineageRecord

MOST = 40  # lines of the tree, without --all
DIGITS = 12
MAX_PARAMS = 120


def lineage_view(records: Sequence[LineageRecord], source: str) -> View:
    """The records as a tree of text, and what they made that nothing read."""
    items = {item.digest: item for record in records for item in (*record.inputs, *record.outputs)}
    made = {item.digest for record in records for item in record.outputs}
    read = {item.digest for record in records for item in record.inputs}
    ends = tuple((_label(items[digest]), digest) for digest in items if digest in made - read)
    starts = tuple((_label(items[digest]), digest) for digest in items if digest in read - made)
    sections = [Section(title="Graph", parts=(Bullets(items=tuple(_lines(records)), plain=True, most=MOST),))]
    sections += [
        Section(title=title, parts=(Facts(pairs=pairs),))
        for title, pairs in (("Came from outside", starts), ("Made, and read by no other", ends))
        if pairs
    ]
    return View(
        kind="lineage",
        title=source,
        tone="info",
        badge="LINEAGE",
        banner=f"{plural(len(records), 'transformation')} of {plural(len(items), 'thing')}.",
        source=source,
        sections=tuple(sections),
    )


def lineage_graph(records: Sequence[LineageRecord], title: str) -> Graph:
    """The things and the transformations as nodes, for a drawing."""
    nodes: dict[str, Node] = {}
    edges: list[Edge] = []
    for record in records:
        for item in (*record.inputs, *record.outputs):
            nodes.setdefault(item.digest, Node(key=item.digest, title=_label(item), note=_short(item.digest)))
        nodes[record.id] = Node(key=record.id, title=record.op, note=_params(record), strong=True)
        edges += [Edge(start=item.digest, end=record.id) for item in record.inputs]
        edges += [Edge(start=record.id, end=item.digest) for item in record.outputs if not _is_circle(record, item)]
    return Graph(title=title, nodes=tuple(nodes.values()), edges=tuple(dict.fromkeys(edges)))


def _is_circle(record: LineageRecord, item: LineageItem) -> bool:
    """Whether the transformation left the item as it was."""
    return any(item.digest == one.digest for one in record.inputs)


def _lines(records: Sequence[LineageRecord]) -> Iterator[str]:
    depth: dict[str, int] = {}
    for record in records:
        depth[record.id] = 1 + max((depth.get(parent, 0) for parent in record.parents), default=-1)
    for number, record in enumerate(records, 1):
        lead = "\N{BOX DRAWINGS LIGHT UP AND RIGHT}\N{BOX DRAWINGS LIGHT HORIZONTAL} "
        indent = "\N{BOX DRAWINGS LIGHT VERTICAL}  " * max(0, min(depth[record.id], 12) - 1)
        place = indent + (lead if depth[record.id] else "")
        inputs, outputs = (", ".join(f"{_label(i)} {_short(i.digest)}" for i in side) or "nothing" for side in (
            record.inputs, record.outputs))  # fmt: skip
        params = f" ({_params(record)})" if record.params else ""
        yield f"{place}{number}. {record.op}{params}: {inputs} \N{RIGHTWARDS ARROW} {outputs}"


def _label(item: LineageItem) -> str:
    rows = f", {plural(item.rows, 'file' if item.kind == 'files' else 'row')}" if item.rows is not None else ""
    return f"{item.name}{rows}"


def _short(digest: str) -> str:
    return digest.rpartition(":")[2][:DIGITS]


def _params(record: LineageRecord) -> str:
    said = ", ".join(f"{name}={json.dumps(value)}" for name, value in record.params.items())
    return said if len(said) <= MAX_PARAMS else f"{said[: MAX_PARAMS - 3]}..."
