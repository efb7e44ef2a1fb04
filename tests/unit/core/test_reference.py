from __future__ import annotations

import math
import random

from rldk.core.reference import Reference
from rldk.engine.reference import baseline
from rldk.engine.scan import scan
from rldk.rules.select import select_rules
from rldk.testing import run_of

STEPS = list(range(1, 61))


def noisy(level: float, seed: int) -> list[float]:
    rng = random.Random(seed)
    return [level * math.exp(rng.gauss(0, 0.05)) for _ in STEPS]


def approved() -> Reference:
    return baseline(run_of({"grad_norm": noisy(1.0, 1), "lr": [1e-3] * 60, "entropy": noisy(2.0, 2)}))


def test_levels_follow_the_run_and_end_with_it() -> None:
    reference = Reference({"kl": (STEPS, [float(s) for s in STEPS])})
    assert reference.level("kl", 30) == 30.0
    assert math.isnan(reference.level("kl", 64))
    assert math.isnan(reference.level("entropy", 30))


def test_a_restarted_reference_counts_as_it_went_on() -> None:
    reference = Reference({"kl": ([1, 2, 3, 2, 3, 4], [1.0, 9.0, 9.0, 2.0, 3.0, 4.0])})
    assert reference.level("kl", 2) == 2.5


def test_a_fault_from_the_first_step_is_seen_against_an_approved_run() -> None:
    run = run_of({"grad_norm": noisy(9.0, 3), "lr": [1e-2] * 60})
    rules = select_rules(["GRAD002", "OPT003"])
    found = [(f.code, f.first_step) for f in scan(run, rules, approved()).findings]
    assert found == [("GRAD002", 5), ("OPT003", 5)]
    assert scan(run, rules).findings == ()


def test_another_seed_of_the_approved_run_is_quiet() -> None:
    run = run_of({"grad_norm": noisy(1.6, 5), "lr": [1e-3] * 60, "entropy": noisy(1.8, 6)})
    assert scan(run, select_rules(["GRAD", "OPT", "ENT"]), approved()).findings == ()
