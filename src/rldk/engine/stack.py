"""Scans many runs with the same metrics at once. A rule is asked about the rows of all of them in one call.

This pays for short runs: most of what one costs is the same for 200 rows and for 6,000. The reports are those of
`scan`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from rldk.core.model import Report, Run
from rldk.engine.binding import are_alike
from rldk.engine.blocks import PhaseBlock
from rldk.engine.episodes import Episodes
from rldk.engine.evaluate import SHORT, BoundRule, Turn, code_of
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
    model = Engine(asked, members[0].context)
    turns = model.open_block(members[0].block)
    model.shared = {}
    frame = StackFrame(model.memory("train"), members[0].context, [member.block.block for member in members])
    engines = [model.copy_for(m.block, partial(frame.values_of, run)) for run, m in enumerate(members)]
    frame.look_into([engine.memory("train") for engine in engines])
    answers = [_ask(frame, turn, [member.rows for member in members]) for turn in turns]
    place = {id(bound): at for at, bound in enumerate(model.bound_rules_of("train"))}
    for run, (member, engine) in enumerate(zip(members, engines, strict=True)):
        bound, loud = list(model.bound_rules_of("train")), []
        for turn, (own, codes) in zip(turns, answers, strict=True):
            bound[place[id(turn[0])]] = own[run]
            if codes[run]:
                loud.append(((own[run], *turn[1:]), codes[run]))
        engine.close_block(member.block, bound, loud)
    frame.close()
    return engines


def _ask(frame: StackFrame, turn: Turn, heights: Sequence[int]) -> tuple[list[BoundRule], list[bytes]]:
    """Asks a rule about all runs. Gives for each run the bound rule, and a number for each row, or b"" where it is
    silent. Runs with the same number of rows share what stayed silent: nobody will change it."""
    model = turn[0]
    cases = frame.follow(model.body, model.metric)
    codes = frame.by_run(cases.codes(code_of(model.rule)))
    silent: dict[tuple[int, bool], BoundRule] = {}
    bounds, found = [], []
    fires: Any = codes.any(axis=1)
    readies = frame.ready
    for run, rows in enumerate(heights):
        ready = bool(readies[run])
        row_codes = codes[run, :rows].tobytes() if fires[run] else b""
        if row_codes.strip(b"\0"):
            bound = _bound(model, row_codes.count(0), ready=ready)
        else:
            row_codes = b""
            bound = silent.get((rows, ready)) or silent.setdefault((rows, ready), _bound(model, rows, ready=ready))
        bounds.append(bound)
        found.append(row_codes)
    return bounds, found


def _bound(model: BoundRule, looks: int, *, ready: bool) -> BoundRule:
    rule, metric = model.rule, model.metric
    return BoundRule(rule, metric, model.required, Episodes(rule, metric), model.body, looks=looks, ready=ready)
