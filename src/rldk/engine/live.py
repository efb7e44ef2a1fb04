"""The engine: rows in, findings out. A finished run is fed to the very same object, row by row."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any

from rldk.core.table import PHASES, Phase, Row
from rldk.engine.derive import derived
from rldk.engine.episodes import Episode, Episodes
from rldk.engine.features import Feature
from rldk.engine.frame import EngineFrame, Memory
from rldk.engine.heading import Pace
from rldk.engine.leap import Leap
from rldk.engine.outlook import KEYS
from rldk.engine.standing import Standing
from rldk.rules.rule import Body, Context, Frame, Rule

REWARD_WEIGHT = 0.2  # of the newest row in the training reward that evaluation rows carry: about the last ten rows
PLANNED_ROWS = 64  # after so many rows it is asked again who looks: more rules are ready, fewer are in an episode
MAX_INSTANCES = 2000  # of `each` rules: a log with a hundred thousand metric names must not exhaust memory


@dataclass(slots=True)
class Watch:
    """One rule on one metric: what it needs, and how its looks went."""

    rule: Rule
    metric: str
    required: frozenset[str]
    episodes: Episodes
    body: Body
    failure: str = ""  # why the rule was given up on this run: it raised on one of its rows
    looks: int = 0
    ready: bool = False  # some look had every feature it asked for


POSITION = (
    "step",
    "segment",
    "row_interval_s",
)  # of the row: a pattern such as "*" means what the log says, not where it says it
EVERYWHERE = (-math.inf, math.inf)
# a watch, and the interval of its metric's own value in which it says nothing; without a name it always looks
Turn = tuple[Watch, str, float, float]


@dataclass(slots=True)
class _Station:
    """Everything of one phase: memory, the view on it, and the watches."""

    memory: Memory
    frame: EngineFrame
    watches: list[Watch] = field(default_factory=list)
    patterned: list[Rule] = field(default_factory=list)
    known: set[str] = field(default_factory=set)
    plan: list[Turn] | None = None  # for a finite row of the last row's metrics, once asked for
    planned: int = 0  # the row at which it was made
    segment: int = 0


class Engine:
    """Runs rules over rows. `feed` returns the (watch, episode) pairs that have just begun.

    Rules that do not apply to the context are kept in `inapplicable` with the reason and never look.
    """

    def __init__(self, rules: Iterable[Rule], context: Context) -> None:
        self.context = context
        self.inapplicable: dict[str, str] = {}
        self.rows = 0
        self.first_step: int | None = None
        self.last_step = 0
        self.standing = Standing()
        self._looked = False
        self._stations: dict[Phase, _Station] = {}
        for phase in PHASES:
            memory = Memory()
            self._stations[phase] = _Station(memory, EngineFrame(memory, context))
        # evaluation rows are held against the training reward of their time, which is another phase's memory
        self._reward = self._stations["train"].memory.feature(("ewma", "reward_mean", REWARD_WEIGHT))
        self._norms = tuple(
            self._stations["train"].memory.feature(("last", f"grad_norm_{of}")) for of in ("policy", "value")
        )
        self._pace = Pace()
        for key in KEYS:
            self.feature(*key)
        for rule in rules:
            self._admit(rule)

    def feed(self, row: Row) -> list[tuple[Watch, Episode]]:
        """Takes the next row; the order of rows is the order of the log."""
        values = derived(row)
        if row.phase == "eval" and self._reward.value == self._reward.value:
            values["train_reward_mean"] = self._reward.value
        interval = self._pace.take(row, values)
        if interval == interval:
            values["row_interval_s"] = interval
        station = self._stations[row.phase]
        if not station.memory.alike(values):
            station.plan = None
            for name in [name for name in values if name not in station.known]:
                self._meet(station, name)
        if row.segment != station.segment:
            station.segment = row.segment
            station.memory.rebase()
        self.rows += 1
        if self.first_step is None:
            self.first_step = row.step
        self.last_step = row.step
        total = sum(values.values())
        finite = total - total == 0.0  # else one of them is not, or the sum overflows
        station.memory.update(values, finite=finite)
        station.frame.show(row, values)
        begun = _looks(self._turns(station, values, finite=finite), station.frame, values)
        if begun:
            station.plan = None
            for watch, episode in begun:
                self._note_norms(episode)
                self.standing.began(watch.rule, episode)
        return begun

    def feature(self, *key: Any) -> Feature:
        """The feature (kind, metric, parameters ...) of training rows. One made now knows nothing of rows before."""
        return self._stations["train"].memory.feature(key)

    @property
    def looked(self) -> bool:
        """Whether some rule has had all that it asks for on some row."""
        self._looked = self._looked or any(w.ready and not w.rule.note for w in self.watches())
        return self._looked

    def leaps(self) -> Sequence[tuple[str, Leap]]:
        """The line tests on training rows, by metric, brought up to the last row."""
        return self._stations["train"].memory.leaps

    def watches(self) -> list[Watch]:
        return [w for station in self._stations.values() for w in station.watches]

    def seen_metrics(self, phase: Phase = "train") -> set[str]:
        return self._stations[phase].known

    def rows_of(self, phase: Phase) -> int:
        return self._stations[phase].memory.rows

    def _turns(self, station: _Station, values: Mapping[str, float], *, finite: bool) -> list[Turn]:
        """The watches that look at a row of these values; a note that was made need not be made again."""
        if not finite:
            station.plan = None
            sound = {name for name, x in values.items() if x - x == 0.0}
            return [
                (w, "", 0.0, 0.0)
                for w in station.watches
                if not w.failure and (w.required <= sound or (w.rule.nonfinite and w.required <= values.keys()))
            ]
        if station.plan is None or self.rows - station.planned >= PLANNED_ROWS:
            able = (w for w in station.watches if w.required <= values.keys() and not w.failure)
            turns = (_turn(w, values, self.context) for w in able if not (w.rule.note and w.episodes.began))
            station.plan = [t for t in turns if t[2:] != EVERYWHERE or not t[0].episodes.idle]
            station.planned = self.rows
        return station.plan

    def _note_norms(self, episode: Episode) -> None:
        """Adds how the newest gradient norms of policy and value compare: wanted beside any finding, whatever it is."""
        policy, value = (norm.value for norm in self._norms)
        if policy > 0 and value > 0:
            ratios = {"policy_over_value": policy / value, "value_over_policy": value / policy}
            episode.signal = replace(episode.signal, evidence={**ratios, **episode.signal.evidence})

    def _admit(self, rule: Rule) -> None:
        reason = _inapplicable(rule, self.context)
        if reason:
            self.inapplicable[rule.code] = reason
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
            if any(fnmatchcase(name, pattern) for pattern in rule.each):
                needs = rule.needs if rule.absent else (name, *rule.needs)
                self._bind(station, rule, name, needs)

    def _bind(self, station: _Station, rule: Rule, metric: str, needs: Sequence[str]) -> None:
        frame = station.frame
        frame.binding, frame.metric = True, metric
        rule.body(frame)
        frame.binding = False
        station.watches.append(Watch(rule, metric, frozenset(needs), Episodes(rule), rule.body))


def _turn(watch: Watch, values: Mapping[str, float], context: Context) -> Turn:
    """Calm only once it has had all it asks for: what never looks does not count as checked."""
    if watch.rule.calm is None or not watch.ready or watch.metric not in values:
        return watch, "", 0.0, 0.0
    return watch, watch.metric, *watch.rule.calm(watch.metric, context)


def _looks(turns: list[Turn], frame: EngineFrame, values: Mapping[str, float]) -> list[tuple[Watch, Episode]]:
    """Every watch's look at the row that the frame shows; the episodes that have just begun."""
    begun: list[tuple[Watch, Episode]] = []
    for watch, name, low, high in turns:
        episodes = watch.episodes
        if name and low <= values[name] <= high and episodes.idle:
            continue
        frame.metric, frame.unready = watch.metric, False
        try:
            signal = watch.body(frame)
        except (ArithmeticError, ValueError) as error:  # what no author thought of must not cost the whole report
            watch.failure = f"{type(error).__name__} on the row of step {frame.step}"
            watch.body = _silence
            continue
        watch.looks += 1
        if not frame.unready:
            watch.ready = True
        if (
            (signal is not None or not episodes.idle)
            and episodes.look(frame.step, frame.rows, signal)
            and episodes.open is not None
        ):
            begun.append((watch, episodes.open))
    return begun


def _silence(f: Frame) -> None:
    """The body of a rule that was given up."""


def _inapplicable(rule: Rule, context: Context) -> str | None:
    if rule.algorithms is not None and context.algorithm is not None and context.algorithm not in rule.algorithms:
        return f"defined for {', '.join(sorted(rule.algorithms))}; this run is {context.algorithm}"
    return rule.unless(context) if rule.unless else None
