"""Markdown, GitHub, JUnit and SARIF draw views: the formats' own rules hold whatever stands in a log."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree as Xml

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rldk.cards import github, junit, markdown, sarif
from rldk.cards.report_view import failure_view, view_of
from rldk.core.registry import renderers
from rldk.core.view import Bullets, Commands, Paragraph, Problem, Section, Table, View
from rldk.diagnosis import diagnose

FIXTURES = Path(__file__).parents[2] / "fixtures"
SARIF = jsonschema.Draft4Validator(json.loads((FIXTURES / "schemas" / "sarif-schema-2.1.0.json").read_bytes()))
SEVERITIES = ("info", "warn", "critical")
hostile = st.text(max_size=60) | st.sampled_from(
    ["::error::x", "a\n::set-output name=x::y", "]]>", "<b>&", "x|y", "@team", "\x00\x1b[31m", "\ud800", "##[group]x"]
)


def _problems() -> st.SearchStrategy[Problem]:
    numbers = st.none() | st.floats()
    return st.builds(
        Problem,
        code=st.sampled_from(["KL001", "REW001", "MINE001"]),
        name=st.sampled_from(["kl-spike", "mine"]),
        severity=st.sampled_from(SEVERITIES),
        message=hostile,
        source=hostile,
        steps=st.none() | st.tuples(st.integers(0, 9), st.integers(10, 99)),
        metric=hostile,
        value=numbers,
        limit=numbers,
        causes=st.tuples(hostile),
        fixes=st.tuples(hostile) | st.just(()),
    )


def _views() -> st.SearchStrategy[View]:
    parts = [
        st.builds(Paragraph, text=hostile, soft=st.booleans()),
        st.builds(Bullets, title=hostile, items=st.tuples(hostile), ranked=st.booleans()),
        st.builds(Table, heads=st.just(("a", "b")), rows=st.tuples(st.tuples(hostile, hostile)), note=hostile),
        st.builds(Commands, lines=st.tuples(hostile)),
    ]
    section = st.builds(Section, title=hostile, name=hostile, extent=hostile, parts=st.tuples(st.one_of(parts)))
    return st.builds(
        View,
        kind=st.just("test"),
        title=hostile,
        tone=st.sampled_from(["critical", "warn", "info", "ok", ""]),
        badge=hostile,
        banner=hostile,
        sections=st.tuples(section),
        problems=st.lists(_problems(), max_size=4).map(tuple),
        checked=st.just(("KL002", "KL001")),
        unchecked=st.dictionaries(st.sampled_from(["ENT001", "LEN002"]), hostile),
    )


def _report_view() -> View:
    return view_of(diagnose(FIXTURES / "trl-grpo-collapse"))


@pytest.mark.slow
@settings(deadline=None)
@given(st.lists(_views(), max_size=2))
def test_sarif_is_valid_by_the_official_schema(views: list[View]) -> None:
    document = json.loads(sarif.render(views))
    assert [error.message for error in SARIF.iter_errors(document)] == []
    (run,) = document["runs"]
    assert len(run["results"]) == sum(len(view.problems) for view in views)
    for result in run["results"]:
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]


@settings(deadline=None)
@given(st.lists(_views(), max_size=2))
def test_junit_counts_what_it_lists(views: list[View]) -> None:
    root = Xml.fromstring(junit.render(views, fail_on="warn"))
    cases = root.findall("testsuite/testcase")
    assert int(root.get("tests", "")) == len(cases)
    assert int(root.get("failures", "")) == len(root.findall("testsuite/testcase/failure"))
    assert int(root.get("skipped", "")) == len(root.findall("testsuite/testcase/skipped"))
    loud = [{p.code for p in view.problems if p.severity != "info"} for view in views]
    assert len(root.findall("testsuite/testcase/failure")) == sum(map(len, loud))
    assert len(cases) == sum(len({*v.checked, *(p.code for p in v.problems)}) + len(v.unchecked) for v in views)


@settings(deadline=None)
@given(st.lists(_views(), max_size=2))
def test_no_text_of_a_log_is_a_workflow_command(views: list[View]) -> None:
    lines = github.render(views).splitlines()
    commands = [line for line in lines if line.lstrip().startswith("::")]
    assert all(line.startswith(("::error ", "::warning ", "::notice ")) for line in commands)
    assert len(commands) == sum(len(view.problems) for view in views)
    assert not [line for line in lines if "##[" in line and not line.startswith("::")]


@settings(deadline=None)
@given(_views())
def test_no_text_of_a_log_is_markup(view: View) -> None:
    lines = markdown.render(view, everything=True).splitlines()
    assert sum(line.startswith("## ") for line in lines) == 1
    assert sum(line.startswith("### ") for line in lines) == len(view.sections)
    parts = [part for section in view.sections for part in section.parts]
    fenced = {line for part in parts if isinstance(part, Commands) for line in part.lines}
    assert not [line for line in lines if "<b>" in line and line not in fenced]
    for table in (part for part in parts if isinstance(part, Table)):
        row = next(i for i, line in enumerate(lines) if line.startswith("|---"))
        assert lines[row + 1].replace("\\|", "").count("|") == len(table.heads) + 1


@pytest.mark.parametrize(("fail_on", "failures"), [("never", 0), ("critical", 0), ("warn", 1)])
def test_junit_fails_from_the_severity_asked_for(fail_on: str, failures: int) -> None:
    problem = Problem(code="KL001", name="kl-spike", severity="warn", message="KL is 5", steps=(3, 9), fixes=("x",))
    view = View(kind="test", title="run", tone="warn", badge="WARNING", banner="Warning.", problems=(problem,))
    root = Xml.fromstring(junit.render(view, fail_on=fail_on))
    assert int(root.get("failures", "")) == failures
    told = root.find("testsuite/testcase/failure" if failures else "testsuite/testcase/system-out")
    assert told is not None
    assert told.text == "warn, steps 3-9: KL is 5\n  try: x"


def test_the_gravest_annotations_come_first_and_the_rest_is_counted() -> None:
    def problem(i: int, severity: str) -> Problem:
        return Problem(code="X001", name="x", severity=severity, message=f"m{i}")  # type: ignore[arg-type]

    problems = tuple(problem(i, SEVERITIES[i % 3]) for i in range(45))
    view = View(kind="test", title="run", tone="critical", badge="CRITICAL", banner="Bad.", problems=problems)
    lines = github.render(view).splitlines()
    assert [line.split(" ")[0] for line in lines if line.startswith("::")] == (
        ["::error"] * 10 + ["::warning"] * 10 + ["::notice"] * 10
    )
    assert "5 more of level error are in the summary." in lines


@pytest.mark.slow
def test_a_summary_that_github_would_refuse_is_cut() -> None:
    section = Section(title="Long", parts=(Bullets(items=("x" * 1500,) * 1000),))
    view = View(kind="test", title="run", tone="ok", badge="OK", banner="Fine.", sections=(section,))
    assert len(github.summary([view]).encode()) <= github.SUMMARY_BYTES + 20
    assert github.summary([view]).endswith("(cut)\n")


@pytest.mark.slow
def test_a_diagnosis_has_all_its_findings_and_rules_in_its_view() -> None:
    view = _report_view()
    assert (view.tone, view.badge) == ("critical", "CRITICAL")
    assert {"LEN004", "REW001"} <= {p.code for p in view.problems}
    assert set(view.checked).isdisjoint(view.unchecked)
    titles = [section.title for section in view.sections]
    assert titles[-2:] == ["Source", "Next"]
    every = next(section for section in view.sections if section.title.startswith("Every finding"))
    (table,) = (part for part in every.parts if isinstance(part, Table))
    assert len(table.rows) == len(view.problems) == len(table.lines)


def test_what_could_not_be_read_is_a_problem_too() -> None:
    view = failure_view("x.csv", "x.csv is empty", "has the run begun?")
    assert "::error file=x.csv,title=unreadable not-read::x.csv is empty" in github.render(view)
    assert json.loads(sarif.render(view))["runs"][0]["results"][0]["ruleId"] == "unreadable"


@pytest.mark.slow
def test_a_new_kind_needs_no_renderer_and_a_new_renderer_no_kind() -> None:
    """A kind of report is a function to a view; a renderer is a function of views."""

    def coin_view(heads: int, tosses: int) -> View:
        problem = Problem(code="COIN001", name="unfair", severity="warn", message=f"{heads} of {tosses} heads")
        table = Table(heads=("heads", "tosses"), rows=((str(heads), str(tosses)),))
        sections = (Section(title="Tosses", parts=(table,)),)
        return View(kind="coin", title="coin", tone="warn", badge="WARNING", banner="Unfair.", sections=sections,
                    problems=(problem,))  # fmt: skip

    def shout(views: View | Iterable[View]) -> str:
        return " ".join(view.banner.upper() for view in ([views] if isinstance(views, View) else views))

    view = coin_view(9, 9)
    for name in ("markdown", "github", "junit", "sarif"):
        assert "9 of 9" in renderers.get(name)(view) or "| 9 | 9 |" in renderers.get(name)(view)
    assert shout([view, _report_view()]).startswith("UNFAIR. ")
