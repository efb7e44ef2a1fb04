"""MET: the log itself: the order of its steps, impossible values, and metrics that disappear."""

from __future__ import annotations

import math
from functools import cache

from rldk.core.algorithms import GROUP
from rldk.core.vocabulary import vocabulary
from rldk.rules.rule import Context, Frame, Signal, finite, rule

ROUNDING = 1e-3  # of the bound, at least absolute: half precision and printed digits
GONE_ROWS = 20
RAGGED_ROWS = 40
# enough of a row to know it by; values that say nothing (rates, counters) are left out
WITNESSES = ("loss", "policy_loss", "value_loss", "grad_norm", "reward_mean", "entropy", "kl")
ENTROPY = frozenset({"entropy", "entropy_seq_sum"})  # ENT007 knows more of them
# present where others allow it, logged by nobody
DERIVED = frozenset(
    {"kl_coef_implied", "kl_coef_paid", "loss_per_kl", "reward_per_step", "sampled_nll_surplus", "grad_ratio_log10"}
)
LEAST = 20  # finite values before (our own choice)
RARE = 0.02  # share of them: a column that was NaN more often is so by design (our own choice)


@cache
def bounds(name: str, estimator: str) -> tuple[float, float]:
    """The closed interval of a metric's possible values; infinite where it is open or the metric is unknown."""
    words = vocabulary()
    known = name not in ENTROPY and words.canonical(name) is not None
    return words.bounds(name, estimator=estimator) if known else (-math.inf, math.inf)


def _within(name: str, context: Context) -> tuple[float, float]:
    """The bounds, widened by the allowance for rounding."""
    low, high = bounds(name, context.estimators.get(name, ""))
    return low - ROUNDING * max(1.0, abs(low)), high + ROUNDING * max(1.0, abs(high))


def is_written_twice(f: Frame) -> bool:
    """Whether the row repeats the step of the row before it and at least two of its values, bit for bit."""
    step, last = f["step"], f.previous("step")
    same = [f.repeats(name) >= 2 and abs(f[name]) > 0 for name in WITNESSES]
    return step == last and sum(same) >= 2


@rule(
    "MET001",
    "steps-not-in-order",
    severity="warn",
    tier=0,
    needs=("step", "segment"),
    causes=(
        "the run was resumed from an earlier checkpoint and appended to the same log",
        "two processes write to one log",
    ),
    fixes=("give every run its own directory; log from rank 0 only", "after a resume compare with {resume}"),
)
def steps_not_in_order(f: Frame) -> Signal | None:
    """Fires when a step goes back, or a row is written twice.

    Why it matters: Curves drawn over such a log mix two histories, and counts of steps are wrong.
    How it is computed: A step smaller than the one before it within a segment is a warning. A step that goes back and
    starts a new segment (a restart) is information, and so is a row that repeats the step and at least two values of
    the row before.
    When it is wrong: A log may have two clocks; adapters choose one of them beforehand.
    Source: An identity. SB3 writes its last row twice, which is why a duplicate is not a warning.
    """
    step, last = f["step"], f.previous("step")
    ahead, restarted = f.rise("step"), f.rise("segment")
    if ahead > 0 and restarted == 0:  # nearly every row; NaN while binding goes on
        return None
    twice = is_written_twice(f)
    if restarted > 0:
        message = f"the log starts again at step {step:.0f} after step {last:.0f}"
        return Signal(value=step, limit=last, message=message, severity="info")
    if ahead < 0:
        return Signal(value=step, limit=last, message=f"step {step:.0f} comes after step {last:.0f}")
    if twice and restarted == 0:
        return Signal(value=step, message=f"the row of step {step:.0f} is written twice", severity="info")
    return None


