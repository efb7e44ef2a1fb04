"""Scans many runs with the same metrics at once. A rule is asked about the rows of all of them in one call.

This pays for short runs: most of what one costs is the same for 200 rows and for 6,000. The reports are those of
`scan`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rldk.core.model import Report, Run
from rldk.engine.binding import are_alike
from rldk.engine.blocks import PhaseBlock
from rldk.engine.column_frame import ColumnFrame
from rldk.engine.evaluate import SHORT, Loud, code_of
from rldk.engine.live import Engine
from rldk.engine.scan import context_of, report_of, rule_columns, scan
from rldk.engine.stack_frame import StackFrame
from rldk.engine.table_blocks import table_blocks
from rldk.rules.normal import normals
from rldk.rules.rule import Context, Rule

MOST_ROWS, MOST_RUNS = 1 << 14, 64  # in one stack
UNEVEN = 1.5  # times the rows of the shortest run: longer ones make a stack of their own


def scan_all(runs: Sequence[Run], rules: Sequence[Rule]) -> list[Report]:
    """The reports of whole runs, as `scan` gives them."""
    asked = (*rules, *normals)
    reports: dict[int, Report] = {}
    for members in _stacks(runs):
        for at, engine in zip([m.at for m in members], _follow(members, asked), strict=True):
            reports[at] = report_of(runs[at], engine, asked)
    return [reports[at] if at in reports else scan(run, rules) for at, run in enumerate(runs)]


class _Member:
    """A run that is one block of rows, and its place among the runs."""

    __slots__ = ("at", "block", "context", "rows")

    def __init__(self, at: int, block: PhaseBlock, context: Context) -> None:
        self.at = at
        self.block = block
        self.context = context
        self.rows = len(block.block.steps)

    def fits(self, other: _Member) -> bool:
        """Whether rules see the same metrics in both, and know the same of both."""
        return [*self.block.block.columns] == [*other.block.block.columns] and are_alike(self.context, other.context)


def _stacks(runs: Sequence[Run]) -> Iterator[list[_Member]]:
    """The runs that can be looked at together, at least two at a time."""
    members = [m for at, run in enumerate(runs) if (m := _member(at, run)) is not None]
    kinds: list[list[_Member]] = []
    for member in sorted(members, key=lambda m: m.rows):
        for kind in kinds:
            first = kind[0]
            small = len(kind) < MOST_RUNS and (len(kind) + 1) * member.rows <= MOST_ROWS
            if small and member.rows <= UNEVEN * first.rows and first.fits(member):
                kind.append(member)
                break
        else:
            kinds.append([member])
    return (kind for kind in kinds if len(kind) > 1)


def _member(at: int, run: Run) -> _Member | None:
    """None for a run that has samples, evaluations, gaps or times beside its metrics, or few rows or many."""
    if run.samples is not None or run.sample_reader is not None or not len(run.metrics):
        return None
    table = rule_columns(run)
    if (table.time == table.time).any() or "wall_time" in table.columns:
        return None
    found = []
    for block in table_blocks(table):
        found.append(block)
        if len(found) > 1:
            return None
    (block,) = found
    if block.phase != "train" or block.block.segment or not block.block.finite or len(block.block.steps) <= SHORT:
        return None
    return _Member(at, block, context_of(run.meta))


def _follow(members: Sequence[_Member], asked: Sequence[Rule]) -> list[Engine]:
    """The engines of the runs, after their rows."""
    engines = [Engine(asked, member.context, columns=ColumnFrame) for member in members]
    blocks = [member.block for member in members]
    turns = [engine.open_block(block) for engine, block in zip(engines, blocks, strict=True)]
    frame = StackFrame([e.memory("train") for e in engines], members[0].context, [block.block for block in blocks])
    loud: list[list[Loud]] = [[] for _ in members]
    for same in zip(*turns, strict=True):
        first = same[0][0]
        cases = frame.follow(first.body, first.metric)
        codes = frame.by_run(cases.codes(code_of(first.rule)))
        fires = codes.any(axis=1).tolist()
        for run, (turn, member) in enumerate(zip(same, members, strict=True)):
            bound = turn[0]
            bound.ready = bound.ready or bool(frame.ready[run])
            if not fires[run]:
                bound.looks += member.rows
                continue
            own = codes[run, : member.rows].tobytes()
            bound.looks += own.count(0)
            if any(own):
                loud[run].append((turn, own))
    for engine, block, found in zip(engines, blocks, loud, strict=True):
        engine.close_block(block, found)
    return engines
