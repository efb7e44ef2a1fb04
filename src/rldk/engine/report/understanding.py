"""How much of a log was understood: its metrics, its unknown columns, and what these may be."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from rldk.core.model import Understanding
from rldk.core.vocabulary import vocabulary
from rldk.engine.report.census import Census, Extent
from rldk.engine.report.essentials import needs_of
from rldk.rules.rule import Context

ENOUGH = 5  # values of a metric, or half of the rows of a shorter log; fewer show no development (our own choice)
SAMPLES = "samples"  # stands among the metrics that were looked at when a run has nothing else
MOST_PROPOSED = 2000  # unknown columns that are compared with metrics; a log with more has one for each layer
GAINS = (
    "reward",
    "pref_",
    "policy",
    "kl",
    "advantage",
)  # a metric with this in its name shows that the run learns from more than a loss


def understanding(census: Census, context: Context, rows: int, *, samples: int = 0) -> Understanding:
    """What was understood of the rows so far. A finished log and a growing log with the same rows give the same.

    `samples`: the number of per-sample records that were looked at."""
    words = vocabulary()
    known: dict[str, str] = {}
    unknown: dict[str, Extent] = {}
    for name, extent in census.own():
        if name in context.names or words.canonical(name) is not None:
            known[name] = context.names.get(name, name)
        elif name != context.clock:
            unknown[name] = extent
    plain = not any(word in name for name in known for word in GAINS) and all(map(_evaluates, unknown))
    needs = needs_of(context.algorithm, framework=context.framework, plain=plain)
    least = max(1, min(ENOUGH, rows // 2))
    looked_at = tuple(dict.fromkeys(m for need in needs for m in need.metrics if census.count(m) >= least))
    met = [any(m in looked_at for m in need.metrics) for need in needs]
    if samples and not looked_at:
        looked_at = (SAMPLES,)
    unmet = [need for need, is_met in zip(needs, met, strict=True) if not is_met]
    return Understanding(
        state="judged" if not unmet else "partly" if looked_at else "not",
        goal=met[0],
        known=known,
        unknown=tuple(unknown),
        looked_at=looked_at,
        missing={part: names for need in unmet for part, names in need.parts.items()},
        field_map=_propose_map(unknown, known),
    )


def _evaluates(column: str) -> bool:
    return column.startswith(("eval_", "eval/", "test_", "test/"))


def _propose_map(unknown: Mapping[str, Extent], known: Mapping[str, str]) -> dict[str, str]:
    """{column: metric} for the unknown columns whose name and values fit a metric that the log lacks."""
    words = vocabulary()
    found = _by_name(tuple(unknown)[:MOST_PROPOSED])
    fitting: dict[str, str] = {}  # bounded: no metric is proposed twice
    for column, metric in found.items():
        extent = unknown[column]
        if metric not in known and extent.count and words.fits(metric, extent.low, extent.high, whole=False):
            fitting[column] = metric
    return fitting


@lru_cache(maxsize=16)
def _by_name(columns: tuple[str, ...]) -> dict[str, str]:
    from rldk.adapters.naming.first_rows import Opening  # only logs with unknown columns need these
    from rldk.adapters.naming.guess import proposed_map

    return proposed_map(Opening.of(columns))