@rule(
    "MET002",
    "value-out-of-domain",
    severity="warn",
    tier=0,
    each=("*",),
    calm=_within,
    causes=(
        "the metric is logged in another unit (percent for a fraction) or with the opposite sign",
        "the code that computes it has a bug: a mask, a denominator, an estimator under another's name",
    ),
    fixes=("recompute the metric from one batch by hand", "if the name means something else in this log, rename it"),
)
def value_out_of_domain(f: Frame) -> Signal | None:
    """Fires on a value that the metric cannot have.

    Why it matters: Either the log or the code is wrong, and so is every verdict on that metric.
    How it is computed: The value is outside the interval that the vocabulary declares for the metric and its estimator:
    fractions lie in 0 to 1, explained variance is at most 1, a KL by k2 or k3 and ratios are at least 0. The rule
    allows 0.001 of the bound (at least 0.001) for half precision and printed digits.
    When it is wrong: A user's metric may carry a canonical name by chance.
    Source: Definitions, see `rldk explain METRIC`; the allowance is our own choice.
    """
    name = f.metric
    x = f[name]
    low, high = bounds(name, f.estimator(name))
    if x < low - ROUNDING * max(1.0, abs(low)):
        return Signal(value=x, limit=low, message=f"{name} is {x:.4g}, but it cannot be below {low:g}")
    if x > high + ROUNDING * max(1.0, abs(high)):
        return Signal(value=x, limit=high, message=f"{name} is {x:.4g}, but it cannot be above {high:g}")
    return None


@rule(
    "MET003",
    "metric-disappeared",
    severity="info",
    tier=0,
    each=("*",),
    absent=True,
    calm=finite,
    causes=("the branch of code that logs it is no longer taken", "its value is None or NaN and the logger drops it"),
    fixes=("look at the first step without it: what changed there?",),
)
def metric_disappeared(f: Frame) -> Signal | None:
    """Fires when a metric that was on nearly every row has been missing for 20 rows while the run goes on.

    Why it matters: Rules that need it are silent now, which is not the same as healthy.
    How it is computed: The metric has at least 20 values, on 90 % of the rows up to its last one, followed by 20 rows
    without it.
    When it is wrong: A phase may have ended on purpose (a warm-up of the critic, a curriculum).
    Source: Our own choice.
    """
    name = f.metric
    gap = f.gap(name)
    if gap < GONE_ROWS:  # nearly every look of every metric ends here; NaN while binding goes on
        return None
    n = f.count(name)
    if name in DERIVED or not n >= GONE_ROWS:
        return None
    rows = n / f.coverage(name) - gap  # from its first row to its last
    if n >= 0.9 * rows:
        return Signal(value=gap, limit=float(GONE_ROWS), message=f"{name} has not been logged for {gap:.0f} rows")
    return None


def _grouped(context: Context) -> str | None:
    several = context.algorithm in GROUP
    return "several updates on one set of rollouts give such rows by design (see ragged-rows)" if several else None


@rule(
    "MET005",
    "two-cadences",
    severity="info",
    tier=0,
    needs=("step",),
    unless=_grouped,
    causes=("metrics of rollouts and of updates are logged at different intervals", "two loggers share one file"),
    fixes=("log everything once per update if you can: {log_steps}",),
)
def two_cadences(f: Frame) -> Signal | None:
    """Fires when some metrics are on every row and others are only on a part of the rows.

    Why it matters: A rule that needs both kinds sees only the rows that have them. Gaps are missing values, not zeros.
    How it is computed: After 40 rows, one of the main metrics is on 95 % of the rows, and another one with at least 5
    values is on 2 % to 70 % of them.
    When it is wrong: Never. It only says how the log is laid out.
    Source: Our own choice.
    """
    counts = {name: f.count(name) for name in WITNESSES}
    if f.rows < RAGGED_ROWS:
        return None
    shares = {name: f.coverage(name) for name in WITNESSES}
    full = [name for name, share in shares.items() if share >= 0.95]
    part = [name for name, share in shares.items() if 0.02 < share < 0.7 and counts[name] >= 5]
    if not (full and part):
        return None
    name = part[0]
    message = f"{name} is on {100 * shares[name]:.0f} % of the rows, but {full[0]} is on all of them"
    return Signal(value=shares[name], metric=name, message=message)


