"""A graph without circles as one picture: boxes in rows by their distance from the sources, arrows downwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from rldk.cards.drawing import Drawing, Measure, Rect, Stroke, Words
from rldk.cards.picture import INK, MARGIN, PAPER, RULE, SHEET, SOFT, TONES, Picture
from rldk.cards.safe import clean

WIDE, HIGH = 190.0, 44.0
BESIDE, BELOW = 22.0, 46.0
MOST = 120  # boxes; a chain of them is 10,000 points high
BREADTH = 6  # boxes beside each other; more of the same distance go into further rows
TITLE, BODY, SMALL = 13.0, 9.5, 7.5
TIP = 5.0


class Node(Struct, frozen=True, kw_only=True):
    """A box. `strong`: something that is done, among things. `note`: a second line, in small letters."""

    key: str
    title: str
    note: str = ""
    strong: bool = False


class Edge(Struct, frozen=True, kw_only=True):
    """An arrow from the box with the key `start` to the one with the key `end`."""

    start: str
    end: str


class Graph(Struct, frozen=True, kw_only=True):
    """Boxes and arrows. An arrow that would close a circle is not drawn."""

    title: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]


def graph_picture(graph: Graph, measure: Measure) -> Picture:
    """The graph as a picture, which `canvas.draw` writes as SVG or PNG. Only the first `MOST` boxes are drawn."""
    nodes = {node.key: node for node in graph.nodes[:MOST]}
    edges = [edge for edge in graph.edges if edge.start in nodes and edge.end in nodes]
    rows = _rows(nodes, edges)
    widest = max((len(row) for row in rows), default=1)
    width = 2 * MARGIN + max(360.0, widest * (WIDE + BESIDE) - BESIDE)
    drawing = Drawing(measure=measure, left=MARGIN, width=width - 2 * MARGIN, y=MARGIN)
    drawing.lines(drawing.wrapped(graph.title, drawing.width, size=TITLE, face="bold"), MARGIN, size=TITLE, colour=INK,
                  code=INK, most=2)  # fmt: skip
    drawing.y += 14
    places: dict[str, tuple[float, float]] = {}
    for row in rows:
        start = (width - len(row) * (WIDE + BESIDE) + BESIDE) / 2
        for number, key in enumerate(row):
            places[key] = (start + number * (WIDE + BESIDE), drawing.y)
        drawing.y += HIGH + BELOW
    drawing.y -= BELOW
    for edge in edges:
        _arrow(drawing, places[edge.start], places[edge.end])
    for key, node in nodes.items():
        _box(drawing, node, places[key])
    left = len(graph.nodes) - len(nodes)
    if left:
        drawing.lines(
            drawing.wrapped(f"{left} more not drawn", drawing.width, size=BODY),
            MARGIN,
            size=BODY,
            colour=SOFT,
            code=SOFT,
        )
    return Picture(drawing=drawing, width=width, height=drawing.y + MARGIN, title=clean(graph.title, 200))


def _rows(nodes: Mapping[str, Node], edges: list[Edge]) -> list[list[str]]:
    """The keys by their longest way from a source; within a row in the order of what they hang from. Arrows that close
    a circle are taken out of `edges`."""
    depth: dict[str, int] = dict.fromkeys(nodes, 0)
    above: dict[str, list[str]] = {key: [] for key in nodes}
    kept: list[Edge] = []
    for edge in edges:
        if edge.start != edge.end and not _reaches(above, edge.start, edge.end):
            above[edge.end].append(edge.start)
            kept.append(edge)
    edges[:] = kept
    for _ in range(len(nodes)):
        deeper = {e.end: depth[e.start] + 1 for e in kept if depth[e.end] <= depth[e.start]}
        if not deeper:
            break
        depth |= deeper
    rows: list[list[str]] = []
    column: dict[str, float] = {}
    for level in range(max(depth.values(), default=-1) + 1):
        members = [key for key in nodes if depth[key] == level]
        members.sort(key=lambda key: _mean([column[one] for one in above[key] if one in column]))
        rows += [members[i : i + BREADTH] for i in range(0, len(members), BREADTH)]
        column |= {key: float(number) for number, key in enumerate(members)}
    return rows


def _reaches(above: Mapping[str, Sequence[str]], start: str, end: str) -> bool:
    """Whether `end` is among what `start` hangs from."""
    waiting, seen = [start], {start}
    while waiting:
        here = waiting.pop()
        if here == end:
            return True
        new = [key for key in above[here] if key not in seen]
        seen.update(new)
        waiting += new
    return False


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _arrow(drawing: Drawing, start: tuple[float, float], end: tuple[float, float]) -> None:
    x, y = start[0] + WIDE / 2, start[1] + HIGH
    to, below = end[0] + WIDE / 2, end[1]
    middle = (y + below) / 2
    drawing.shapes += [
        Stroke(points=((x, y), (x, middle), (to, middle), (to, below)), colour=SOFT),
        Stroke(points=((to - TIP, below - TIP), (to, below), (to + TIP, below - TIP)), colour=SOFT),
    ]


def _box(drawing: Drawing, node: Node, place: tuple[float, float]) -> None:
    x, y = place
    tone = TONES["info"] if node.strong else RULE
    drawing.shapes += [
        Rect(x=x, y=y, width=WIDE, height=HIGH, fill=SHEET if node.strong else PAPER, edge=tone),
        Words(x=x + WIDE / 2, y=y + 18, text=_fitting(drawing, node.title, BODY), size=BODY, colour=INK,
              face="bold" if node.strong else "plain", align="center"),
        Words(x=x + WIDE / 2, y=y + 33, text=_fitting(drawing, node.note, SMALL), size=SMALL, colour=SOFT,
              align="center"),
    ]  # fmt: skip


def _fitting(drawing: Drawing, text: str, size: float) -> str:
    shown = clean(text, 200)
    while drawing.measure(shown, "bold", size) > WIDE - 12 and len(shown) > 4:
        shown = shown[:-5].rstrip() + "..."
    return shown
