"""Where a run is heading: whether it still improves, how its learning rate runs, whether memory grows, when it ends.

The answers come from features that the engine keeps of every run (block means of the whole series). So a live run and
the same rows of a finished run give the same answer. They are cheap, but meant for reports, not for every row.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Literal

from msgspec import Struct, field

from rldk.core.algorithms import BY_LOSS
from rldk.engine.features.order import Blocks
from rldk.engine.live import MEMORY_METRICS, NOISE_ROWS, Engine
from rldk.engine.report.schedule import schedule_shape
from rldk.rules.knobs import keys_of, number

Convergence = Literal["converged", "improving", "degrading", "unknown"]
LEAST_ROWS = 40  # a quarter of them is ten; fewer do not give a slope with an error
SURE = 0.9  # the probability from which the answer is not "unknown" (our own choice)
MATERIAL = 0.1  # share of the range gained: a change over the last quarter that matters (our own choice)
LOST = 0.5  # share of the gain: a run that lost so much is worse off, however steady it is now (our own choice)
CLEAR = 3.0  # times what matters: a smaller gain does not count as one that can be lost (our own choice)
AT_ONCE = 8  # the number of block means in one level
NOISE_SHARE = (
    1.0  # times the row-to-row noise: a smaller change does not count (our own choice; half needs 200 rows a quarter)
)
# their reward is a mean over the last 100 episodes, so that the next row shares most of them
SMOOTHED = frozenset({"sb3", "stable_baselines3", "rllib"})
TOTAL_MEMORY = ("memory_total_gb", "gpu_memory_total_gb", "gpu_memory_gb", "host_memory_gb")
BEYOND = 1e100  # values whose squares leave the range of floats have no trend worth telling


class Outlook(Struct, frozen=True, kw_only=True):
    """Where a run is heading. `convergence` is that of `metric`; `probability` is None while it is unknown.

    A run is "converged" only near its best, without a critical finding or a warning on the metric. A run that has lost
    half of its gain is "degrading" even where it has settled. `schedule`: the shape of the learning rate so far
    ("constant", "linear", "cosine", "other", with "warmup + " before it; "" when it is not logged). `declared`: what
    the configuration calls it. `numbers` has, as far as they are known: `gain`, `gain_error` and `material` (over the
    last quarter, in the unit of the metric, up is better), `lost` (the share of the gain that is lost again),
    `memory_gb_per_step`, `memory_full_in_steps`, `throughput_change` (a share), `seconds_per_step`, `seconds_left`.
    """

    convergence: Convergence = "unknown"
    probability: float | None = None
    metric: str = ""
    schedule: str = ""
    declared: str = ""
    numbers: Mapping[str, float] = field(default_factory=dict)


class Trend(Struct, frozen=True):
    """The change over the newest quarter of a series, and its standard error."""

    gain: float
    error: float


class Loss(Struct, frozen=True):
    """How far a series is below its best level, and how much had been gained up to that level."""

    amount: float
    gain: float

    @property
    def share(self) -> float:
        return self.amount / self.gain if self.gain > 0.0 else 0.0

    def sureness(self, noise: float, size: int) -> float:
        """The probability that more than `LOST` of the gain is lost; `size`: the number of values in a block."""
        from statistics import NormalDist

        error = noise * math.sqrt(2.0 / (AT_ONCE * size))
        beyond = self.amount * (1.0 - LOST / self.share) if self.share > 0 else 0.0
        return NormalDist().cdf(beyond / error) if error > 0.0 else float(beyond > 0.0)


def outlook(engine: Engine) -> Outlook:
    """The outlook of the rows fed so far."""
    metric, schedule, pace = _goal_metric(engine), schedule_shape(_means(engine, "lr")), _pace(engine)
    idle = schedule == "zero"  # with a learning rate of 0, every change is chance
    convergence, probability, numbers = _convergence(engine, "" if idle else metric)
    return Outlook(
        convergence=convergence,
        probability=probability,
        metric=metric,
        schedule=schedule,
        declared=_declared(engine),
        numbers={**numbers, **_memory(engine, pace), **_throughput(engine), **_time_left(engine, pace)},
    )


def last_quarter(means: list[float], least: float = 0.0) -> Trend:
    """The least-squares change over the newest quarter of equally spaced block means, at least 8 of them.

    The error allows for correlated residuals: the variance is multiplied by (1 + phi) / (1 - phi). Here phi is their
    lag-1 autocorrelation in all four quarters, corrected by (2 + 4 phi) / n for its bias under a line (known from the
    literature), and at least `least`. One quarter is too short to tell a trend from an autocorrelation of 0.9."""
    n = max(8, len(means) // 4)
    quarters = [_line(means[max(0, end - n) : end]) for end in range(len(means), 3, -n)]
    slope, rest = quarters[0]
    n, squares = len(rest), math.fsum(r * r for r in rest)
    level = max(abs(x) for x in means[-n:])
    if not squares > n * (1e-9 * (level + abs(slope) * n)) ** 2:  # a line up to rounding
        return Trend(slope * (n - 1), 0.0)
    whole = [r for _, r in quarters if len(r) == n]
    phi = math.fsum(a * b for r in whole for a, b in pairwise(r)) / math.fsum(a * a for r in whole for a in r)
    phi = min(max(phi + (2.0 + 4.0 * phi) / n, least), 0.98)
    variance = squares / (n - 2) * (1 + phi) / (1 - phi) / (n * (n * n - 1.0) / 12.0)
    return Trend(slope * (n - 1), math.sqrt(variance) * (n - 1))


def loss(means: list[float]) -> Loss:
    """The loss of equally spaced block means, where up is better; 0 where they are too few for two levels."""
    levels = [math.fsum(means[i : i + AT_ONCE]) / AT_ONCE for i in range(len(means) - AT_ONCE + 1)]
    if len(levels) <= AT_ONCE:
        return Loss(0.0, 0.0)
    at = max(range(len(levels)), key=lambda i: levels[i])
    best, amount = levels[at], levels[at] - levels[-1]
    return Loss(amount, best - min(levels[: at + 1]))


def _line(y: list[float]) -> tuple[float, list[float]]:
    """The least-squares slope and the residuals."""
    n = len(y)
    middle, level = 0.5 * (n - 1), math.fsum(y) / n
    slope = math.fsum((i - middle) * (x - level) for i, x in enumerate(y)) / (n * (n * n - 1.0) / 12.0)
    return slope, [x - level - slope * (i - middle) for i, x in enumerate(y)]


def shares(trend: Trend, material: float) -> dict[Convergence, float]:
    """The probabilities that the true change is above, below or within what matters (normal approximation)."""
    from statistics import NormalDist

    if trend.error == 0.0:
        up, down = float(trend.gain > material), float(trend.gain < -material)
    else:
        law = NormalDist(trend.gain, trend.error)
        up, down = 1.0 - law.cdf(material), law.cdf(-material)
    return {"improving": up, "degrading": down, "converged": max(0.0, 1.0 - up - down)}


def _goal_metric(engine: Engine) -> str:
    """The metric that says whether the run improves; the loss where there is no reward."""
    seen, algorithm = engine.seen_metrics(), engine.context.algorithm
    by_loss = algorithm in BY_LOSS
    if "reward_mean" in seen and not by_loss:
        return "reward_mean"
    return "loss" if "loss" in seen and (by_loss or (algorithm is None and "policy_loss" not in seen)) else ""


def _convergence(engine: Engine, metric: str) -> tuple[Convergence, float | None, dict[str, float]]:
    blocks = engine.feature("blocks", metric) if metric else None
    if not isinstance(blocks, Blocks) or len(blocks.means) * blocks.size < LEAST_ROWS:
        return "unknown", None, {}
    sign = -1.0 if metric == "loss" else 1.0
    means = [sign * x for x in blocks.means]
    if not all(abs(x) < BEYOND for x in means):
        return "unknown", None, {}
    smoothed = metric == "reward_mean" and engine.context.framework in SMOOTHED
    trend = last_quarter(means, 0.9 if smoothed else 0.0)
    gained = max(means) - math.fsum(means[: max(1, len(means) // 10)]) / max(1, len(means) // 10)
    noise = engine.feature("noise", metric, NOISE_ROWS).value
    material = max(MATERIAL * gained, NOISE_SHARE * noise, 1e-9 * abs(means[-1]))
    if not math.isfinite(trend.gain + trend.error + material):
        return "unknown", None, {}
    likely, gone = shares(trend, material), loss(means)
    best = max(likely, key=lambda name: likely[name])
    numbers = {"gain": trend.gain, "gain_error": trend.error, "material": material}
    clear = gone.gain > CLEAR * material
    if clear and gone.amount > material and gone.share > LOST and best != "improving":
        best, likely = "degrading", {"degrading": max(likely["degrading"], gone.sureness(noise, blocks.size))}
        numbers["lost"] = gone.share
    elif best == "converged" and (gone.amount > material or _in_trouble(engine, metric)):
        return "unknown", None, numbers
    return (best, likely[best], numbers) if likely[best] >= SURE else ("unknown", None, numbers)


def _in_trouble(engine: Engine, metric: str) -> bool:
    """Whether a critical finding is open, or a warning on the metric itself: such a run has not converged."""
    standing = [(w, e) for w in engine.bound_rules() if not w.rule.note for e in w.episodes.all() if not e.recovered]
    return any(
        e.severity == "critical" or (e.severity == "warn" and (e.signal.metric or w.metric) == metric)
        for w, e in standing
    )


def _means(engine: Engine, name: str) -> list[float]:
    blocks = engine.feature("blocks", name)
    return blocks.means if isinstance(blocks, Blocks) else []


def _declared(engine: Engine) -> str:
    found = (engine.context.config.get(key) for key in keys_of("lr_schedule"))
    text = next((x for x in found if isinstance(x, str | bool)), "")
    return str(text)


def _pace(engine: Engine) -> float:
    """The average number of steps from one training row to the next; NaN before there are two rows."""
    first, last, count = (engine.feature(kind, "step").value for kind in ("first", "last", "count"))
    return (last - first) / (count - 1) if count > 1 and last > first else math.nan


def _quarters(means: list[float]) -> tuple[float, float]:
    """The medians of the first and of the last quarter; NaN with fewer than 8 blocks."""
    from statistics import median

    quarter = len(means) // 4
    return (median(means[:quarter]), median(means[-quarter:])) if quarter >= 2 else (math.nan, math.nan)


def _memory(engine: Engine, pace: float) -> dict[str, float]:
    """The growth of the logged memory metric (the accelerator's comes first), and when memory will be full."""
    for name in MEMORY_METRICS:
        blocks = engine.feature("blocks", name)
        if not isinstance(blocks, Blocks) or len(blocks.means) < 8 or not pace > 0:
            continue
        first, last = _quarters(blocks.means)
        per_step = (last - first) / (0.75 * len(blocks.means) * blocks.size * pace)
        total, now = number(engine.context.config.get(next(iter(_memory_keys(engine)), ""))), blocks.means[-1]
        full = {"memory_full_in_steps": (total - now) / per_step} if total > now and per_step > 0 else {}
        return _finite({"memory_gb_per_step": per_step, **full})
    return {}


def _memory_keys(engine: Engine) -> list[str]:
    return [key for key in TOTAL_MEMORY if key in engine.context.config]


def _throughput(engine: Engine) -> dict[str, float]:
    """The change of work per second from the first quarter to the last: tokens, or steps where tokens are unknown."""
    rate_first, rate_last = _quarters(_means(engine, "tokens_per_sec"))
    if rate_first != rate_first:
        time_first, time_last = _quarters(_means(engine, "step_time"))
        work_first, work_last = _quarters(_means(engine, "tokens_step"))
        known = work_first > 0 and work_last > 0
        rate_first = (work_first if known else 1.0) / time_first if time_first > 0 else math.nan
        rate_last = (work_last if known else 1.0) / time_last if time_last > 0 else math.nan
    return _finite({"throughput_change": rate_last / rate_first - 1.0}) if rate_first > 0 else {}


def _time_left(engine: Engine, pace: float) -> dict[str, float]:
    """The recent seconds per step, from the times of rows or the trainer's step time, and the seconds left."""
    _, interval = _quarters(_means(engine, "row_interval_s"))
    _, step_time = _quarters(_means(engine, "step_time"))
    seconds = interval / pace if interval > 0 and pace > 0 else step_time
    left = (engine.context.total_steps or math.nan) - engine.last_step
    return _finite({"seconds_per_step": seconds, "seconds_left": seconds * left if left > 0 else math.nan})


def _finite(numbers: dict[str, float]) -> dict[str, float]:
    return {name: x for name, x in numbers.items() if x - x == 0.0}