# metric -> the factors between units that loggers mix up, larger unit over smaller
UNITS: dict[str, tuple[float, ...]] = {
    **dict.fromkeys(("step_time", "generation_time"), (60.0, 1000.0, 3600.0)),
    **dict.fromkeys(("memory_peak_gb", "memory_cpu_gb"), (1000.0, 1024.0, 2.0**20)),
    **dict.fromkeys(("tokens_per_sec", "samples_per_sec"), (60.0, 1000.0)),
    **dict.fromkeys(("pass_at_k", "pref_accuracy", "mfu"), (100.0,)),
}
UNIT_ROWS = 5


@rule(
    "MET004",
    "metric-changed-its-unit",
    severity="warn",
    tier=2,
    each=tuple(UNITS),
    causes=("the logger or the library that measures was changed in mid-run (another version after a resume)",),
    fixes=("convert the rows before or after the first step named here", "pin the versions of what logs"),
)
def changed_unit(f: Frame) -> Signal | None:
    """Fires when a metric is suddenly in another unit: off by a factor between units, and as steady as before.

    Why it matters: Every comparison across that step, by people or by rules, is about two different things.
    How it is computed: The median of the newest five values divided by the median of the twenty before is within 8 % of
    a factor that loggers mix up (60, 1000 or 3600 for times, 1000, 1024 or 2^20 for memory, 100 for shares). All five
    values lie on that side by half of the factor, and their row-to-row scatter, relative to their level, is at most
    twice what it was.
    When it is wrong: Hardware or task may change by exactly such a factor.
    Source: The factors are those between units; 8 %, five and twenty rows are our own choice. Not measured: the corpus
    has no such fault.
    """
    name = f.metric
    now, before = f.median(name, UNIT_ROWS), f.median(name, 20, before=UNIT_ROWS)
    low, high = f.min(name, UNIT_ROWS), f.max(name, UNIT_ROWS)
    noise, usual = f.noise(name, UNIT_ROWS), f.noise(name, 20, before=UNIT_ROWS)
    if not (now > 0 and before > 0):
        return None
    ratio = max(now / before, before / now)
    unit = next((u for u in UNITS[name] if abs(ratio / u - 1) < 0.08), None)
    apart = unit is not None and (low > before * unit / 2 or high < before / unit * 2)
    if unit is not None and apart and noise / now <= max(2 * usual / before, 0.02):
        message = f"{name} was {before:.4g} and is now {now:.4g}: a factor of {unit:g}, as between two units"
        return Signal(value=now, limit=before, message=message)
    return None


@rule(
    "MET006",
    "unnamed-column-broke",
    severity="warn",
    tier=0,
    each=("*",),
    unnamed=True,
    nonfinite=True,
    calm=finite,
    rows=5,
    causes=(
        "the weights are broken: after one update that is not finite everything computed from them is NaN",
        "overflow: a loss or a norm beyond the range of half precision, or an exponential of a large number",
        "nothing is left to average over: what the column measures no longer happens",
    ),
    fixes=(
        "look at the rows just before: which column left its range first?",
        "go back to the last checkpoint before this step, and keep the batch that did it",
        "say what the column is with --field-map, so that the rules for it can look",
    ),
)
def unnamed_column_broke(f: Frame) -> Signal | None:
    """Fires when a column with a name that rldk does not know becomes NaN or infinite, and stays so.

    Why it matters: No rule knows what the column should be. But when its values stop being numbers, something is broken
    whatever it measures, and it may be the only trace of a dead run.
    How it is computed: A train column that is not a canonical metric had at least 20 finite values. It was NaN or
    infinite on at most 2 % as many rows before, and now it is on 5 rows in a row that state it.
    When it is wrong: NaN may mean "nothing to measure" in a column that always had something until then.
    Source: An identity; isaac-sim/IsaacLab#2539 (a value loss that is infinite, under a name of its own). The 20
    values, 2 % and 5 rows are our own choice.
    """
    name = f.metric
    x, seen, lapses = f[name], f.count(name), f.lapses(name)
    if x - x == 0.0 or not seen >= LEAST or lapses > RARE * seen:
        return None
    word = "NaN" if x != x else "infinite"
    return Signal(value=x, message=f"{name} is {word} and stays so, after {seen:.0f} finite values")
