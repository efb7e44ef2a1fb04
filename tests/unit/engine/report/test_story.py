"""The headline of a report with findings: two short sentences at most, in the order of what happened."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from examples import each_of

from rldk.core.model import Finding, Incident, Report, Severity
from rldk.diagnosis import diagnose_all
from rldk.engine.report.story import LONGEST_SENTENCE, shorten, story
from rldk.errors import RldkError

TESTS = Path(__file__).parents[3]
LOGS = sorted((*TESTS.glob("fixtures/*"), *TESTS.glob("corpus/dev/*")))
FEW = 5  # incidents of one run


def _found(code: str, step: int, severity: Severity, message: str = "", **evidence: Any) -> Finding:
    return Finding(
        code=code,
        name=code.lower(),
        family=code.rstrip("0123456789"),
        severity=severity,
        tier=0,
        first_step=step,
        last_step=99,
        metric="kl",
        value=1.0,
        limit=None,
        message=message or f"{code} went wrong",
        evidence=evidence,
    )


def _told(*members: Finding, others: int = 0) -> str:
    worst = "critical" if any(f.severity == "critical" for f in members) else "warn"
    codes = tuple(f.code for f in members)
    about = Incident(id=1, title="", severity=worst, first_step=1, last_step=99, first_mover="kl", codes=codes)  # type: ignore[arg-type]
    return story(members, about, others=others)


def _grown(began: Severity, severity: Severity) -> Finding:
    message = "the reward fell; from step 9: all of it is lost"
    return _found("REW012", 5, severity, message, worse_from=9, began_as=began)


@each_of(
    ("members", "said"),
    [
        ([_found("KL001", 5, "warn")], "Warning since step 5: KL001 went wrong"),
        (
            [_found("OPT003", 1005, "warn"), _found("KL002", 2000, "critical")],
            "Critical: at step 1,005, OPT003 went wrong. By step 2,000, KL002 went wrong",
        ),
        (
            [_found("REW001", 5, "critical"), _found("ADV001", 5, "warn")],
            "Critical since step 5: REW001 went wrong. At the same step, ADV001 went wrong",
        ),
        ([_found("KL001", 5, "warn"), _found("KL002", 7, "warn")], "Warning since step 5: KL001 went wrong"),
        ([_found("KL001", 5, "warn"), _found("ENT001", 7, "info")], "Warning since step 5: KL001 went wrong"),
        ([_grown("warn", "critical")], "Critical: at step 5, the reward fell. By step 9, all of it is lost"),
        ([_grown("info", "warn")], "Warning since step 9: all of it is lost"),
        (
            [_found("KL001", 60, "warn"), _found("ENT001", 7, "warn")],
            "Warning since step 60: KL001 went wrong. After a restart, by step 7, ENT001 went wrong",
        ),
    ],
)
def test_what_moved_first_and_what_it_led_to(members: list[Finding], said: str) -> None:
    assert _told(*members) == said


def test_other_incidents_are_counted_without_a_third_sentence() -> None:
    one, two = _found("KL001", 5, "warn"), _found("ENT001", 7, "warn")
    assert _told(one, others=1).endswith("KL001 went wrong. 1 other incident")
    assert _told(one, two, others=2).endswith("ENT001 went wrong; 2 other incidents")


@pytest.mark.parametrize(
    ("message", "short"),
    [
        ("the reward fell. Look at the verifier.", "the reward fell"),
        ("one half of the answers (those that were long, or empty): cut off", "one half of the answers"),
        ("a metric with a very long name and no clause", "a metric with a very long name..."),
    ],
)
def test_a_message_is_cut_behind_a_clause(message: str, short: str) -> None:
    assert shorten(message, 35) == short


@cache
def _reports() -> list[Report]:
    found: list[Report] = []
    for path in LOGS:
        try:
            found += diagnose_all(str(path))
        except RldkError:  # some fixtures are no run by themselves
            continue
    return found


@pytest.mark.slow
def test_every_headline_of_a_genuine_log_is_two_short_sentences_in_time_order() -> None:
    loud = [r.verdict for r in _reports() if r.verdict.startswith(("Critical", "Warning"))]
    assert len(loud) >= 45
    for verdict in loud:
        sentences = re.split(r"\. (?=[A-Z\d])", verdict)
        steps = [int(said.replace(",", "")) for said in re.findall(r"(?:since|at|By) step ([\d,]*\d)", verdict)]
        assert len(sentences) <= 2, verdict
        assert max(map(len, sentences)) <= LONGEST_SENTENCE, verdict
        assert steps == sorted(steps), verdict


@pytest.mark.slow
def test_a_run_has_a_few_incidents() -> None:
    assert max(len(r.incidents) for r in _reports()) <= FEW


@pytest.mark.slow
def test_the_headline_of_a_collapse_is_two_short_sentences() -> None:
    (report,) = diagnose_all(str(TESTS / "fixtures" / "trl-grpo-collapse"))
    first, second = re.split(r"\. (?=[A-Z\d])", report.verdict)
    assert first.startswith("Critical: at step 7, ")
    assert second.startswith("By step 37, ")
    assert max(len(first), len(second)) <= LONGEST_SENTENCE
