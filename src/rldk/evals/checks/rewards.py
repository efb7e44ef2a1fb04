"""The reward: how high it is, whether it rises, whether it goes with length, and whether its model ranks pairs well."""

from __future__ import annotations

import numpy as np

from rldk.core.stats.clustered import Labels, clustered_difference
from rldk.core.stats.coupling import overall, within_groups
from rldk.core.stats.effects import hedges_g
from rldk.core.stats.estimates import Estimate
from rldk.core.stats.serial import serial_mean
from rldk.evals.facts import Measurement, MeasureState, effect_of, known, lacking, measured
from rldk.evals.intervals import LEAST, average, rate, smallest_difference
from rldk.evals.registry import EvalOptions, evaluation, limit_of
from rldk.evals.table import Array, EvalTable
from rldk.evals.verdicts import above

SHARE = 0.2  # of the steps at either end
LEAST_PAIRS = 30
MOST_TASKS = 50
LENGTH_BIAS = "Length bias"


@evaluation("reward", title="Reward", needs=("reward",))
def reward(table: EvalTable, options: EvalOptions) -> tuple[Measurement, ...]:
    """The mean reward, and where steps are known the gain from the first fifth of the steps to the last one."""
    values = table.number("reward")
    there = np.isfinite(values)
    cluster = table.clusters()
    if not there.any():
        return (lacking("reward", "Mean reward", "no reward is a finite number", ("reward",)),)
    own = None if cluster is None else cluster[there]
    if table.per_step:
        found = serial_mean(values[there])
    elif np.isin(values[there], (0.0, 1.0)).all():
        found = rate(values[there], own)
    else:
        found = average(values[there], own, seed=options.seed)
    if float(np.ptp(values[there])) == 0:
        found = Estimate(value=found.value, n=found.n, clusters=found.clusters, method="all values are equal")
    smallest = None if table.per_step else smallest_difference(values[there], own)
    mean = measured("reward", "Mean reward", "info", found, detectable=smallest)
    return (mean, _gain(table, values)) if "step" in table.cells else (mean,)


def _gain(table: EvalTable, values: Array) -> Measurement:
    """Late minus early. It fails where the whole interval is below 0, and passes where it is above -MDE: a fall as
    large as the data would show is excluded."""
    title = "Reward gain"
    step = table.number("step")
    there = np.isfinite(values) & np.isfinite(step)
    step, values = step[there], values[there]
    unique = np.unique(step)
    if len(unique) < 10:
        return lacking("reward_gain", title, f"needs 10 steps or more; there are {len(unique)}", ("step",))
    width = max(2, round(SHARE * len(unique)))
    first, last = step <= unique[width - 1], step >= unique[-width]
    early, late = values[first], values[last]
    cluster = table.clusters()
    if table.per_step:
        found = _serial_difference(late, early)
    else:
        own = None if cluster is None else cluster[there]
        sides = (None, None) if own is None else (own[last], own[first])
        found = clustered_difference(late, early, *sides)
    if not float(np.ptp(np.concatenate((late, early)))) > 0:
        return lacking("reward_gain", title, "all rewards at both ends are equal, so that no gain could show")
    if not found.bounded:
        return measured("reward_gain", title, "info", found, reason=found.method)
    smallest = 2.8016 * (found.high - found.low) / 2 / 1.96
    status, reason = above(found, -smallest)
    if found.high < 0:
        status, reason = "fail", "the reward has fallen"
    return measured(
        "reward_gain", title, status, found, limit=-smallest, reason=reason, detectable=smallest,
        rule="no fall that the data would show", effect=effect_of(hedges_g(late, early), "Hedges g"),
        details={"early": float(early.mean()), "late": float(late.mean()), "steps": len(unique)},
    )  # fmt: skip


def _serial_difference(late: Array, early: Array) -> Estimate:
    """The difference of two means over steps that are far apart, with the intervals of both put together."""
    a, b = serial_mean(late), serial_mean(early)
    value = a.value - b.value
    if not (a.bounded and b.bounded):
        return Estimate(value=value, n=a.n + b.n, method="too few steps at either end for an interval")
    low = value - float(np.hypot(a.value - a.low, b.high - b.value))
    high = value + float(np.hypot(a.high - a.value, b.value - b.low))
    return Estimate(value=value, low=low, high=high, n=a.n + b.n, clusters=a.clusters + b.clusters, method=a.method)


