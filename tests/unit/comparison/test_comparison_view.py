"""The view of a comparison of groups as a whole text, for each outcome."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from layout import laid_out
from msgspec.structs import replace

from rldk.comparison.facts import GroupContrast, GroupScore
from rldk.comparison.report import ComparisonReport
from rldk.comparison.view import comparison_verdict
from rldk.core.model import Check, Note


def _score(group: str, **more: Any) -> GroupScore:
    given: dict[str, Any] = {
        "group": group,
        "metric": "reward_mean",
        "scores": (0.4, 0.5, 0.6),
        "iqm": 0.5,
        "low": 0.41,
        "high": 0.59,
        "spread": 0.1,
        "steps": 1200.0,
        "reached": 3,
        "levels": (0.4, 0.5),
        "profile": (1.0, 0.667),
        "profile_low": (0.44, 0.21),
        "profile_high": (1.0, 0.94),
    }
    return GroupScore(**{**given, **more})


def _report(outcome: Any = None, **more: Any) -> ComparisonReport:
    contrasts = [GroupContrast(**{"group": "new", "metric": "reward_mean", "outcome": outcome, "gap": -0.25, **more})]
    made = ComparisonReport(
        kind="comparison",
        passed=outcome != "worse",
        verdict="",
        baseline="base",
        metrics=("reward_mean", "kl"),
        groups={"base": ("s1", "s2", "s3"), "new": ("n1", "n2", "n3")},
        scores=(
            _score("base"),
            _score(
                "new",
                iqm=0.25,
                low=None,
                high=None,
                steps=None,
                reached=1,
                spread=None,
                profile=(),
                profile_low=(),
                profile_high=(),
            ),
        ),
        contrasts=tuple(contrasts if outcome else ()),
        checked=("reward_mean",),
        numbers={"runs": 6},
        meta={"source": "runs"},
    )
    return replace(made, verdict=comparison_verdict(made))


SURE: dict[str, Any] = {"low": -0.4, "high": -0.1, "improvement": 0.05, "seeds": 4}
REPORTS = {
    "worse": _report("worse", **SURE),
    "better": _report("better", **{**SURE, "gap": 0.25, "low": 0.1, "high": 0.4, "improvement": 0.95}),
    "different": _report("different", **SURE),
    "not enough evidence, 999 seeds": _report("not enough evidence", **{**SURE, "seeds": 999}),
    "not enough evidence, 1,000 seeds": _report("not enough evidence", **{**SURE, "seeds": 1000, "gap": 0.0}),
    "too few seeds": _report("too few seeds"),
    "one group": replace(
        _report(),
        skipped=(Check(name="kl", code="kl", status="skipped", reason="no kl"),),
        notes=(Note(topic="t", text="a note"),),
    ),
}


def test_golden_comparison(golden: Callable[[str, str], None]) -> None:
    golden("comparison.txt", "\n\n".join(f"== {name}\n{laid_out(one.view())}" for name, one in REPORTS.items()))
