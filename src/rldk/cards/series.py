"""Curves as a report carries them: thinned out so that every spike survives, in plain JSON types."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypedDict, cast

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rldk.core.table import MetricTable

POINTS = 600  # buckets of a curve: about one a pixel of the charts, each with its least and its largest value
MAX_GAPS = 200

# Metrics that are drawn first when they were logged: those that a practitioner looks at first.
KEY_METRICS = (
    "reward_mean", "reward_std", "kl", "kl_policy_update", "entropy", "clip_frac", "grad_norm", "loss", "policy_loss",
    "value_loss", "value_explained_variance", "ratio_mean", "advantage_mean", "advantage_std", "response_length_mean",
    "truncation_frac", "zero_std_group_frac", "pref_margin", "pref_accuracy", "pref_reward_chosen",
    "pref_reward_rejected", "token_accuracy", "lr", "kl_coef", "grad_norm_policy", "grad_norm_value",
    "eval_reward_mean",
)  # fmt: skip
MAX_KEY = 24


class Series(TypedDict):
    """A curve. `step` and `value` are equally long. None in `value` breaks the line (a restart).

    `gaps`: steps at which the source itself said NaN or infinity, at most `MAX_GAPS` of them, evenly chosen. `rows`:
    rows that had the metric before the curve was thinned out."""

    step: list[int]
    value: list[float | None]
    gaps: list[int]
    rows: int


def series_of(table: MetricTable, metric: str) -> Series:
    """The curve of one metric, from the phase in which it has most rows."""
    import numpy as np

    values = table.columns[metric]
    present = np.isfinite(values) | np.isinf(values)
    stated = table.stated_nan.get(metric)
    if stated is not None and len(stated):
        present = present.copy()
        present[stated] = True
    phase = np.bincount(table.phase[present], minlength=1).argmax()
    rows = np.flatnonzero(present & (table.phase == phase))
    finite = rows[np.isfinite(values[rows])]
    gaps = table.step[rows[~np.isfinite(values[rows])]]
    kept = finite[extremes(values[finite], POINTS)]
    steps, points = table.step[kept].tolist(), [float(f"{v:.6g}") for v in values[kept].tolist()]
    step, value = _broken(steps, points, table.segment[kept].tolist())
    return Series(step=step, value=value, gaps=gaps[_evenly(len(gaps), MAX_GAPS)].tolist(), rows=len(rows))


def extremes(values: NDArray[np.float64], buckets: int) -> NDArray[np.int64]:
    """Indices of the least and the largest value in each of `buckets` equal ranges of rows, ascending. All indices when
    there are few."""
    import numpy as np

    n = len(values)
    if n <= 2 * buckets:
        return np.arange(n)
    edges = np.linspace(0, n, buckets + 1).astype(np.int64)
    chosen = {0, n - 1}
    for start, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        part = values[start:stop]
        chosen.update((start + int(part.argmin()), start + int(part.argmax())))
    return np.array(sorted(chosen), dtype=np.int64)


def key_series(
    table: MetricTable, first: Iterable[str], canonical: Iterable[str], only: Container[str] | None = None
) -> dict[str, Series]:
    """The curves of a report: the metrics of its findings (`first`), then key ones, then other canonical ones.

    `only`: the metrics whose curves are kept; None means all."""
    wanted = list(dict.fromkeys(first))
    wanted += [m for m in dict.fromkeys((*KEY_METRICS, *canonical)) if m not in wanted][: MAX_KEY * 4]
    drawn = ((m, series_of(table, m)) for m in wanted if m in table.columns and (only is None or m in only))
    worth = [(m, s) for m, s in drawn if s["rows"] > 1 or s["gaps"]]
    return dict(worth[: max(MAX_KEY, len(set(first)))])


def report_series(meta: Mapping[str, Any]) -> dict[str, Series]:
    """The curves in a report's meta, {} when it carries none."""
    return cast("dict[str, Series]", meta.get("series") or {})


def _evenly(n: int, limit: int) -> NDArray[np.int64]:
    import numpy as np

    return np.unique(np.linspace(0, n - 1, min(n, limit)).round().astype(np.int64))


def _broken(steps: list[int], values: list[float], segments: list[int]) -> tuple[list[int], list[float | None]]:
    """Puts a None between two segments: a restarted run draws two lines, not one that runs backwards."""
    step: list[int] = []
    value: list[float | None] = []
    for i, (s, v, segment) in enumerate(zip(steps, values, segments, strict=True)):
        if i and segment != segments[i - 1]:
            step.append(s)
            value.append(None)
        step.append(s)
        value.append(v)
    return step, value
