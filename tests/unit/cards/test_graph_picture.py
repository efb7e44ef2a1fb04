"""The picture of a graph: boxes beside and below each other, arrows downwards, whatever the graph is."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st
from layout import laid_out

from rldk.cards.drawing import Rect, Stroke, Words
from rldk.cards.graph import HIGH, MOST, WIDE, Edge, Graph, Node, graph_picture


def measure(text: str, face: str, size: float) -> float:
    return 0.6 * size * len(text)


def pictured(edges: list[tuple[int, int]], count: int) -> tuple[list[Rect], list[Stroke], float, float]:
    nodes = tuple(Node(key=str(i), title=f"node {i}", strong=bool(i % 2)) for i in range(count))
    graph = Graph(title="g", nodes=nodes, edges=tuple(Edge(start=str(a), end=str(b)) for a, b in edges))
    found = graph_picture(graph, measure)
    shapes = found.drawing.shapes
    return (
        [shape for shape in shapes if isinstance(shape, Rect)],
        [shape for shape in shapes if isinstance(shape, Stroke)],
        found.width,
        found.height,
    )


@given(st.integers(1, 12).flatmap(lambda n: st.tuples(
    st.just(n), st.lists(st.tuples(st.integers(0, n), st.integers(0, n)), max_size=20))))  # fmt: skip
def test_boxes_never_overlap_and_arrows_point_down(given: tuple[int, list[tuple[int, int]]]) -> None:
    """Also with circles, loops, and arrows to boxes that are not there."""
    count, edges = given
    boxes, strokes, width, height = pictured(edges, count)
    assert len(boxes) == count
    assert all(box.x >= 0 and box.x + box.width <= width and box.y + box.height <= height for box in boxes)
    assert not [
        (one, other) for one, other in combinations(boxes, 2)
        if abs(one.x - other.x) < WIDE and abs(one.y - other.y) < HIGH
    ]  # fmt: skip
    assert all(stroke.points[0][1] <= stroke.points[-1][1] for stroke in strokes)


def test_a_chain_is_drawn_in_its_order_and_a_circle_is_opened() -> None:
    boxes, strokes, _, _ = pictured([(0, 1), (1, 2), (2, 0)], 3)
    assert [box.y for box in boxes] == sorted(box.y for box in boxes)
    assert len(strokes) == 2 * 2  # a line and a tip for each of the two arrows


def test_a_long_title_is_cut_and_a_huge_graph_says_what_is_left_out() -> None:
    nodes = tuple(Node(key=str(i), title="w" * 300) for i in range(MOST + 5))
    found = graph_picture(Graph(title="g", nodes=nodes, edges=()), measure)
    assert max(found.width, found.height) < 10_000  # a picture of more than 65,535 pixels cannot be drawn
    said = [shape.text for shape in found.drawing.shapes if isinstance(shape, Words)]
    assert all(measure(text, "bold", 9.5) <= WIDE for text in said if text.startswith("www"))
    assert any("5 more not drawn" in text for text in said)


def test_a_title_is_cut_until_it_fits_and_has_four_letters_at_least() -> None:
    for letter, shown in [(1.0, "abcdefgh"), (1000.0, "a...")]:
        graph = Graph(title="g", nodes=(Node(key="0", title="abcdefgh"),), edges=())
        shapes = graph_picture(graph, lambda text, *_, each=letter: each * len(text)).drawing.shapes
        assert shown in {shape.text for shape in shapes if isinstance(shape, Words)}, letter


def test_golden_graph(golden: Callable[[str, str], None]) -> None:
    """A chain with a side branch, a box of two lines, one with too many words, and seven beside each other."""
    nodes = (
        Node(key="raw", title="prompts.jsonl", note="12,000 rows"),
        Node(key="clean", title="drop duplicates", note="rows, seed 3", strong=True),
        Node(key="long", title="a title that no box of this width can hold " * 2, note="a note " * 30),
        *(Node(key=f"shard{i}", title=f"shard {i}") for i in range(7)),
    )
    edges = (Edge(start="raw", end="clean"), Edge(start="clean", end="long"),
             *(Edge(start="clean", end=f"shard{i}") for i in range(7)))  # fmt: skip
    picture = graph_picture(Graph(title="Lineage of a run", nodes=nodes, edges=edges), measure)
    golden("graph.txt", laid_out([picture.width, picture.height, picture.title, list(picture.drawing.shapes)]))
