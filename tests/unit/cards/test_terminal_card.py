"""The report as text."""

from __future__ import annotations

import re

import pytest
from msgspec.structs import replace

from rldk.cards.terminal import render
from rldk.core.model import COUNTED, Report


def test_the_verdict_is_the_first_line_and_nothing_controls_the_terminal(report: Report) -> None:
    text = render(report)
    assert text.splitlines()[0] == report.verdict
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text)


def test_an_incident_says_what_where_why_and_what_to_do(report: Report) -> None:
    text = render(report)
    for part in ("1. CRITICAL  REW003", "steps 4-6", "╰─╯", "1. the policy collapsed", "- lower `beta`", "- GRAD002"):
        assert part in text


def test_what_was_not_checked_is_grouped_and_said(report: Report) -> None:
    text = render(report, everything=True)
    assert "needs value_loss: VAL001, VAL002" in text
    assert "not for grpo: PREF001" in text
    assert "1 line of 9 could not be read" in text
    assert "line 3: <img" in text


def test_bookkeeping_is_one_line_without_all(report: Report) -> None:
    text = render(report)
    assert "Not checked: 2 rules with missing data, 1 rule not meant for this run (--all shows which, and why)" in text
    assert "VAL001" not in text


@pytest.mark.parametrize(
    ("clock", "said"), [("Episode", "step: taken from Episode"), (COUNTED, "rows are counted: no step column")]
)
def test_a_step_that_was_guessed_is_named(report: Report, clock: str, said: str) -> None:
    assert said in render(replace(report, meta={**report.meta, "clock": clock}))
    assert said not in render(report)


def test_all_shows_every_finding_and_without_it_the_quiet_are_named(report: Report) -> None:
    assert "Every finding (3)" in render(report, everything=True)
    assert "no reason to worry by itself: ENT001" in render(report)


def test_at_most_five_incidents(report: Report) -> None:
    many = tuple(replace(report.incidents[0], id=n) for n in range(1, 9))
    text = render(replace(report, incidents=many))
    assert "5. CRITICAL" in text
    assert "6. CRITICAL" not in text
    assert "3 more incidents with --all" in text


def test_colour_changes_only_the_colours(report: Report) -> None:
    assert re.sub(r"\x1b\[[\d;]*m", "", render(report, colour=True)) == render(report)


def test_a_bare_report_renders() -> None:
    assert render(Report(kind="diagnosis", passed=True, verdict="Not checked: no rows.")).startswith("Not checked")


def test_the_outlook_is_one_line_of_the_full_report(report: Report) -> None:
    told = {"convergence": "improving", "probability": 0.97, "metric": "reward_mean", "schedule": "linear"}
    numbers = {"gain": 0.25, "seconds_left": 5400.0, "throughput_change": -0.3}
    with_it = replace(report, meta={**report.meta, "outlook": {**told, "numbers": numbers}})
    (line,) = [x for x in render(with_it, everything=True, width=200).splitlines() if x.startswith("Outlook")]
    assert "reward_mean still improves (p 0.97, +0.25 over the last quarter" in line
    assert line.endswith("learning rate linear; throughput -30% since the first quarter; about 90 minutes left.")
    assert "Outlook" not in render(with_it)
