"""Names of columns in a sentence: as many as fit, at least one, and the number of the others."""

from __future__ import annotations

from examples import each_of

from rldk.core.model import Understanding
from rldk.engine.report.verdict import shortfall


@each_of(
    ("unknown", "said"),
    [
        (["a" * 60], "a" * 60),
        (["a" * 61], "a" * 57 + "..."),
        (["a", "b", "c", "d"], "a, b, c, d"),
        (["a", "b", "c", "d", "e"], "a, b, c, d and 1 more"),
        (["a" * 29, "b" * 29], "a" * 29 + ", " + "b" * 29),
        (["a" * 29, "b" * 30], "a" * 29 + " and 1 more"),
        (["a" * 70, "b"], "a" * 57 + "... and 1 more"),
        ([f"c{i}" for i in range(1004)], "c0, c1, c2, c3 and 1,000 more"),
    ],
)
def test_as_many_names_as_fit_are_listed(unknown: list[str], said: str) -> None:
    understood = Understanding(state="partly", missing={"a reward": ("reward_mean",)}, unknown=tuple(unknown))
    assert shortfall(understood) == f"Not looked at: a reward; not read: {said}"
