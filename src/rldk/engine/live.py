"""The engine: rows in, findings out. A finished run is fed to the very same object, row by row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field
from msgspec.structs import replace

from rldk.core.table import PHASES, Phase, Row
from rldk.engine.blocks import Group, blocks, cut, single
from rldk.engine.census import Census, is_unknown
from rldk.engine.episodes import Episode, Episodes
from rldk.engine.features import NAN, Feature
from rldk.engine.frame import MAKERS, BindingFrame
from rldk.engine.heading import Pace
from rldk.engine.leap import Leap
from rldk.engine.looks import EVERYWHERE, Begun, Block, Looks, Turn, Watch
from rldk.engine.memory import Memory
from rldk.engine.recovery import KEPT
from rldk.engine.reported import KEYS
from rldk.engine.standing import Standing
from rldk.rules.rule import Context, Rule
from rldk.rules.subject import BY_ROW

if TYPE_CHECKING:
    from rldk.engine.column_frame import ColumnFrame

REWARD_WEIGHT = 0.2  # of the newest row in the training reward that evaluation rows carry: about the last ten rows
PLANNED_ROWS = 64  # after so many rows it is asked again who looks: more rules are ready, fewer are in an episode
MAX_INSTANCES = 2000  # of `each` rules: a log with a hundred thousand metric names must not exhaust memory


_REWARD = ("ewma", "reward_mean", REWARD_WEIGHT)
_NORMS = (("last", "grad_norm_policy"), ("last", "grad_norm_value"))
_INTERVAL = "row_interval_s"
POSITION = ("step", "segment", _INTERVAL)  # of the row: "*" means what the log says, not where and when it says it


class _Station(Struct):
    """Everything of one phase: memory, the view on it, and the watches."""

    memory: Memory
    looks: Looks
    binding: BindingFrame
    watches: list[Watch] = field(default_factory=list)
    patterned: list[Rule] = field(default_factory=list)
    known: set[str] = field(default_factory=set)
    plan: list[Turn] | None = None  # for a finite row of the last row's metrics, once asked for
    planned: int = 0  # the row at which it was made
    segment: int = 0


class Engine:
    """Runs rules over rows. `feed` returns the (watch, episode) pairs that have just begun.

    `makers`: of the features, by kind; all must give the same values. `columns`: of frames that ask a rule of many rows
    at once by numpy, for who has loaded it.
    Rules that do not apply to the context are kept in `inapplicable` with the reason and never look.
    """

    def __init__(
        self,
        rules: Iterable[Rule],
        context: Context,
        *,
        makers: Mapping[str, Callable[..., Feature]] = MAKERS,
        columns: Callable[..., ColumnFrame] | None = None,
    ) -> None:
        self.context = context
        self.inapplicable: dict[str, str] = {}
        self.rows = 0
        self.first_step: int | None = None
        self.last_step = 0
        self.standing = Standing()
        self.census = Census()
        self._looked = False
        self._stations: dict[Phase, _Station] = {}
        for phase in PHASES:
            memory = Memory(makers)
            self._stations[phase] = _Station(memory, Looks(memory, context, columns), BindingFrame(memory, context))
        train = self._stations["train"].memory
        for key in (_REWARD, *_NORMS):
            train.feature(key)
        self._pace = Pace()
        for key in KEYS:
            self.feature(*key)
        for rule in rules:
            self._admit(rule)

    def feed(self, row: Row) -> Begun:
        """Takes the next row; the order of rows is the order of the log."""
        (begun,) = self._take(Group((row,), row.phase, single(row)))
        return begun

    def feed_all(self, rows: Iterable[Row]) -> Iterator[tuple[Row, Begun]]:
        """Takes many rows, which is much quicker: each row with what begins on it, before the next is looked at."""
        for group in blocks(rows):
            yield from zip(group.rows, self._take(group), strict=True)

    def feed_blocks(self, groups: Iterable[Group]) -> None:
        """Takes many rows of a finished run, where nobody waits for what begins."""
        for group in groups:
            for _ in self._take(group):
                pass

    def feature(self, *key: Any) -> Any:
        """The feature (kind, metric, parameters ...) of training rows. One made now knows nothing of rows before."""
        return self._stations["train"].memory.feature(key).now()

    @property
    def looked(self) -> bool:
        """Whether some rule has had all that it asks for on some row."""
        self._looked = self._looked or any(w.ready and not w.rule.note for w in self.watches())
        return self._looked

    def leaps(self) -> Sequence[tuple[str, Leap]]:
        """The line tests on training rows, by metric, brought up to the last row."""
        found = ((metric, track.now()) for metric, track in self._stations["train"].memory.of_kind("leap"))
        return [(metric, leap) for metric, leap in found if isinstance(leap, Leap)]

    def leaps_at(self, row: int) -> Sequence[tuple[str, float]]:
        """What the line tests say at a training row, counted from 1, of the block that is being looked at."""
        memory = self._stations["train"].memory
        at = row - 1 - memory.start
        return [(name, track.at(memory.serial, memory.height)[at]) for name, track in memory.of_kind("leap")]

    def _take(self, group: Group) -> Iterator[Begun]:
        whole, phase = group.block, group.phase
        self.census.take(whole.columns, finite=whole.finite)
        intervals = self._pace.intervals(phase, whole.times, whole.columns.get("wall_time", ()))
        for block, paced in cut(whole, intervals):
            yield from self._look(block, phase, paced)

    def _look(self, block: Block, phase: Phase, intervals: Sequence[float]) -> Iterator[Begun]:
        station = self._stations[phase]
        beside = self._beside(phase)
        if beside == beside:
            block = block.beside("train_reward_mean", [beside] * len(block.steps))
        if intervals:
            block = block.beside(_INTERVAL, intervals)
        if not station.memory.alike(block.columns):
            station.plan = None
            for name in [name for name in block.columns if name not in station.known]:
                self._meet(station, name)
        if block.segment != station.segment:
            station.segment = block.segment
            station.memory.rebase()
        self._count(block.steps)
        station.memory.take(block.columns, len(block.steps), finite=block.finite)
        for row, begun in enumerate(station.looks.at(block, self._turns(station, block))):
            if begun:
                station.plan = None
                for watch, episode in begun:
                    self._note_norms(episode, row if phase == "train" else -1)
                    self.standing.began(watch.rule, episode)
            yield begun
        station.memory.end()

    def _count(self, steps: Sequence[int]) -> None:
        self.rows += len(steps)
        if self.first_step is None:
            self.first_step = steps[0]
        self.last_step = steps[-1]

    def _beside(self, phase: Phase) -> float:
        """For evaluation rows the training reward of their time, which is in another phase's memory; NaN for others."""
        return self._stations["train"].memory.latest(_REWARD) if phase == "eval" else NAN

    def watches(self) -> list[Watch]:
        return [w for station in self._stations.values() for w in station.watches]

    def seen_metrics(self, phase: Phase = "train") -> set[str]:
        return self._stations[phase].known

    def rows_of(self, phase: Phase) -> int:
        return self._stations[phase].memory.rows

    def _turns(self, station: _Station, block: Block) -> list[Turn]:
        """The watches that look at a block; a note that was made need not be made again."""
        columns = block.columns
        if not block.finite:
            station.plan = None
            sound = {name for name, (x,) in columns.items() if x - x == 0.0}
            return [
                (w, "", 0.0, 0.0)
                for w in station.watches
                if not w.failure and (w.required <= sound or (w.rule.nonfinite and w.required <= columns.keys()))
            ]
        if station.plan is None or self.rows - station.planned >= PLANNED_ROWS:
            able = (w for w in station.watches if w.required <= columns.keys() and not w.failure)
            turns = (_turn(w, columns, self.context) for w in able if not (w.rule.note and w.episodes.began))
            station.plan = [t for t in turns if t[2:] != EVERYWHERE or not t[0].episodes.idle]
            station.planned = self.rows
        return station.plan

    def _note_norms(self, episode: Episode, row: int) -> None:
        """Adds how the newest gradient norms of policy and value compare: wanted beside any finding, whatever it is."""
        memory = self._stations["train"].memory
        policy, value = (memory.value(norm, row) if row >= 0 else memory.latest(norm) for norm in _NORMS)
        if policy > 0 and value > 0:
            ratios = {"policy_over_value": policy / value, "value_over_policy": value / policy}
            episode.signal = replace(episode.signal, evidence={**ratios, **episode.signal.evidence})

    def _admit(self, rule: Rule) -> None:
        reason = _inapplicable(rule, self.context)
        if reason:
            self.inapplicable[rule.code] = reason
        elif rule.subject not in BY_ROW:
            return  # looked at once, for the report
        elif rule.each:
            self._stations[rule.phase].patterned.append(rule)
        else:
            self._bind(self._stations[rule.phase], rule, rule.metric, rule.needs)

    def _meet(self, station: _Station, name: str) -> None:
        """A metric's first appearance: patterned rules begin to watch it now, so they miss nothing of it."""
        station.known.add(name)
        if name in POSITION or len(station.watches) >= MAX_INSTANCES:
            return
        for rule in station.patterned:
            if rule.unnamed and not is_unknown(name):
                continue
            if any(fnmatchcase(name, pattern) for pattern in rule.each):
                needs = rule.needs if rule.absent else (name, *rule.needs)
                self._bind(station, rule, name, needs)

    def _bind(self, station: _Station, rule: Rule, metric: str, needs: Sequence[str]) -> None:
        station.binding.metric = metric
        rule.body(station.binding)
        if metric and not rule.note:
            station.memory.keep(metric, KEPT)
        station.watches.append(Watch(rule, metric, frozenset(needs), Episodes(rule, metric), rule.body))


def _turn(watch: Watch, values: Mapping[str, object], context: Context) -> Turn:
    """Calm only once it has had all it asks for: what never looks does not count as checked."""
    if watch.rule.calm is None or not watch.ready or watch.metric not in values:
        return watch, "", 0.0, 0.0
    return watch, watch.metric, *watch.rule.calm(watch.metric, context)


def _inapplicable(rule: Rule, context: Context) -> str | None:
    if rule.algorithms is not None and context.algorithm is not None and context.algorithm not in rule.algorithms:
        return f"defined for {', '.join(sorted(rule.algorithms))}; this run is {context.algorithm}"
    return rule.unless(context) if rule.unless else None
