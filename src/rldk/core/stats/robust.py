"""Levels and scales that a few outliers do not move."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

MAD_TO_SD = 1.4826  # 1 / Phi^-1(3/4): makes the median absolute deviation estimate a normal standard deviation


def middle(ordered: Sequence[float]) -> float:
    """The median of sorted values. Raises `IndexError` without any."""
    n = len(ordered)
    return ordered[n // 2] if n % 2 else 0.5 * (ordered[n // 2 - 1] + ordered[n // 2])


def median(values: Iterable[float]) -> float:
    """The median. Raises `IndexError` without any value."""
    return middle(sorted(values))


def mad(values: Sequence[float], centre: float | None = None) -> float:
    """The median absolute deviation from `centre` (default: the median), times `MAD_TO_SD`: a robust standard
    deviation.

    It is 0 where more than half of the values are equal. Raises `IndexError` without any value."""
    at = median(values) if centre is None else centre
    return MAD_TO_SD * median([abs(v - at) for v in values])
