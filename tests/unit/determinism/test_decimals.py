"""With how many decimals the values of a log are written."""

from __future__ import annotations

from examples import each_of

from rldk.engine.replicas.reading import decimals_of
from rldk.testing import run_of


@each_of(
    ("values", "decimals"),
    [
        ([0.5, 0.25], 2),
        ([1.0, 2.0], 1),
        ([0.1234], 4),
        ([1e-9], None),
        ([1 / 3], None),
        ([0.5] * 199 + [0.125], 3),
        ([0.5] * 200 + [0.125], 1),  # two hundred values are looked at
        ([float("nan")] * 5 + [0.25], 2),
    ],
)
def test_decimals_are_those_of_the_longest_value(values: list[float], decimals: int | None) -> None:
    assert decimals_of(run_of({"loss": values}), ["loss"]) == decimals
