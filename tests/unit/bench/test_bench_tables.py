"""The tables of a measurement."""

from __future__ import annotations

from typing import Any

import pytest

from rldk.bench.document import flat
from rldk.bench.score import score
from rldk.bench.tables import list_findings, tables
from rldk.core.view import Table


def titled(many: list[Any], title: str) -> Table:
    return next(t for t in tables(score(many)) if t.title == title)


def test_runs_that_were_warned_or_not_named_are_listed_with_their_onset(make: Any) -> None:
    runs = [make("a", "none", ("KL001", 3)), make("b", "lr_jump", ("OPT003", 1100), ("KL001", 1180), onset=1200)]
    assert titled(runs, "Warned before the fault").rows == (
        ("b", "lr_jump", "1,200", "OPT003 warn at 1,100; KL001 warn at 1,180"),
    )
    assert titled([make("c", "lr_jump", onset=1200)], "Not named").rows == (("c", "lr_jump", "1,200", "nothing"),)
    false = next(t for t in tables(score(runs)) if t.rows and t.rows[0][0] == "a" and "onset" in t.heads)
    assert false.rows == (("a", "none", "-", "KL001 warn at 3"),)


def test_figures_say_how_many_runs_they_are_of(make: Any) -> None:
    table = titled([make("a"), make("b", "lr_jump", ("OPT003", 72))], "Figures")
    assert ("faults named", "1 of 1", "100 %") in [row[:3] for row in table.rows]
    assert "Delay from the onset to the name" in table.note
    assert "Delay" not in titled([make("a"), make("b", "lr_jump")], "Figures").note


@pytest.mark.parametrize(("count", "end"), [(1, "at 1"), (4, "at 4"), (5, "at 4; 1 more"), (6, "at 4; 2 more")])
def test_four_rules_are_listed_and_the_others_counted(make: Any, count: int, end: str) -> None:
    (run,) = [make("a", "none", *((f"KL00{i}", i) for i in range(1, count + 1)))]
    assert list_findings(run.said).endswith(end)


def test_shares_have_three_places(make: Any) -> None:
    healthy = [make("a", "none", ("KL001", 3, "critical")), make("b"), make("c")]
    faulty = [make("d", "lr_jump", ("OPT003", 72), ("KL001", 60)), make("e", "lr_jump"), make("f", "lr_jump")]
    found = flat(score([*healthy, *faulty]).summary)
    shares = {name: value for name, value in found.items() if name.endswith("_rate") or name.startswith("detected")}
    assert shares == dict.fromkeys(shares, 0.333)
    assert len(shares) == 5
