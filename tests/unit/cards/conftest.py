from __future__ import annotations

import math

import pytest

from rldk.cards.series import key_series
from rldk.core.model import Check, Finding, Incident, Note, Report
from rldk.testing import run_of

EVIL = '<img src=x onerror=alert(1)>\x1b]0;owned\x07"\u202e'


def finding(code: str, first: int, last: int, metric: str, **more: object) -> Finding:
    base: dict[str, object] = {
        "name": "reward-std-zero", "family": code.rstrip("0123456789"), "severity": "warn", "tier": 0, "value": 0.0,
        "limit": 0.01, "message": f"{metric} is exactly 0", "incident": 1,
    }  # fmt: skip
    return Finding(code=code, first_step=first, last_step=last, metric=metric, **{**base, **more})  # type: ignore[arg-type]


@pytest.fixture
def report() -> Report:
    """A run with one critical incident of two findings and one of no consequence; its strings are hostile."""
    run = run_of({"reward_std": [0.4, 0.3, 0.5, 0.0, 0.0, 0.0], "grad_norm": [1.0, 2.0, 1.0, 1.0, 0.0, math.nan]})
    findings = (
        finding(
            "REW003", 4, 6, "reward_std", severity="critical", causes=("the policy collapsed",), fixes=("lower `beta`",)
        ),
        finding("GRAD002", 5, 6, "grad_norm", value=math.nan, message=EVIL),
        finding("ENT001", 2, 2, "entropy", severity="info", incident=2),
    )
    lead = findings[0]
    incidents = (
        Incident(
            id=1, title=lead.message, severity="critical", first_step=4, last_step=6, first_mover="reward_std",
            codes=("REW003", "GRAD002"), causes=lead.causes, fixes=lead.fixes,
        ),
        Incident(id=2, title="x", severity="info", first_step=2, last_step=2, first_mover="entropy", codes=("ENT001",)),
    )  # fmt: skip
    return Report(
        kind="diagnosis",
        passed=False,
        verdict="Critical since step 4: reward_std is exactly 0.",
        findings=findings,
        incidents=incidents,
        checked=("REW003", "GRAD002", "ENT001"),
        skipped=(
            Check(code="VAL001", name="a", status="skipped", reason="needs value_loss", needs=("value_loss",)),
            Check(code="VAL002", name="b", status="skipped", reason="needs value_loss", needs=("value_loss",)),
            Check(code="PREF001", name="c", status="not_applicable", reason="not for grpo"),
        ),
        notes=(Note(topic="grpo-loss-zero", text="The loss is 0 at the first step."),),
        numbers={"rows": 6, "first_step": 1, "last_step": 6, "lines": 9, "rejected": 1, "metrics": 2},
        meta={
            "run": "run1",
            "source": f"runs/{EVIL}",
            "format": "jsonl",
            "names": {"reward_std": EVIL},
            "rejected": [{"line": 3, "reason": EVIL, "excerpt": EVIL}],
            "series": key_series(run.metrics, ["reward_std", "grad_norm"], []),
        },
    )
