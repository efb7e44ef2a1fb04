"""What a rule is: a stateless predicate over one row of features, with its metadata and its documented page."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol

from msgspec import Struct, field

from rldk.core.model import Severity
from rldk.core.reference import Baseline
from rldk.core.registry import Registry, modules_of
from rldk.core.table import Phase
from rldk.rules.page import Page, read_page
from rldk.rules.subject import Subject

Tier = Literal[0, 1, 2, 3]
INFO_COOLDOWN = 100  # quiet looks that end an informational finding, unless the rule says otherwise


class Signal(Struct, frozen=True, kw_only=True):
    """What a rule says about one row. `limit` is in the unit of `metric` (default: the rule's own). `message` is a
    clause that a person would say, without the step ("the reward has been exactly 1 for 5 rows"). `severity` may lower
    the rule's own; rules whose severity is critical may also repeat it. `step`: for a rule that does not look at rows,
    the step at which its subject shows the fault, where it has steps. `before`: the level that the metric had before
    the trouble, for a rule that knows it; the trouble is over when the metric is back there."""

    value: float
    limit: float | None = None
    message: str = ""
    metric: str | None = None
    severity: Severity | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)
    step: int | None = None
    before: float | None = None


class Frame(Protocol):
    """One row of features, as a rule sees it. A window counts rows on which the metric was present and finite. It
    includes this row, unless the newest `before` rows are left out. A feature is NaN until its window is full, so that
    every comparison with it is false. If the run lacks the metric, the feature stays NaN and the rule is not skipped.
    Ask for every feature before the first branch, because the engine remembers only what a rule asks for at binding.

    A number may stand for the numbers of many rows, so that one call answers for all of them. It knows arithmetic and
    comparisons, `abs`, `min`, `max` and `round`. A body that passes it to anything else (`math.log`, `math.isfinite`,
    `int`, `isinstance`) before it has compared is asked row by row, which costs a hundred times as much. A comparison
    of two numbers that move together decides nothing for many rows at once: ask for `rise("step")` instead of
    `f["step"] > f.previous("step")`."""

    step: int
    rows: int
    metric: str

    def __getitem__(self, name: str) -> float:
        """The value on this row; NaN when it is missing, or when the source states NaN (see `stated`)."""

    def stated(self, name: str) -> bool:
        """Whether the source gave a value on this row, even NaN or infinity."""

    def config(self, *keys: str) -> Any:
        """The value of the first of these keys that the run's configuration has, or None."""

    def framework(self) -> str:
        """The trainer that wrote the log ("trl"), or ""."""

    def estimator(self, name: str) -> str:
        """The estimator of a metric as the vocabulary names it ("k1 tok_mean"), or ""."""

    def source_name(self, name: str) -> str:
        """The key under which the source logs a metric."""

    def rounded(self, name: str) -> float:
        """Half a unit of the last decimal that the metric is printed with, which is what a 0 may stand for; 0.0 when
        values are written in full. The metric's own values tell it, or the log's other metrics where they do not."""

    def averaged(self, name: str) -> float:
        """The number of steps that one value is the mean of: 1 for a single step; NaN where this is unknown."""

    def broken(self, name: str) -> float:
        """The number of rows in a row, this one included, on which the source stated NaN or an infinity."""

    def milestone(self, name: str, row: int) -> float:
        """The median of ten finite values from number `row` (counted from 0) on. It is NaN until they exist, but the
        rule counts as ready all the same."""

    def progress(self) -> float:
        """The share of the declared steps that is done, in [0, 1]; NaN when the run declares no steps."""

    def count(self, name: str) -> float:
        """The number of finite values so far, this row included."""

    def gap(self, name: str) -> float:
        """The number of rows of this phase since the metric was last present: 0 on this row; NaN before the first."""

    def lapses(self, name: str) -> float:
        """The number of rows that stated NaN or infinity before the present stretch of such rows."""

    def coverage(self, name: str) -> float:
        """The share of this phase's rows on which the metric is present, since it first appeared."""

    def previous(self, name: str, lag: int = 1) -> float:
        """The value `lag` present rows ago."""

    def rise(self, name: str, lag: int = 1) -> float:
        """The value minus that `lag` present rows ago."""

    def first(self, name: str) -> float:
        """The first finite value of the run."""

    def last(self, name: str) -> float:
        """The newest finite value, which need not be on this row. Without one, the rule counts as not ready."""

    def repeats(self, name: str) -> float:
        """The number of rows in a row, this one included, with bitwise the same value (>= 1)."""

    def departed(self, name: str) -> float:
        """The value before the present run of equal values; the present value while there was no other."""

    def longest_run(self, name: str) -> float:
        """The length of the longest run of equal values before the present one; 0 while there was no other."""

    def recurrence(self, name: str) -> float:
        """The share of values, before the present run of equal values, that equal the value before them. It says how
        often a coarse metric repeats itself by chance."""

    def held(self, name: str) -> float:
        """The share of the runs of equal values before the present one that have three values or more; 0 before five
        runs. It is near 1 in a log that repeats each value until the next one is known."""

    def highest(self, name: str, *, before: int = 1) -> float:
        """The largest value so far, the newest `before` rows left out."""

    def lowest(self, name: str, *, before: int = 1) -> float:
        """The smallest value so far, the newest `before` rows left out."""

    def largest_step(self, name: str, *, before: int = 1) -> float:
        """The largest |difference| between two values in a row so far, the newest `before` differences left out."""

    def mean(self, name: str, window: int, *, before: int = 0) -> float:
        """The mean of the window."""

    def median(self, name: str, window: int, *, before: int = 0) -> float:
        """The median of the window."""

    def mad(self, name: str, window: int, *, before: int = 0) -> float:
        """The median absolute deviation of the window from its median, times 1.4826 (a robust standard deviation)."""

    def max(self, name: str, window: int) -> float:
        """The largest value of the window."""

    def min(self, name: str, window: int) -> float:
        """The smallest value of the window."""

    def std(self, name: str, window: int) -> float:
        """The standard deviation of the window, divided by its size (as numpy's); the window is 2 or more."""

    def slope(self, name: str, window: int) -> float:
        """The slope of the least-squares line through the window, per row; the window is 2 or more."""

    def early(self, name: str, start: int = 5, stop: int = 25) -> float:
        """The median of the run's finite values number start..stop-1. It never changes after that."""

    def early_mean(self, name: str, start: int, stop: int) -> float:
        """The mean of the run's finite values number start..stop-1. It never changes after that."""

    def spread(self, name: str, start: int = 0, stop: int = 10) -> float:
        """The range of the run's finite values number start..stop-1. It never changes after that."""

    def past(self, name: str, *, before: int = 5, least: int = 10) -> float:
        """The median of the run's own past: at most 200 values, at least `least`, the newest `before` left out."""

    def share(self, name: str, window: int, *, above: float | None = None, below: float | None = None) -> float:
        """The share of the window with above < value < below; `above=-eps, below=eps` counts zeros."""

    def gain(self, name: str, window: int) -> float:
        """How far the metric moved: the median of the window's newest quarter minus that of its oldest quarter."""

    def noise(self, name: str, window: int, *, before: int = 0) -> float:
        """The row-to-row scale of the window: 1.4826 * MAD of the first differences / sqrt 2."""

    def wander(self, name: str, window: int, *, lag: int, before: int = 0) -> float:
        """The scale of the differences over `lag` rows without their median, the trend: 1.4826 * MAD / sqrt 2. It shows
        the slow wandering of an autocorrelated metric, which its steps understate."""

    def ewma(self, name: str, weight: float) -> float:
        """The exponentially weighted mean; `weight` is the weight of the newest value."""

    def peak(self, name: str, weight: float) -> float:
        """The largest `ewma(name, weight)` so far, from the tenth value on."""

    def top(self, name: str, rows: int, *, after: int = 0) -> float:
        """The highest level so far that both halves of `rows` values held: of each window, the smaller of the two means
        counts. Windows that end before value number `after` are left out."""

    def drawdown(self, name: str, rows: int, top: int, *, clear: float, after: int = 0) -> float:
        """The share of its gain that the metric has lost and not regained over `rows` values. It is 0 without a loss
        that matters or without a gain of `clear` times the noise. The gain goes from the lowest level to the highest
        one after it (`top` values each and `after`, as in `top`). The share is above 1 when the metric is below the
        level from which it rose."""

    def reference(self, name: str) -> float:
        """The value of the metric in an approved run at this step; NaN without such a run."""

    def reference_spread(self, name: str) -> float:
        """The robust standard deviation of the approved run's metric around this step."""

    def leap(self, name: str, *, log: bool = False, floor: float = 0.0) -> float:
        """How many robust scales all three newest values lie off the line through the 24 values before them, and off
        the recent level of these: the smallest of the six distances, with its sign; 0 when they are on different sides.
        `log`: take the logarithms; `floor`: the smallest scale, in the unit of the metric (or of its logarithm)."""

    def drift(self, name: str, block: int = 5, blocks: int = 12, *, log: bool = False) -> float:
        """How far the last `blocks` medians of `block` values moved along a trend, in the unit of the metric (`log`: of
        its logarithm); 0 when their order may be chance."""

    def unrest(
        self, name: str, window: int = 20, *, log: bool = False, relative: bool = False, floor: float = 0.0
    ) -> float:
        """The row-to-row noise of the window, divided by the noise that is usual in this run. It is the noise of the
        values, of their logarithms (`log`), or as a share of their level (`relative`). `floor` is the smallest noise
        that counts as usual."""

    def swings(self, name: str, window: int, *, low: float, high: float) -> float:
        """How often the metric went from above `high` to below `low` or back within the window."""

    def rhythm(self, name: str, window: int, *, low: float, high: float) -> float:
        """-log of the probability that noise is as regular; 0 with fewer than four cycles of `swings` in the window."""

    def climbs(self, name: str, window: int) -> float:
        """How many of the last `window` changes from value to value were rises."""

    def age(self, name: str, sign: int = 1) -> float:
        """How many values ago the run had its largest value (sign -1: its smallest); 0 when it is the newest."""

    def quantile(self, name: str, share: float, *, before: int = 1, least: int = 20) -> float:
        """The quantile of the run's own past: at most 200 values, at least `least`, the newest `before` left out."""


Body = Callable[[Any], "Signal | None"]  # it takes a Frame, or the view of its subject
Calm = Callable[[str, "Context"], tuple[float, float]]


class Rule(Struct, frozen=True, kw_only=True):
    """A registered rule.

    `needs`: metrics that must be present on a row for the rule to look at it. A row without them neither breaks nor
    prolongs a streak. `each`: glob patterns over canonical names. The rule runs once for every metric that matches;
    that metric is `f.metric` and is needed, too. `absent`: the rule also looks at rows without that metric. `unnamed`:
    the rule looks only at columns that are not canonical metrics, under the log's own names. `also`: metrics that the
    run must have on some row; the body asks for them by `f.last`. `rows` of the last `within` looks must fire before
    the rule speaks (`within` 0: all in a row). `cooldown` quiet looks end an episode once its last row is
    `cooldown_steps` behind; the default is 20, and 100 for informational rules, which come and go with the noise.
    `kin`: the family, where the code does not spell it. `subject`: what the body gets. It is a frame for every row
    ("rows", and "samples" for metrics of per-sample records), a `SampleView` for every step ("records"), or one view of
    something that a run has once (see `rules.subject`). `needs` are then what the view must have
    (`rules.subject.MISSING`); for "config" they are concepts of `rules.knobs`. `algorithms`: where the rule is defined;
    None means everywhere. `unless`: the function that says from the context why the rule does not apply to a run;
    `unless_view`: the same from the view of a subject that is not rows. `nonfinite`: the rule also looks at rows on
    which a needed metric is NaN or infinite. `provisional`: the rule says that something has not happened so far; once
    it falls silent its finding is information. `calm`: the closed interval of values for which the body has nothing to
    say and need not be asked. `before`: what the rule says of the configuration alone, for `rldk preflight`, which has
    no rows. `causes` are ranked; `fixes` name configuration keys in braces (`rules/knobs.py`).
    """

    code: str
    name: str
    severity: Severity
    tier: Tier
    body: Body
    page: Page
    data: str = "S"
    metric: str = ""
    needs: tuple[str, ...] = ()
    each: tuple[str, ...] = ()
    unnamed: bool = False
    also: tuple[str, ...] = ()
    phase: Phase = "train"
    algorithms: frozenset[str] | None = None
    unless: Callable[[Context], str | None] | None = None
    unless_view: Callable[[Any], str | None] | None = None
    nonfinite: bool = False
    calm: Calm | None = None
    before: Callable[[Any], Signal | None] | None = None
    absent: bool = False
    rows: int = 1
    within: int = 0
    cooldown: int = 20
    cooldown_steps: int = 0
    causes: tuple[str, ...] = ()
    fixes: tuple[str, ...] = ()
    note: bool = False
    provisional: bool = False
    subject: Subject = "rows"
    kin: str = ""

    @property
    def family(self) -> str:
        return self.kin or self.code.rstrip("0123456789")


class Context(Struct, frozen=True, kw_only=True):
    """What a rule may know about a run besides its rows; the fields are those of `RunMeta`."""

    algorithm: str | None = None
    framework: str | None = None
    total_steps: int | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    packages: Mapping[str, str] = field(default_factory=dict)
    estimators: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    clock: str = ""
    reference: Baseline | None = None


def is_finite(x: float) -> bool:
    """The same as `math.isfinite`, but it also takes a number that stands for many rows."""
    return x - x == 0.0


def above(bound: float) -> Calm:
    """The interval from `bound` upwards, for rules about smaller values."""
    return lambda name, context: (bound, math.inf)  # noqa: ARG005


ABOVE_ZERO = above(5e-324)  # the smallest float that is not 0: for rules about exact zeros and values below


def finite(name: str, context: Context) -> tuple[float, float]:  # noqa: ARG001 - as of `Rule.calm`
    """The interval of all numbers, for rules about values that are missing or are not numbers."""
    return -math.inf, math.inf


rules: Registry[Rule] = Registry(
    "rule", group="rldk.rules", builtins=modules_of("rldk.rules.catalogue", "rldk.rules.before")
)


def rule(code: str, name: str, *, severity: Severity, tier: Tier, **options: Any) -> Callable[[Body], Rule]:
    """Registers the decorated body as a rule; options are the fields of `Rule`. Returns the Rule."""

    def decorate(body: Body) -> Rule:
        made = Rule(
            code=code,
            name=name,
            severity=severity,
            tier=tier,
            body=body,
            page=read_page(body.__doc__, where=code),
            **({"cooldown": INFO_COOLDOWN} if severity == "info" else {}) | options_of(options),
        )
        return rules.register(code, made)

    return decorate


def options_of(options: dict[str, Any]) -> dict[str, Any]:
    """The options of a decorator as fields of `Rule`: the metric is the first need, unless the options name one."""
    needs = options.get("needs", ())
    return {"metric": needs[0] if needs else "", **options}
