"""The view of a comparison of two runs as a whole text, for each question that it answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from layout import laid_out
from msgspec.structs import replace

from rldk.core.model import Check, Note
from rldk.diff.facts import SignalDivergence
from rldk.diff.report import DivergenceReport
from rldk.diff.view import verdict_of

SERIES = {"step": [1, 2, 3], "a": [0.1, 0.2, 0.3], "b": [0.1, 0.25, 0.5]}
PARTED = SignalDivergence(
    signal="reward", n=300, diverged=True, first_step=1200, onset=1190, score=2.5, p=0.001, a=0.5, b=0.25, kind="change"
)
GROWN = SignalDivergence(
    signal="loss", n=300, diverged=True, first_step=1300, first_unequal=7, a=1.5, b=1.25, ulps=3.0, kind="rounding"
)
NEAR = SignalDivergence(signal="kl", n=300, diverged=False, score=0.9, p=0.2, a=0.1, b=0.11, first_unequal=40)
UNTESTED = SignalDivergence(signal="lr", n=2, diverged=False, a=1e-6, b=1e-6)


def _report(question: Any, *details: SignalDivergence, **more: Any) -> DivergenceReport:
    moved = [one for one in details if one.diverged]
    given: dict[str, Any] = {
        "kind": "divergence",
        "passed": not moved,
        "verdict": "",
        "diverged": bool(moved),
        "question": question,
        "details": details,
        "checked": tuple(one.signal for one in details),
        "tripped_signals": tuple(d.signal for d in moved),
        "numbers": {"common_steps": 1300, "baselines": 5},
        "meta": {"a": "runs/a", "b": "runs/b 2", "series": {}},
    }
    if moved:
        given |= {"first_step": moved[0].first_step, "first_mover": moved[0].signal}
    made = DivergenceReport(**{**given, **more})
    return replace(made, verdict=verdict_of(made))


CURVED = {
    "a": "runs/a",
    "b": "runs/b",
    "series": {
        "reward": SERIES,
        "kl": {**SERIES, "low": [0.0, 0.1, 0.2], "high": [0.2, 0.3, 0.4]},
        **{f"m{i}": SERIES for i in range(5)},
        "lr": {**SERIES, "step": []},
    },
}
REPORTS = {
    "identical": _report("identical", SignalDivergence(signal="loss", n=9, diverged=False, a=1.0, b=1.0)),
    "one computation": _report("same-seed", NEAR, UNTESTED),
    "one computation, grown apart": _report("same-seed", GROWN, NEAR, suspected_causes=("torch 2.9 -> 2.8", "x")),
    "one computation, changed": _report("same-seed", PARTED),
    "within the noise": _report(
        "seed-noise",
        NEAR,
        UNTESTED,
        skipped=(Check(name="fps", code="fps", status="skipped", reason="a time"),),
        notes=(Note(topic="t", text="a note"),),
    ),
    "beyond the noise": _report(
        "seed-noise",
        PARTED,
        NEAR,
        UNTESTED,
        meta=CURVED,
        details=(UNTESTED, NEAR, PARTED, *(replace(NEAR, signal=f"m{i}", score=i / 10) for i in range(5))),
    ),
    "parted": _report("not-identifiable", PARTED, suspected_causes=tuple("abcdef")),
    "not parted": _report("not-identifiable", NEAR),
    "not tested": _report("not-identifiable", passed=False),
}


def test_golden_divergence(golden: Callable[[str, str], None]) -> None:
    golden("divergence.txt", "\n\n".join(f"== {name}\n{laid_out(one.view())}" for name, one in REPORTS.items()))
