"""Two measurements of one corpus."""

from __future__ import annotations

from typing import Any

from rldk.bench.compare import compare


def test_runs_gained_and_lost_are_named(make: Any) -> None:
    before = [make("a", "lr_jump"), make("b", "lr_jump", ("OPT003", 72)), make("h")]
    now = [make("a", "lr_jump", ("OPT003", 72)), make("b", "lr_jump"), make("h", "none", ("KL001", 4))]
    changes = {c.figure: c for c in compare(before, now).changes}
    assert (changes["named"].gained, changes["named"].lost) == (("a",), ("b",))
    assert changes["clean"].gained == ("h",)
    assert changes["named"].p == 1.0


def test_a_run_under_another_label_is_not_compared(make: Any) -> None:
    found = compare([make("a", "lr_jump"), make("b")], [make("a", "lr_jump", onset=20), make("c")])
    assert found.only_before == ("a", "b")
    assert found.only_now == ("a", "c")
    assert all(c.now.n == 0 for c in found.changes)
