"""Bounds on the figures."""

from __future__ import annotations

from typing import Any

import pytest

from rldk.bench.gates import failed_gates, read_gates
from rldk.bench.score import score
from rldk.errors import UnknownName, UsageError


def test_a_bound_is_exact_and_holds_at_its_own_value(make: Any) -> None:
    results = [make(f"h{i}", "none", *([("KL001", 3)] if i == 0 else [])) for i in range(32)]
    summary = score(results).summary
    assert failed_gates(read_gates("clean=1/32,critical=0", least=False), summary) == []
    assert failed_gates(read_gates("clean=0.03", least=False), summary) == ["clean is 0.03125; it must be at most 0.03"]


def test_what_was_not_measured_holds_no_bound(make: Any) -> None:
    found = failed_gates(read_gates("named=0.9", least=True), score([make("h")]).summary)
    assert found == ["named is not measured: no such run; it must be at least 0.9"]


def test_names_and_numbers_are_checked() -> None:
    with pytest.raises(UnknownName, match="nmaed"):
        read_gates("nmaed=1", least=True)
    with pytest.raises(UsageError, match="gives no number"):
        read_gates("named", least=True)
