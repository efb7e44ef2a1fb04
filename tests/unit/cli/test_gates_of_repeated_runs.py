"""`--gate` and `--gate-codes` of replay, check-resume and bisect: one meaning in each of them."""

from __future__ import annotations

from typing import Any

from examples import each_of

from rldk.bisect import BisectResult
from rldk.cli.gate import gate_of
from rldk.cli.repeating import bisect, check_resume, replay
from rldk.core.model import Finding, Severity
from rldk.replay import ReplayReport
from rldk.resume import ResumeReport


def _findings(severity: Severity | None) -> tuple[Finding, ...]:
    if severity is None:
        return ()
    place: dict[str, Any] = {"first_step": None, "last_step": None, "metric": "m", "value": 1.0, "limit": 0.0}
    return (Finding(code="X001", name="x", family="X", tier=0, severity=severity, message="m", **place),)


GATES = {"none": gate_of(gate=False, codes=None), "gate": gate_of(gate=True, codes=None),
         "codes": gate_of(gate=False, codes="0,7,9")}  # fmt: skip


@each_of(
    ("severity", "passed", "codes"),
    [(None, True, (0, 0, 0)), ("warn", True, (0, 0, 7)), ("warn", False, (1, 0, 7)), ("critical", False, (1, 1, 9))],
)
def test_replay_and_resume(severity: Severity | None, passed: bool, codes: tuple[int, ...]) -> None:
    found = _findings(severity)
    replayed = ReplayReport(kind="replay", passed=passed, verdict="v", findings=found)
    resumed = ResumeReport(kind="resume", passed=passed, verdict="v", findings=found)
    assert tuple(replay.exit_code(replayed, gate) for gate in GATES.values()) == codes
    assert tuple(check_resume.exit_code(resumed, gate) for gate in GATES.values()) == codes


def test_what_could_not_be_judged_passes_no_gate() -> None:
    unsure = ResumeReport(kind="resume", passed=False, verdict="v", inconclusive=True)
    assert [check_resume.exit_code(unsure, gate) for gate in GATES.values()] == [3, 3, 3]
    differs = ResumeReport(kind="resume", passed=False, verdict="v", inconclusive=True, findings=_findings("critical"))
    assert [check_resume.exit_code(differs, gate) for gate in GATES.values()] == [1, 1, 9]


def test_several_commits_that_remain_are_a_warning() -> None:
    found, several = (BisectResult(kind="bisect", passed=passed, verdict="v") for passed in (True, False))
    assert [bisect.exit_code(found, gate) for gate in GATES.values()] == [0, 0, 0]
    assert [bisect.exit_code(several, gate) for gate in GATES.values()] == [1, 0, 7]
