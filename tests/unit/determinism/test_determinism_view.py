"""The view of a determinism check as a whole text: each kind of result, with everything that a report may hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from layout import laid_out
from msgspec.structs import replace

from rldk.core.model import Check, Finding, Note
from rldk.determinism.facts import ReplicaExperiment, ReplicaOutcome
from rldk.determinism.growth import DifferenceGrowth
from rldk.determinism.report import DeterminismReport
from rldk.determinism.suspects import Suspect
from rldk.engine.compare.mismatches import FirstDivergence, Mismatch


def _finding(severity: Any) -> Finding:
    return Finding(
        code="DET001",
        name="replicas-differ",
        family="DET",
        severity=severity,
        tier=0,
        first_step=12,
        last_step=40,
        metric="loss",
        value=0.25,
        limit=0.0,
        message="replicas differ",
        causes=("a cause",),
        fixes=("a fix",),
    )


def _replica(number: int, **more: Any) -> ReplicaOutcome:
    given: dict[str, Any] = {"name": f"replica-{number}", "role": "replica", "seed": 7, "code": 0, "seconds": 1.26}
    return ReplicaOutcome(**{**given, "folder": f"out/{number}", "rows": 1200, **more})


AGREES = DeterminismReport(
    kind="determinism",
    passed=True,
    verdict="The replicas agree.",
    checked=("DET001",),
    numbers={"replicas": 2},
    replicas=(_replica(1), _replica(2)),
    meta={
        "run": "train.py",
        "source": "python train.py",
        "script": "src/train.py",
        "folder": "out",
        "read_from": "what it prints",
        "metrics": ["loss"],
    },
)
DIFFERS = replace(
    AGREES,
    passed=False,
    verdict="The replicas differ.",
    classification="chaotic",
    findings=(_finding("critical"),),
    first_divergence=FirstDivergence(step=1234, metric="loss", share=0.25, values=(0.5, 0.625)),
    suspects=(
        Suspect(
            code="DET042",
            name="cudnn-benchmark",
            where="train.py:14",
            text="cudnn.benchmark = True",
            message="chooses by timing",
            score=2.0,
        ),
        Suspect(code="DET050", name="variable-not-fit", where="", text="", message="a variable is not fit", score=1.0),
    ),
    fixes=("switch it off",),
    mismatches=(
        Mismatch(metric="loss", step=1234, share=0.25, ulps=12.0, unequal=1001, steps=2000),
        Mismatch(metric="kl", step=None, share=0.0, ulps=0.0, unequal=0, steps=2000, missing=3),
    ),
    growth=(
        DifferenceGrowth(
            metric="loss",
            unequal=1001,
            first_step=1234,
            first_share=2e-16,
            largest_step=1990,
            largest=0.25,
            near_step=1734,
            grows=True,
            step=(1200, 1234, 1734, 1990),
            share=(0.0, 2e-16, 0.03, 0.25),
        ),
    ),
    experiments=(
        ReplicaExperiment(role="stress", source="other threads", equal=False, message=""),
        ReplicaExperiment(role="counterfactual", source="dropout off", equal=True, message=""),
        ReplicaExperiment(role="counterfactual", source="workers off", equal=None, message="it failed"),
    ),
    replicas=(
        _replica(1),
        _replica(2, problem="it was ended after 600 s", code=None),
        _replica(3, role="control", seed=None),
    ),
    rng_map={
        "torch": {"seeded_at": ["train.py:3"], "draws": 2},
        "numpy": {"seeded_at": [], "draws": 1},
        "random": {"seeded_at": [], "draws": 0},
    },
    dataloader_notes=("train.py:9: workers without a generator",),
    skipped=(Check(name="DET029", code="DET029", status="skipped", reason="needs {seed}"),),
    notes=(
        Note(topic="proof", text="switching it off makes them agree"),
        Note(topic="load", text="the machine was busy"),
    ),
    meta={**AGREES.meta, "metrics": [f"m{i}" for i in range(7)]},
)
REPORTS = {
    "agrees": AGREES,
    "differs": DIFFERS,
    "a warning": replace(
        DIFFERS, findings=(_finding("warn"),), classification="numerically close", first_divergence=None
    ),
    "the seed is ignored": replace(AGREES, passed=False, classification="seed ignored", findings=(_finding("warn"),)),
}


def test_golden_determinism(golden: Callable[[str, str], None]) -> None:
    golden("determinism.txt", "\n\n".join(f"== {name}\n{laid_out(one.view())}" for name, one in REPORTS.items()))


@pytest.mark.parametrize(
    ("name", "badge"), [("agrees", "REPEATABLE"), ("differs", "DIFFERS"), ("the seed is ignored", "SEED IGNORED")]
)
def test_the_badge_says_what_was_found(name: str, badge: str) -> None:
    assert REPORTS[name].view().badge == badge
