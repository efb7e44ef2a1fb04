"""Fixed prompts over the steps of a training: what is lost, and from which step on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rldk.evals import run
from rldk.evals.suites import Suite

ONLY = Suite(name="x", description="", evaluations=("probes", "probe_logprob"))


def asked(lost: int, *, probes: int = 60, onset: int = 300) -> list[dict[str, Any]]:
    """Probes that are asked every 100 steps; the first `lost` of them are answered wrongly from step `onset` on."""
    return [
        {"probe": f"capital-{p}", "step": s, "response": " Paris" if not (p < lost and s >= onset) else "London",
         "gold": "paris"}
        for s in range(0, 600, 100)
        for p in range(probes)
    ]  # fmt: skip


def test_what_was_lost_and_when() -> None:
    one = run(asked(12), ONLY).raw_results["probes"]
    assert (one.status, one.value, one.limit) == ("fail", pytest.approx(-0.2), -0.02)
    assert one.title == "Probes: change from step 0 to 500"
    assert one.details["worse_from_step"] == 300
    assert one.details["lost"][:2] == ["capital-0", "capital-1"]
    assert one.details["course"][2:4] == [[200.0, 1.0], [300.0, 0.8]]
    assert one.p == pytest.approx(2 / 2**12)
    assert "from step 300 on; lost: capital-0, capital-1" in one.reason


def test_what_is_kept_passes_and_one_loss_is_undecided() -> None:
    kept = run(asked(0), ONLY).raw_results["probes"]
    assert (kept.status, kept.value, kept.low, kept.reason) == ("pass", 0.0, 0.0, "")
    one = run(asked(1), ONLY).raw_results["probes"]
    assert (one.status, one.details["worse_from_step"]) == ("warn", None)
    assert one.reason.endswith("lost: capital-0")


def test_a_log_probability_falls_before_an_answer_changes() -> None:
    rng = np.random.default_rng(0)
    rows = [
        {"probe": p, "step": s, "correct": True, "expected_logprob": -1.0 - 0.1 * s + rng.normal(0, 0.05)}
        for s in range(6)
        for p in range(30)
    ]
    found = run(rows, ONLY).raw_results
    assert (found["probes"].status, found["probe_logprob"].status) == ("pass", "fail")
    assert found["probe_logprob"].details["worse_from_step"] in (1, 2)
    still = [{**row, "expected_logprob": -1.0 + rng.normal(0, 0.05)} for row in rows]
    assert run(still, ONLY).raw_results["probe_logprob"].status == "pass"


def test_what_it_needs() -> None:
    assert "`probe`" in run([{"correct": 1, "step": 1}] * 20, ONLY).not_available["probes"]
    once = [{"probe": p, "step": 5, "correct": 1} for p in range(20)]
    assert "two steps" in run(once, ONLY).not_available["probes"]
    apart = [{"probe": p, "step": p % 2, "correct": 1} for p in range(40)]
    assert "there are 0" in run(apart, ONLY).not_available["probes"]


@pytest.mark.slow
def test_probes_that_only_flicker_hardly_ever_fail() -> None:
    """Without any change the whole interval is below the limit in at most 2.5 of a hundred trainings."""
    failed = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        ease = rng.uniform(0.3, 0.95, 60)
        rows = [{"probe": p, "step": s, "correct": bool(rng.random() < ease[p])} for s in range(4) for p in range(60)]
        failed += run(rows, ONLY).raw_results["probes"].status == "fail"
    assert failed / 300 <= 0.025
