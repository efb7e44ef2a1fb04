"""Order statistics, against numpy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rldk.core.stats.order import quantile

floats = st.floats(-1e6, 1e6)


@given(st.lists(floats, min_size=1), st.floats(0, 1))
def test_quantile_is_that_of_numpy(values: list[float], share: float) -> None:
    assert quantile(values, share) == pytest.approx(np.quantile(values, share), rel=1e-9, abs=1e-9)


def test_nothing_has_no_quantile() -> None:
    assert math.isnan(quantile([], 0.5))
