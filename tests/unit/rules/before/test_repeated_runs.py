"""Rules over replays and resumed runs: each fires, has a near miss, and says what it needs."""

from __future__ import annotations

from typing import Any

from examples import each_of
from msgspec.structs import replace

from rldk.core.audit.lock import LockDifference
from rldk.core.audit.outcome import CheckOutcome
from rldk.engine.live import Engine
from rldk.engine.once import Once, look_once
from rldk.rules.replays import ReplayView
from rldk.rules.resumes import LostState, ResumedDifference, ResumeView
from rldk.rules.rule import Context, rules
from rldk.rules.subject import Subject

SAME = ReplayView(compared=2, share=0.0, drift=(), lacking=(),
                  inputs=(CheckOutcome(part="data", name="d", status="passed", message=""),))  # fmt: skip
FINE = ResumeView(
    repeatable=True, resumed=ResumedDifference(), killed=ResumedDifference(), saving=ResumedDifference(), lost=(),
    inventory={"step": True}, in_place=(),
)  # fmt: skip
APART = ResumedDifference(message="it differs", metric="loss", step=6, share=0.5)


def _seen(subject: Subject, view: Any) -> Once:
    chosen = tuple(rule for rule in rules if rule.subject == subject)
    return look_once(chosen, Context(), Engine(chosen, Context()).inapplicable, {subject: view})


def _fired(subject: Subject, view: Any) -> dict[str, str]:
    return {one.code: one.severity for one in _seen(subject, view).findings}


@each_of(
    ("change", "fires"),
    [
        ({"beyond": (("loss", 3),), "classification": "input-level", "share": 0.5}, {"DET080": "critical"}),
        ({"beyond": (("loss", 3),), "classification": "numerically close", "share": 1e-9}, {"DET080": "warn"}),
        ({"missing": ("loss",), "classification": "structural"}, {"DET080": "critical"}),
        ({"share": 0.001, "classification": "numerically close", "tolerance": 0.01}, {}),
        ({"drift": (LockDifference(part="packages", name="torch", locked="2.8", now="2.9"),)}, {"DET081": "warn"}),
        (
            {"inputs": (CheckOutcome(part="data", name="d", status="failed", message="changed"),)},
            {"DET082": "critical"},
        ),
        ({"inputs": (CheckOutcome(part="data", name="d", status="not_checked", message="gone"),)}, {}),
        ({"lacking": ("a.py",)}, {"DET083": "warn"}),
    ],
)
def test_rules_over_a_replay(change: dict[str, Any], fires: dict[str, str]) -> None:
    assert _fired("replay", SAME) == {}
    assert _fired("replay", replace(SAME, **change)) == fires


def test_a_replay_without_a_record_is_not_checked_for_what_it_would_say() -> None:
    once = _seen("replay", ReplayView(compared=1))
    assert once.checked == ["DET080"]
    assert {one.code: one.status for one in once.unchecked} == dict.fromkeys(["DET081", "DET082", "DET083"], "skipped")
    first = next(one for one in _seen("replay", replace(SAME, beyond=(("b", 7), ("a", 5)))).findings)
    assert (first.metric, first.first_step) == ("a", 5)


LOST = {
    "random": "CKPT021",
    "schedule": "CKPT022",
    "data": "CKPT023",
    "optimizer": "CKPT024",
    "weights": "CKPT025",
    "environment": "CKPT031",
    "normaliser": "CKPT032",
    "KL controller": "CKPT033",
    "reference": "CKPT034",
}


@each_of(
    ("change", "fires"),
    [
        ({"resumed": APART}, {"CKPT020": "critical"}),
        ({"killed": APART}, {"CKPT028": "critical"}),
        ({"saving": APART}, {"CKPT026": "critical"}),
        ({"resumed": APART, "killed": APART, "states_agree": True}, {"CKPT020": "warn", "CKPT028": "warn"}),
        ({"in_place": ("model.pt",)}, {"CKPT027": "warn"}),
        ({"inventory": {"step": True, "schedule": False}}, {"CKPT029": "info"}),
    ],
)
def test_rules_over_a_resumed_run(change: dict[str, Any], fires: dict[str, str]) -> None:
    assert _fired("resume", FINE) == {}
    assert _fired("resume", replace(FINE, **change)) == fires


@each_of("kind", LOST)
def test_a_lost_state_is_a_finding_only_where_the_run_differs(kind: Any) -> None:
    lost = (LostState(kind=kind, message="it was lost"),)
    assert _fired("resume", replace(FINE, lost=lost)) == {}
    assert _fired("resume", replace(FINE, lost=lost, resumed=APART)) == {"CKPT020": "critical", LOST[kind]: "critical"}


def test_a_program_that_does_not_repeat_itself_is_not_judged() -> None:
    once = _seen("resume", ResumeView(resumed=APART, killed=APART, saving=APART))
    assert once.findings == []
    reasons = {one.code: one.reason for one in once.unchecked}
    assert "does not repeat itself" in reasons["CKPT020"]
    assert {*LOST.values()} <= reasons.keys()
