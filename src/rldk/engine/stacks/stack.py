"""Scans many runs with the same metrics at once. A rule is asked about the rows of all of them in one call.

This pays for short runs: most of what one costs is the same for 200 rows and for 6,000. The reports are those of
`scan`. Runs may differ in their configuration, and rows may lack some of the metrics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property, partial
from typing import Any

import numpy as np

from rldk.core.model import Report, Run
from rldk.engine.binding import AskingFrame, are_alike
from rldk.engine.episodes import Episodes
from rldk.engine.evaluate import SHORT, UNASKED, BoundRule, Turn, code_of
from rldk.engine.live import AT_START, Engine
from rldk.engine.memory import Key, Memory
from rldk.engine.ragged import JoinedRun, join_rows
from rldk.engine.scan import context_of, report_of, rule_columns, scan
from rldk.engine.stacks.ragged_frame import RaggedFrame, memory_of
from rldk.engine.stacks.stack_frame import StackFrame
from rldk.engine.turns import inapplicable
from rldk.rules.normal import normals
from rldk.rules.rule import Context, Rule

MOST_ROWS, MOST_RUNS = 1 << 14, 64  # in one stack
UNEVEN = 1.5  # times the rows of the shortest run: longer ones make a stack of their own


def scan_all(runs: Sequence[Run], rules: Sequence[Rule]) -> list[Report]:
    """The reports of whole runs, as `scan` gives them."""
    asked = (*rules, *normals)
    reports: dict[int, Report] = {}
    for members in _stacks(runs, asked):
        for member, engine in _follow(members, asked):
            reports[member.at] = report_of(runs[member.at], engine, asked)
    return [reports[at] if at in reports else scan(run, rules) for at, run in enumerate(runs)]


class _Member:
    """A run that is one block of training rows, and its place among the runs."""

    def __init__(self, at: int, run: JoinedRun, context: Context, asked: Sequence[Rule]) -> None:
        self.at = at
        self.run = run
        self.context = context
        self.rows = len(run.block.steps)
        self._asked = asked

    @cached_property
    def inapplicable(self) -> dict[str, str]:
        """As of an engine with this context."""
        found = ((rule.code, inapplicable(rule, self.context)) for rule in self._asked)
        return {code: reason for code, reason in found if reason}

    def fits(self, other: _Member) -> bool:
        """Whether the engine meets the same metrics in both in the same order, and the same rules apply to both."""
        if [*self.run.block.columns] != [*other.run.block.columns] or self.run.begun != other.run.begun:
            return False
        if are_alike(self.context, other.context):
            other.context, other.inapplicable = self.context, self.inapplicable
            return True
        if _kind(self.context) != _kind(other.context) or self.inapplicable.keys() != other.inapplicable.keys():
            return False
        if self.inapplicable == other.inapplicable:
            other.inapplicable = self.inapplicable
        return True


def _kind(context: Context) -> tuple[object, ...]:
    """What rules may know of a run that is not its configuration."""
    return context.algorithm, context.framework, context.clock, context.names, context.estimators


def _stacks(runs: Sequence[Run], asked: Sequence[Rule]) -> Iterator[list[_Member]]:
    """The runs that can be looked at together, at least two at a time."""
    members = [m for at, run in enumerate(runs) if (m := _member(at, run, asked)) is not None]
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


def _member(at: int, run: Run, asked: Sequence[Rule]) -> _Member | None:
    """None for a run that has samples or gaps beside its metrics, or few rows or many."""
    if run.samples is not None or run.sample_reader is not None:
        return None
    joined = join_rows(rule_columns(run))
    if joined is None or len(joined.block.steps) <= SHORT:
        return None
    return _Member(at, joined, context_of(run.meta), asked)


def _follow(members: Sequence[_Member], asked: Sequence[Rule]) -> Iterator[tuple[_Member, Engine]]:
    """The engines of the runs, after their rows. Some runs may be left out."""
    model = Engine(asked, members[0].context)
    turns = model.open_run(members[0].run)
    binding = _Binding(members[0], model)
    members = [members[0], *(member for member in members[1:] if binding.holds_for(member))]
    if len(members) < 2:
        return
    model.shared = {}
    runs, contexts = [member.run for member in members], [member.context for member in members]
    memory, late = model.memory("train"), binding.late
    if any(run.ragged for run in runs):
        frame: StackFrame = RaggedFrame(memory, contexts, runs, late)
    else:
        frame = StackFrame(memory, contexts, runs)
    engines = []
    for at, member in enumerate(members):
        own = memory_of(memory, member.run, partial(frame.values_of, at), late)
        engines.append(model.copy_for(member.run, own, member.context, member.inapplicable))
    frame.look_into([engine.memory("train") for engine in engines])
    answers = [_ask(frame, turn, [member.rows for member in members]) for turn in turns]
    place = {id(bound): at for at, bound in enumerate(model.bound_rules_of("train"))}
    for run, (member, engine) in enumerate(zip(members, engines, strict=True)):
        bound, loud = list(model.bound_rules_of("train")), []
        for turn, (bounds, codes) in zip(turns, answers, strict=True):
            bound[place[id(turn[0])]] = bounds[run]
            if codes[run]:
                loud.append(((bounds[run], *turn[1:]), codes[run]))
        engine.close_run(member.run, bound, loud)
    frame.close()
    yield from zip(members, engines, strict=True)


class _Binding:
    """The features that the rules of a run ask for. `late`: those that begin where the run meets another metric than
    their own, and so miss the first values of their own."""

    def __init__(self, first: _Member, model: Engine) -> None:
        self._context = first.context
        self._known: list[tuple[BoundRule, tuple[Key, ...]]] = []  # of rules that look at the context
        self.late: dict[Key, str] = {}
        asking = AskingFrame(Memory({}), first.context)
        columns = [*first.run.block.columns]
        later = {*columns[first.run.begun :]}
        seen: set[Key] = set(AT_START)
        for bound in model.bound_rules_of("train"):
            keys = asking.asked_by(bound.body, bound.metric)
            if asking.used:
                self._known.append((bound, keys))
            if bound.rule.each and bound.metric in later:
                self.late |= {key: bound.metric for key in keys if key not in seen and key[1] != bound.metric}
            seen.update(keys)

    def holds_for(self, member: _Member) -> bool:
        """Whether the rules ask for the same features of another run."""
        if member.context is self._context:
            return True
        asking = AskingFrame(Memory({}), member.context)
        return all(asking.asked_by(bound.body, bound.metric) == keys for bound, keys in self._known)


def _ask(frame: StackFrame, turn: Turn, heights: Sequence[int]) -> tuple[list[BoundRule], list[bytes]]:
    """Asks a rule about all runs. Gives for each run the bound rule, and a number for each row, or b"" where it is
    silent. Runs with the same number of rows share what stayed silent: nobody will change it."""
    model = turn[0]
    codes, rows, readies = frame.ask(model, code_of(model.rule))
    looks: list[int] = rows.sum(axis=1).tolist()
    fires: Any = codes.any(axis=1)
    marked = np.where(rows, codes, UNASKED).astype(np.uint8) if fires.any() else codes
    silent: dict[tuple[int, bool], BoundRule] = {}
    bounds, found = [], []
    for run, height in enumerate(heights):
        ready = bool(readies[run])
        if fires[run]:
            row_codes = marked[run, :height].tobytes()
            bound = _bound(model, row_codes.count(0), ready=ready)
        else:
            row_codes, key = b"", (looks[run], ready)
            bound = silent.get(key) or silent.setdefault(key, _bound(model, looks[run], ready=ready))
        bounds.append(bound)
        found.append(row_codes)
    return bounds, found


def _bound(model: BoundRule, looks: int, *, ready: bool) -> BoundRule:
    rule, metric = model.rule, model.metric
    return BoundRule(rule, metric, model.required, Episodes(rule, metric), model.body, looks=looks, ready=ready)
