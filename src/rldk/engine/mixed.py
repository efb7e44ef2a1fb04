"""Shows the engine rows of several kinds that are there together.

The rows of each phase are looked at in stretches, and the phases take turns as the log has them. So whoever follows the
rows sees, after each of them, the episodes as they are then."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rldk.core.table import Row
from rldk.engine.blocks import blocks
from rldk.engine.column_frame import ColumnFrame
from rldk.engine.course import by_phase, follow
from rldk.engine.evaluate import Begun
from rldk.engine.live import Engine
from rldk.engine.stretches import Chunk, chunk_of

MOST_ROWS, MOST_CELLS = 1 << 14, 1 << 20  # of a part, so that memory does not grow with what is there together
LEAST_ROWS = 24  # of a stretch, on average: fewer cost less one by one


def feed_together(engine: Engine, rows: Sequence[Row]) -> Iterator[tuple[Row, Begun]]:
    """Takes the rows and yields each with the episodes that begin on it, as `Engine.feed_all` does."""
    for part, together in _parts(rows):
        if together is None:
            yield from engine.feed_all(part)
        else:
            yield from _in_turns(engine, part, together)


def follow_rows(engine: Engine, rows: Iterable[Row]) -> None:
    """Shows the rows of a finished run, where nobody waits for what begins."""
    for part, together in _parts(rows):
        if together is None:
            engine.feed_blocks(blocks(part))
        else:
            follow(engine, (together,))


def _in_turns(engine: Engine, rows: Sequence[Row], together: Chunk) -> Iterator[tuple[Row, Begun]]:
    first = engine.first_step
    engine.first_step = rows[0].step if first is None else first
    with engine.in_columns(ColumnFrame):
        phases = by_phase(engine, together, told=True)
        for row in rows:
            begun = next(phases[row.phase])
            engine.last_step = row.step
            yield row, begun
        for rest in phases.values():
            next(rest, None)  # ends the last stretch


def _parts(rows: Iterable[Row]) -> Iterator[tuple[list[Row], Chunk | None]]:
    """The rows in parts. A part is also given as a whole to look at in stretches, where they are long: a stretch ends
    at a restart, and before a row with a new metric."""
    part: list[Row] = []
    names: set[str] = set()
    stretches = 0
    for row in rows:
        new = row.values.keys() - names
        if part and (len(part) == MOST_ROWS or len(part) * (len(names) + len(new)) >= MOST_CELLS):
            yield part, _together(part, stretches)
            part, names, stretches, new = [], set(), 0, {*row.values}
        stretches += not part or bool(new) or row.segment != part[-1].segment
        names |= new
        part.append(row)
    yield part, _together(part, stretches)


def _together(rows: Sequence[Row], stretches: int) -> Chunk | None:
    return chunk_of(rows) if len(rows) >= LEAST_ROWS * max(1, stretches) else None
