"""The engine: rows go in, findings come out. A finished run is fed to the very same object, row by row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from itertools import islice
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field
from msgspec.structs import replace

from rldk.core.table import PHASES, Phase, Row
from rldk.engine.activity import Standing
from rldk.engine.binding import BindingFrame
from rldk.engine.blocks import Block, PhaseBlock, blocks, cut, single
from rldk.engine.episodes import Episode, Episodes
from rldk.engine.evaluate import Begun, BoundRule, Evaluator, Loud, Turn
from rldk.engine.features.line_test import Leap
from rldk.engine.features.order import RowSeconds
from rldk.engine.features.window import NAN, Feature
from rldk.engine.frame import MAKERS
from rldk.engine.memory import Memory
from rldk.engine.recovery import KEPT
from rldk.engine.report.census import Census, is_unknown
from rldk.engine.turns import inapplicable, matches, turns_of_block, turns_of_row
from rldk.rules.rule import Context, Rule
from rldk.rules.subject import BY_ROW

if TYPE_CHECKING:
    from rldk.engine.column_frame import ColumnFrame
    from rldk.engine.ragged import JoinedRun, Ragged
    from rldk.engine.sample_watch import SampleWatch
    from rldk.engine.stretches import Stretch

# of the newest row in the training reward that evaluation rows carry; it covers about the last ten rows
REWARD_WEIGHT = 0.2
# after so many rows the list of rules to ask is rebuilt: more rules are ready, fewer are in an episode
PLANNED_ROWS = 64
MAX_INSTANCES = 2000  # of `each` rules: a log with a hundred thousand metric names must not exhaust memory


REWARD = ("ewma", "reward_mean", REWARD_WEIGHT)
NORMS = (("last", "grad_norm_policy"), ("last", "grad_norm_value"))
_INTERVAL = "row_interval_s"
_NOTHING: Mapping[str, Any] = {}
NOISE_ROWS = 20
MEMORY_METRICS = ("memory_peak_gb", "memory_cpu_gb")
_BLOCK_METRICS = ("reward_mean", "loss", "lr", *MEMORY_METRICS, "step_time", "tokens_step", "tokens_per_sec", _INTERVAL)
# Features that every report needs, whatever the rules ask for. They are made before the first row.
REPORTED: tuple[tuple[Any, ...], ...] = (
    *(("blocks", name) for name in _BLOCK_METRICS),
    *(("noise", name, NOISE_ROWS) for name in ("reward_mean", "loss")),
    *((kind, "step") for kind in ("first", "last", "count")),
)
AT_START = (REWARD, *NORMS, *REPORTED)
POSITION = ("step", "segment", _INTERVAL)  # where and when a row is; "*" matches only what the log says in it


class _PhaseState(Struct):
    """Everything of one phase: its memory, the view on it, and the bound rules."""

    memory: Memory
    looks: Evaluator
    binding: BindingFrame
    bound_rules: list[BoundRule] = field(default_factory=list)
    patterned: list[Rule] = field(default_factory=list)
    known: set[str] = field(default_factory=set)
    # the rules to ask on a finite row with the metrics of the last row; made when first needed
    plan: list[Turn] | None = None
    planned: int = 0  # the row at which the plan was made
    segment: int = 0


class Engine:
    """Runs rules over rows. `feed` returns the (bound rule, episode) pairs that have just begun.

    `makers`: the factories of the features by kind. All sets of them must give the same values. `columns`: makes frames
    that ask a rule about many rows at once with numpy, for a caller that has loaded numpy. Rules that do not apply to
    the context are kept in `inapplicable` with the reason, and are never asked."""

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
        self.shared: dict[Any, Any] | None = None  # what the reports of such copies have alike
        self._record_rules: list[Rule] = []
        self._samples: SampleWatch | None = None
        self._looked = False
        self._row: int | None = None  # of training, that rows of other phases follow; None: the last one so far
        self._phases: dict[Phase, _PhaseState] = {}
        for phase in PHASES:
            memory = Memory(makers)
            self._phases[phase] = _PhaseState(
                memory, Evaluator(memory, context, columns), BindingFrame(memory, context)
            )
        train = self._phases["train"].memory
        for key in (REWARD, *NORMS):
            train.feature(key)
        self.pace = RowSeconds()
        for key in REPORTED:
            self.feature(*key)
        for rule in rules:
            self._admit(rule)

    def feed(self, row: Row) -> Begun:
        """Takes the next row. The order of rows is the order of the log."""
        (begun,) = self.take(PhaseBlock((row,), row.phase, single(row)))
        return begun

    def feed_all(self, rows: Iterable[Row]) -> Iterator[tuple[Row, Begun]]:
        """Takes many rows, which is much quicker. Yields each row with the episodes that begin on it, before the next
        row is taken."""
        for group in blocks(rows):
            yield from zip(group.rows, self.take(group), strict=True)

    def feed_blocks(self, groups: Iterable[PhaseBlock]) -> None:
        """Takes many rows of a finished run, where nobody waits for the episodes that begin."""
        for group in groups:
            for _ in self.take(group):
                pass

    def look_at(
        self, phase: Phase, stretch: Stretch, seen: Mapping[Any, Sequence[float]], *, told: bool
    ) -> Iterator[Begun]:
        """Takes rows of a phase, and yields what begins on each. `seen`: features of the training rows before each of
        them, for other phases. `told`: as of `Evaluator.at`."""
        self.census.take(stretch.stated, finite=stretch.block.finite)
        state = self._phases[phase]
        self._take_in(state, stretch.block, stretch.ragged)
        found = state.looks.at(stretch.block, self._turns(state, stretch.block), told=told)
        return self._pass(state, phase, found, seen)

    @contextmanager
    def in_columns(self, columns: Callable[..., ColumnFrame]) -> Iterator[None]:
        """Asks rules about many rows at once with numpy, as `columns` does, for the time being."""
        before = {phase: state.looks.columns for phase, state in self._phases.items()}
        for state in self._phases.values():
            state.looks.columns = state.looks.columns or columns(state.memory, self.context)
        try:
            yield
        finally:
            for phase, state in self._phases.items():
                state.looks.columns = before[phase]

    def feature(self, *key: Any) -> Any:
        """The feature (kind, metric, parameters ...) of training rows. A feature that is made now does not know earlier
        rows."""
        return self._phases["train"].memory.feature(key).now()

    @property
    def samples(self) -> SampleWatch:
        """The rules over per-sample records. They load when a run has such records, or when its report is made."""
        if self._samples is None:
            from rldk.engine.sample_watch import SampleWatch

            self._samples = SampleWatch(self._record_rules, self.context)
        return self._samples

    @property
    def has_ready_rule(self) -> bool:
        """Whether some rule has had every input it asks for on some row."""
        self._looked = self._looked or any(w.ready and not w.rule.note for w in self.bound_rules())
        return self._looked

    def leaps(self) -> Sequence[tuple[str, Leap]]:
        """The line tests on training rows, by metric, brought up to the last row."""
        found = ((metric, track.now()) for metric, track in self._phases["train"].memory.of_kind("leap"))
        return [(metric, leap) for metric, leap in found if isinstance(leap, Leap)]

    def leaps_at(self, row: int) -> Sequence[tuple[str, float]]:
        """The results of the line tests at a training row of the present block. `row` counts from 1."""
        memory = self._phases["train"].memory
        at = row - 1 - memory.start
        return [(name, track.at(memory.serial, memory.height)[at]) for name, track in memory.of_kind("leap")]

    def take(self, group: PhaseBlock) -> Iterator[Begun]:
        """Takes a block of rows, and yields what begins on each."""
        whole, phase = group.block, group.phase
        self.census.take(whole.columns, finite=whole.finite)
        intervals = self.pace.intervals(phase, whole.times, whole.columns.get("wall_time", ()))
        for block, paced in cut(whole, intervals):
            yield from self._look(block, phase, paced)

    def open_run(self, run: JoinedRun) -> list[Turn]:
        """Takes the training rows of a run that is one block, and returns the rules to ask."""
        return self._turns(*self._open(run))

    def copy_for(self, run: JoinedRun, memory: Memory, context: Context, inapplicable: dict[str, str]) -> Engine:
        """An engine for another run, after its training rows. That run has the same metrics, and the same rules apply
        to it. `memory`: as of `Memory.copy_into`. `close_run` says what came of asking the rules."""
        other = copy(self)
        other.context, other.inapplicable = context, inapplicable
        train = self._phases["train"]
        train = replace(train, memory=memory, looks=Evaluator(memory, context))
        own = {group.phase: other._empty_state(self._phases[group.phase]) for _, group, _ in run.between}
        other._phases = {**self._phases, **own, "train": train}
        other.rows, other.first_step = 0, None
        other.standing, other.census, other._looked = Standing(), Census(), False
        other._samples = self.samples
        other._open(run)
        return other

    def _empty_state(self, like: _PhaseState) -> _PhaseState:
        """The state of a phase without rows, with the same rules."""
        memory = Memory(like.memory.makers)
        state = _PhaseState(memory, Evaluator(memory, self.context), BindingFrame(memory, self.context))
        state.patterned = like.patterned
        for bound in like.bound_rules:
            self._bind(state, bound.rule, bound.metric, bound.required)
        return state

    def _open(self, run: JoinedRun) -> tuple[_PhaseState, Block]:
        self.census.take(run.compact, finite=True)  # only its finite values
        return self._enter(run.block, "train", (), run.ragged)

    def close_run(self, run: JoinedRun, bound: list[BoundRule], loud: Sequence[Loud]) -> None:
        """Ends the run, whose training rules somebody else has asked. `loud`: those that may give a signal. Rows of
        other phases are looked at where they stand among the training rows."""
        state = self._phases["train"]
        state.bound_rules = bound
        rows = self._pass(state, "train", state.looks.at(run.block, (), loud))
        self._row = -1
        for after, group, intervals in run.between:
            for _ in islice(rows, after - 1 - self._row):
                pass
            self._row = after - 1
            self.census.take(group.block.columns, finite=group.block.finite)
            for block, paced in cut(group.block, intervals):
                for _ in self._look(block, group.phase, paced):
                    pass
        for _ in rows:
            pass
        self.first_step, self.last_step = run.steps

    def memory(self, phase: Phase) -> Memory:
        return self._phases[phase].memory

    def _look(self, block: Block, phase: Phase, intervals: Sequence[float]) -> Iterator[Begun]:
        state, block = self._enter(block, phase, intervals)
        return self._pass(state, phase, state.looks.at(block, self._turns(state, block)))

    def _enter(
        self, block: Block, phase: Phase, intervals: Sequence[float], ragged: Mapping[str, Ragged] = _NOTHING
    ) -> tuple[_PhaseState, Block]:
        """Takes the values of the block, with what is known beside them."""
        state = self._phases[phase]
        beside = self._beside(phase)
        if beside == beside:
            block = block.beside("train_reward_mean", [beside] * len(block.steps))
        if intervals:
            block = block.beside(_INTERVAL, intervals)
        self._take_in(state, block, ragged)
        return state, block

    def _take_in(self, state: _PhaseState, block: Block, ragged: Mapping[str, Ragged]) -> None:
        if ragged or not state.memory.has_only(block.columns):
            state.plan = None
            for name in [name for name in block.columns if name not in state.known]:
                self._meet(state, name)
        if block.segment != state.segment:
            state.segment = block.segment
            state.memory.rebase()
        self._count(block.steps)
        state.memory.take(block.columns, len(block.steps), finite=block.finite, ragged=ragged)

    def _pass(
        self,
        state: _PhaseState,
        phase: Phase,
        found: Iterable[Begun],
        seen: Mapping[Any, Sequence[float]] = _NOTHING,
    ) -> Iterator[Begun]:
        """Passes on what begins on each row of the block, and then ends it. `seen`: as of `look_at`."""
        for row, begun in enumerate(found):
            if begun:
                state.plan = None
                for bound, episode in begun:
                    self._note_norms(episode, phase, row, seen)
                    self.standing.add(bound.rule, episode)
            yield begun
        state.memory.end()

    def _count(self, steps: Sequence[int]) -> None:
        self.rows += len(steps)
        if self.first_step is None:
            self.first_step = steps[0]
        self.last_step = steps[-1]

    def _beside(self, phase: Phase) -> float:
        """For evaluation rows, the training reward of that time, which is in the memory of another phase. NaN for other
        rows."""
        return self.newest(REWARD) if phase == "eval" else NAN

    def newest(self, key: tuple[Any, ...]) -> float:
        """A feature at the last training row before the present row."""
        memory = self._phases["train"].memory
        if self._row is None:
            return memory.latest(key)
        return memory.value(key, self._row) if self._row >= 0 else NAN

    def bound_rules_of(self, phase: Phase) -> Sequence[BoundRule]:
        return self._phases[phase].bound_rules

    def bound_rules(self) -> list[BoundRule]:
        by_row = [w for state in self._phases.values() for w in state.bound_rules]
        return by_row if self._samples is None else [*by_row, *self._samples.bound]

    def seen_metrics(self, phase: Phase = "train") -> set[str]:
        return self._phases[phase].known

    def rows_of(self, phase: Phase) -> int:
        return self._phases[phase].memory.rows

    def _turns(self, state: _PhaseState, block: Block) -> list[Turn]:
        """The bound rules to ask about a block. A note that was made need not be made again."""
        if not block.finite:
            state.plan = None
            return turns_of_row(state.bound_rules, block.columns)
        if state.plan is None or self.rows - state.planned >= PLANNED_ROWS:
            state.plan = turns_of_block(state.bound_rules, block.columns, state.memory.ragged, self.context)
            state.planned = self.rows
        return state.plan

    def _note_norms(self, episode: Episode, phase: Phase, row: int, seen: Mapping[Any, Sequence[float]]) -> None:
        """Adds how the newest gradient norms of policy and value compare. This helps with every finding."""
        if phase == "train":
            memory = self._phases["train"].memory
            policy, value = (memory.value(norm, row) for norm in NORMS)
        elif seen:
            policy, value = (seen[norm][row] for norm in NORMS)
        else:
            policy, value = map(self.newest, NORMS)
        if policy > 0 and value > 0:
            ratios = {"policy_over_value": policy / value, "value_over_policy": value / policy}
            episode.signal = replace(episode.signal, evidence={**ratios, **episode.signal.evidence})

    def _admit(self, rule: Rule) -> None:
        reason = inapplicable(rule, self.context)
        if reason:
            self.inapplicable[rule.code] = reason
        elif rule.subject == "records":
            self._record_rules.append(rule)
        elif rule.subject not in BY_ROW:
            return  # the report looks at it once, at the end
        elif rule.each:
            self._phases[rule.phase].patterned.append(rule)
        else:
            self._bind(self._phases[rule.phase], rule, rule.metric, rule.needs)

    def _meet(self, state: _PhaseState, name: str) -> None:
        """Binds the patterned rules to a metric that appears for the first time, so that they miss nothing of it."""
        state.known.add(name)
        if name in POSITION or len(state.bound_rules) >= MAX_INSTANCES:
            return
        for rule in state.patterned:
            if rule.unnamed and not is_unknown(name):
                continue
            if matches(name, rule.each):
                needs = rule.needs if rule.absent else (name, *rule.needs)
                self._bind(state, rule, name, needs)

    def _bind(self, state: _PhaseState, rule: Rule, metric: str, needs: Iterable[str]) -> None:
        state.binding.bind(rule.body, metric)
        if metric and not rule.note:
            state.memory.keep(metric, KEPT)
        state.bound_rules.append(BoundRule(rule, metric, frozenset(needs), Episodes(rule, metric), rule.body))
