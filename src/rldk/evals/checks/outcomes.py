"""Whether the answers are right: the rate of a verifier, the chance with k tries, and what was forgotten."""

from __future__ import annotations

import numpy as np

from rldk.core.stats.clustered import Labels, codes_of
from rldk.core.stats.contrasts import pass_at_k
from rldk.core.stats.effects import paired_d_z
from rldk.core.stats.paired import false_discovery
from rldk.evals.facts import Measurement, effect_of, lacking, measured
from rldk.evals.intervals import LEAST, average, rate, smallest_difference
from rldk.evals.registry import EvalOptions, evaluation, limit_of
from rldk.evals.significance import normal_p
from rldk.evals.table import Array, EvalTable
from rldk.evals.verdicts import above

LEAST_PROMPTS = 10
MOST_K = 128
MOST_TASKS = 50


@evaluation("pass_rate", title="Pass rate", needs=("correct",))
def pass_rate(table: EvalTable, options: EvalOptions) -> tuple[Measurement, ...]:
    """The share of right answers, and where prompts have several answers the unbiased pass@k for k of 2, 4, 8 and so
    on, each as the mean over prompts. It has no rule: what is good is a question of the task, or of a baseline."""
    hits = table.flag("correct")
    there = np.isfinite(hits)
    cluster = table.clusters()
    own = None if cluster is None else cluster[there]
    if not there.any():
        return (lacking("pass_rate", "Pass rate", "no value of `correct` is 0 or 1", ("correct",)),)
    lead = measured(
        "pass_rate", "Pass rate", "info", rate(hits[there], own), share=True,
        detectable=smallest_difference(hits[there], own),
    )  # fmt: skip
    return (lead, *_with_tries(hits[there], own, options.seed)) if own is not None else (lead,)


def _with_tries(hits: Array, cluster: Labels, seed: int) -> list[Measurement]:
    label = codes_of(cluster)
    tries, right = np.bincount(label), np.bincount(label, weights=hits).astype(int)
    made, k = [], 2
    while k <= MOST_K:
        enough = tries >= k
        if int(enough.sum()) < LEAST_PROMPTS:
            break
        each = [pass_at_k(int(n), int(c), k) for n, c in zip(tries[enough], right[enough], strict=True)]
        found = average(np.array(each), None, seed=seed)
        left_out = int((~enough).sum())
        reason = f"{left_out:,} prompts have fewer than {k} answers and were left out" if left_out else ""
        made.append(measured(f"pass_at_{k}", f"pass@{k}", "info", found, share=True, reason=reason))
        k *= 2
    return made


@evaluation("forgetting", title="Forgetting", needs=("before", "after"), limit=0.02)
def forgetting(table: EvalTable, options: EvalOptions) -> tuple[Measurement, ...]:
    """The change of the score of each task by training, and whether a fall of 2 points is excluded (non-inferiority).

    A task passes where the whole interval of the paired difference is above -0.02, and fails where it is below; between
    them the data cannot tell. The margin is 2 % of the range of the scores where they are not within 0 and 1. P-values
    of a change are adjusted over the tasks (Benjamini and Hochberg)."""
    before, after = table.number("before"), table.number("after")
    there = np.isfinite(before) & np.isfinite(after)
    if int(there.sum()) < LEAST:
        return (lacking("forgetting", "Forgetting", f"needs {LEAST} rows with a score before and after"),)
    every = np.concatenate((before[there], after[there]))
    unit = 1.0 if every.min() >= 0 and every.max() <= 1 else float(np.ptp(every))
    margin = limit_of("forgetting", options) * unit
    rule = f"change above {-margin:.3g}" + ("" if unit == 1 else f" ({margin / unit:.3g} of the range of the scores)")
    task, names = table.labels("task"), table.names_of("task")
    chosen = [("all tasks", there)] if len(names) < 2 else []
    if len(names) >= 2:
        chosen = [(name, there & (task == code)) for code, name in enumerate(names[:MOST_TASKS])]
    cluster = table.clusters()
    made = []
    for name, rows in chosen:
        own = None if cluster is None else cluster[rows]
        gap = after[rows] - before[rows]
        key, title = ("forgetting", "Forgetting") if len(chosen) == 1 else (f"forgetting.{name}", f"Forgetting: {name}")
        if len(gap) < LEAST:
            made.append(lacking(key, title, f"needs {LEAST} rows with both scores; there are {len(gap)}"))
            continue
        found = average(gap, own, seed=options.seed)
        status, reason = above(found, -margin)
        made.append(
            measured(
                key,
                title,
                status,
                found,
                limit=-margin,
                rule=rule,
                reason=reason,
                effect=effect_of(paired_d_z(gap, own), "d_z"),
                detectable=smallest_difference(gap, own),
                p=normal_p(found),
            )
        )
    return adjusted(made)


def adjusted(made: list[Measurement]) -> tuple[Measurement, ...]:
    """The measurements with their p-values adjusted for their number (false discovery rate)."""
    from msgspec.structs import replace

    found = false_discovery([float("nan") if one.p is None else one.p for one in made])
    return tuple(one if one.p is None else replace(one, p_adjusted=p) for one, p in zip(made, found, strict=True))
