"""The course of a run: findings on KL, entropy and length, and the speed of generation."""

from __future__ import annotations

import numpy as np

from rldk.core.stats.estimates import Estimate
from rldk.core.stats.serial import serial_mean
from rldk.evals.facts import Measurement, MeasureState, lacking, measured
from rldk.evals.registry import EvalOptions, evaluation, limit_of
from rldk.evals.table import EvalTable
from rldk.evals.verdicts import above

METRICS = ("kl", "entropy", "response_length_mean")
FAMILIES = "KL,ENT,LEN"
STALL = 0.1  # of the median speed
LEAST = 60  # answers


@evaluation("state", title="KL, entropy and length", needs=("run",))
def state(table: EvalTable, options: EvalOptions) -> Measurement:  # noqa: ARG001 - all evaluations take options
    """What the rules on KL, entropy and length find in the run: a critical finding fails, a warning warns.

    The rules and their false-alarm rates are those of `rldk doctor`."""
    title = "KL, entropy and length"
    metrics = () if table.run is None else tuple(n for n in METRICS if n in table.run.metrics.columns)
    if not metrics:
        return lacking("state", title, "needs a run with kl, entropy or response lengths over its steps", METRICS)
    from rldk.engine.scan import scan
    from rldk.rules.chosen import chosen_rules

    report = scan(table.run, chosen_rules("default", FAMILIES))
    loud = [f for f in report.findings if f.severity in ("warn", "critical")]
    grave = sum(f.severity == "critical" for f in loud)
    status: MeasureState = "fail" if grave else "warn" if loud else "pass" if report.checked else "not_available"
    reason = "; ".join(f"{f.code} {f.message}" for f in loud[:3])
    n = len(table.run.metrics)
    return measured(
        "state", title, status, Estimate(value=float(len(loud)), n=n, clusters=n, method="rules of rldk doctor"),
        rule="no finding", reason=reason, details={"codes": [f.code for f in loud], "metrics": list(metrics)},
        findings=tuple(report.findings),
    )  # fmt: skip


@evaluation("throughput", title="Throughput", needs=("n_tokens", "seconds"), limit=0.1)
def throughput(table: EvalTable, options: EvalOptions) -> tuple[Measurement, ...]:
    """Tokens in a second, and by which share the last third is slower than the first one. A fall above 10 % fails."""
    tokens, seconds = table.number("n_tokens"), table.number("seconds")
    there = (seconds > 0) & np.isfinite(tokens)
    speed = tokens[there] / seconds[there]
    if len(speed) < LEAST:
        reason = f"needs {LEAST} answers with tokens and seconds"
        return (lacking("throughput", "Tokens in a second", reason, ("n_tokens", "seconds")),)
    middle = float(np.median(speed))
    stalls = int((speed < STALL * middle).sum())
    mean = serial_mean(speed)
    lead = measured(
        "throughput", "Tokens in a second", "info", mean, details={"median": middle, "stalls": stalls},
        reason=f"{stalls:,} answers took ten times as long as usual" if stalls else "",
    )  # fmt: skip
    third = len(speed) // 3
    first, last = serial_mean(speed[:third]), serial_mean(speed[-third:])
    limit = limit_of("throughput", options)
    change = _relative(last, first)
    status, reason = above(change, -limit)
    slower = measured(
        "throughput_change", "Change of throughput", status, change, limit=-limit, reason=reason, share=True,
        rule=f"no fall of more than {limit:.0%}",
    )  # fmt: skip
    return lead, slower


def _relative(last: Estimate, first: Estimate) -> Estimate:
    """last / first - 1, with the interval of the log ratio."""
    if not (last.bounded and first.bounded and min(last.low, first.low) > 0):
        value = last.value / first.value - 1 if first.value else float("nan")
        return Estimate(value=value, n=last.n + first.n, method="too few answers for an interval")
    ratio = last.value / first.value
    wide = [np.log(x.high / x.low) / 2 for x in (last, first)]
    factor = float(np.exp(np.hypot(*wide)))
    n, clusters = last.n + first.n, last.clusters + first.clusters
    method = "log ratio of two serial means"
    return Estimate(
        value=ratio - 1, low=ratio / factor - 1, high=ratio * factor - 1, n=n, clusters=clusters, method=method
    )