@evaluation("length_bias", title="Length bias", needs=("reward", "n_tokens|response"), limit=0.35)
def length_bias(table: EvalTable, options: EvalOptions) -> tuple[Measurement, ...]:
    """The rank correlation of reward and length among the answers to a prompt, as a strength from 0 to 1.

    It fails where the whole interval is beyond the limit of 0.35. Where prompts have one answer each it is the
    correlation over the answers of a task, where hard prompts may have long answers: it then warns at most. Of several
    tasks, ranks are those within a task, so that a task of long answers and high scores makes no bias; each task is
    measured on its own, too. Source: partial Spearman correlation given the prompt; the limit is a judgement."""
    length = table.number("n_tokens")
    if "n_tokens" not in table.cells:
        length = np.array([np.nan if text is None else float(len(text)) for text in table.texts("response")])
    values, cluster = table.number("reward"), table.clusters()
    there = np.isfinite(length) & np.isfinite(values)
    if int(there.sum()) < LEAST_PAIRS:
        reason = f"needs {LEAST_PAIRS} answers with a reward and a length"
        return (lacking("length_bias", LENGTH_BIAS, reason, ("reward",)),)
    limit = limit_of("length_bias", options)
    sides = values[there], length[there], None if cluster is None else cluster[there]
    task, names = table.labels("task")[there], table.names_of("task")
    whole = _bias(("length_bias", LENGTH_BIAS), sides, task, limit)
    if len(names) < 2:
        return (whole,)
    made = []
    for code, name in enumerate(names[:MOST_TASKS]):
        own = task == code
        if int(own.sum()) >= LEAST_PAIRS:
            part = sides[0][own], sides[1][own], None if sides[2] is None else sides[2][own]
            made.append(_bias((f"length_bias.{name}", f"{LENGTH_BIAS}: {name}"), part, task[own], limit))
    return (whole, *(one for one in made if one.status != "not_available"))


def _bias(named: tuple[str, str], sides: tuple[Array, Array, Labels | None], task: Labels, limit: float) -> Measurement:
    """The correlation within prompts that have several answers, else within tasks. `sides`: reward, length, prompt."""
    values, length, cluster = sides
    name, title = named
    grouped = cluster is not None and len(np.unique(cluster)) < len(values)
    several = len(np.unique(task)) > 1
    if grouped and cluster is not None:
        found = within_groups(values, length, cluster)
    else:
        found = overall(values, length, task if several else None)
    if found.rho != found.rho:
        among = "to a prompt" if grouped else "of a task" if several else ""
        reason = f"needs rewards and lengths that differ among the answers {among}".rstrip()
        return lacking(name, title, reason)
    strength, least = abs(found.rho), found.least
    status: MeasureState = "fail" if least > limit else "warn" if strength > limit else "pass"
    told = f"{'longer' if found.rho > 0 else 'shorter'} answers get more reward"
    if not grouped:
        status = "warn" if status == "fail" else status
        why = "prompts are not known" if cluster is None else "each prompt has one answer"
        told += f"; {why}, so that it may be the prompts"
    method = "partial Spearman given the prompt" if grouped else "Spearman within tasks" if several else "Spearman"
    return Measurement(
        name=name, title=title, status=status, value=strength, low=known(least),
        high=known(max(abs(found.low), abs(found.high))), n=found.n, clusters=found.groups, limit=limit,
        rule=f"strength below {limit:g}", reason=told if status != "pass" else "", method=method,
        details={"rho": found.rho, "low": known(found.low), "high": known(found.high), "within_prompts": grouped},
    )  # fmt: skip


@evaluation("reward_model", title="Reward model", needs=("chosen_score", "rejected_score"), limit=0.5)
def reward_model(table: EvalTable, options: EvalOptions) -> tuple[Measurement, ...]:
    """The share of pairs in which the better answer has the higher score; a tie counts half. Chance is 0.5."""
    chosen, rejected = table.number("chosen_score"), table.number("rejected_score")
    there = np.isfinite(chosen) & np.isfinite(rejected)
    if int(there.sum()) < LEAST:
        return (lacking("reward_model", "Pairwise accuracy", f"needs {LEAST} pairs with both scores"),)
    gap = chosen[there] - rejected[there]
    hits = np.where(gap > 0, 1.0, np.where(gap < 0, 0.0, 0.5))
    cluster = table.clusters()
    found = rate(hits, None if cluster is None else cluster[there])
    limit = limit_of("reward_model", options)
    status, reason = above(found, limit)
    details = {"ties": float((gap == 0).mean()), "margin": float(gap.mean())}
    return (
        measured(
            "reward_model", "Pairwise accuracy", status, found, limit=limit, rule=f"above {limit:.0%}", reason=reason,
            share=True, details=details,
        ),
    )  # fmt: skip
