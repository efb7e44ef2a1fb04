"""By how much two values of a signal differ, where one of them is no usual number."""

from __future__ import annotations

import math

import numpy as np
import pytest
from examples import each_of

from rldk.diff.questions import _relative


@each_of(
    ("a", "b", "share"),
    [
        (1.0, 1.0, 0.0),
        (2.0, 1.0, 0.5),
        (-1.0, 1.0, 2.0),
        (0.0, 0.01, 0.02),  # both are small beside the usual size, 0.5
        (math.nan, math.nan, 0.0),
        (math.nan, 1.0, 1.0),
        (1.0, math.inf, 1.0),
        (math.inf, math.inf, 0.0),
        (-1.7e308, 1.7e308, 1.0),  # more than a double can hold
    ],
)
def test_a_difference_is_a_share_of_the_larger_value_or_all_of_it(a: float, b: float, share: float) -> None:
    assert _relative(np.array([a]), np.array([b]), 0.5)[0] == pytest.approx(share)
