"""The plots of a report on rewards: their distribution, length, reliability, and the course of reward and gold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from rldk.core.view import Points
from rldk.reward.facts import RewardHealthFacts
from rldk.reward.table import Array
from rldk.rules.catalogue.scores.reward_ensemble import APART

BINS = 30
TAIL = 0.001  # of the rewards, beyond either end of the histogram: outliers would flatten it


def histogram(reward: Array) -> dict[str, Any]:
    """The share of finite rewards, shape (n,), in each of thirty bins; {} without a spread.

    "outside": the share beyond either end."""
    if not len(reward) or not float(np.ptp(reward)) > 0:
        return {}
    low, high = (
        np.quantile(reward, (TAIL, 1 - TAIL)).tolist() if len(reward) >= 1 / TAIL else (reward.min(), reward.max())
    )
    if not high > low:
        low, high = float(reward.min()), float(reward.max())
    narrow = BINS * float(np.spacing(max(abs(low), abs(high))))
    if high - low < narrow:  # neighbouring floats are farther apart than the edges of the bins would be
        low, high = low - narrow, high + narrow
    try:
        counts, edges = np.histogram(reward, BINS, (low, high))
    except ValueError:  # numbers so large, or so small, that no bins lie between them
        return {}
    middle = (edges[1:] + edges[:-1]) / 2
    share = counts / len(reward)
    if not np.isfinite(middle).all():
        return {}
    return {"x": [float(f"{v:.6g}") for v in middle], "y": [round(v, 6) for v in share.tolist()],
            "outside": round(1 - float(share.sum()), 6)}  # fmt: skip


def plots(report: RewardHealthFacts) -> Iterator[Points]:
    """What the report can draw, for a page."""
    spread = report.figures.get("reward")
    if isinstance(spread, dict) and spread:
        beyond = spread.get("outside", 0)
        rest = f" ({100 * beyond:.2g} % lie outside)" if beyond > 0 else ""
        yield Points(
            name="Distribution of the rewards", x=spread["x"], y=spread["y"],
            x_name=f"reward{rest}", y_name="share of answers", bars=True,
        )  # fmt: skip
    length = report.figures.get("length")
    if isinstance(length, dict):
        within = ", minus the mean of its prompt" if length.get("within") else ""
        unit = report.length_bias_metrics.unit if report.length_bias_metrics is not None else "characters"
        yield Points(
            name="Reward and length", x=length["x"], y=length["y"],
            x_name=f"length in {unit}{within}", y_name=f"reward{within}",
        )  # fmt: skip
    c = report.calibration_details
    if c is not None and c.said:
        yield Points(
            name=f"Reliability, from {c.source}", x=c.said, y=c.seen, x_name="probability that the scores say",
            y_name="share that was preferred" if "pairs" in c.source else "share of label 1",
            joined=True, ideal=((0.0, 0.0), (1.0, 1.0)),
        )  # fmt: skip
    if report.ensemble is not None and report.ensemble.curve:
        curve = report.ensemble.curve
        bound = APART * sum(curve[1:-1]) / len(curve[1:-1])
        yield Points(
            name=f"Disagreement of the scorers; dashed: {APART:g} times that on the middle answers",
            x=tuple(float(i) for i in range(1, len(curve) + 1)), y=curve, ideal=((1.0, bound), (len(curve), bound)),
            x_name="tenth of the answers, by rising reward", y_name="standard deviation between scorers", joined=True,
        )  # fmt: skip
    course = report.overoptimization
    if course is not None and course.x:
        for name, curve in (("Reward", course.reward_curve), ("Gold score", course.gold_curve)):
            yield Points(
                name=f"{name} over {course.over}",
                x=course.x,
                y=curve,
                x_name=course.over,
                y_name=name.lower(),
                joined=True,
            )
