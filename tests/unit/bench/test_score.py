"""Counting what was said."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rldk.bench.cases import Label
from rldk.bench.document import flat
from rldk.bench.judge import Result, Said
from rldk.bench.score import SLACK, RunOutcome, score

FAMILIES = ("OPT", "KL", "VAL")
findings = st.builds(
    Said,
    code=st.sampled_from([f"{f}{i:03}" for f in FAMILIES for i in (1, 2)]),
    family=st.sampled_from(FAMILIES),
    severity=st.sampled_from(["info", "warn", "critical"]),
    first_step=st.integers(0, 20),
    message=st.just(""),
)
families = st.lists(st.sampled_from(FAMILIES), max_size=2).map(tuple)
labels = st.builds(
    Label, fault=st.sampled_from(["none", "lr_jump"]), onset=st.integers(5, 12), families=families, tolerated=families
)
results = st.builds(
    Result, run=st.text(max_size=3), label=labels, said=st.lists(findings, max_size=5).map(tuple), error=st.just("")
)


def row_of_the_scorer(result: Result) -> dict[str, Any]:
    """What the corpus's own scorer counts of a run, written as it is there."""
    label = result.label
    loud = [f for f in result.said if f.severity in {"warn", "critical"} and f.family not in label.tolerated]
    if label.fault == "none":
        return {"loud": bool(loud), "critical": any(f.severity == "critical" for f in loud)}
    early = [f for f in loud if f.first_step < label.onset - 2]
    late = [f for f in loud if f.first_step >= label.onset - 2]
    named = [f for f in late if f.family in label.families]
    delay = min((f.first_step - label.onset for f in named), default=None)
    return {"early": bool(early), "seen": bool(late), "named": bool(named), "delay": delay}


@given(results)
def test_a_run_counts_as_the_corpus_scorer_counts_it(result: Result) -> None:
    o = RunOutcome(result=result)
    mine = {"early": bool(o.early), "seen": bool(o.late), "named": bool(o.naming), "delay": o.delay}
    expected = row_of_the_scorer(result)
    assert expected == ({"loud": bool(o.loud), "critical": o.critical} if o.healthy else mine)


@given(st.lists(results, max_size=6))
def test_counts_agree_with_each_other(many: list[Result]) -> None:
    scored = score(many)
    assert sum(c.first for c in scored.codes) == scored.summary.named.hits
    assert sum(s.named.hits for s in scored.faults.values()) == scored.summary.named.hits
    assert all(c.only <= c.first <= c.hits for c in scored.codes)


def test_figures_of_a_small_corpus(make: Any) -> None:
    scored = score(
        [
            make("a"),
            make("b", "none", ("KL001", 3)),
            make("c", "lr_jump", ("OPT003", 72), ("KL001", 75, "critical")),
            make("d", "lr_jump", ("OPT003", 30), ("REW001", 80, "info")),
        ]
    )
    told = flat(scored.summary)
    assert (told["clean_false_alarm_rate"], told["early_false_alarm_rate"]) == (0.5, 0.5)
    assert (told["detected_and_named"], told["median_delay_steps"]) == (0.5, 2)
    assert (told["detected_any_family"], told["clean_critical_rate"]) == (0.5, 0.0)
    kl = next(c for c in scored.codes if c.code == "KL001")
    assert (kl.hits, kl.off, kl.false) == (0, 1, 1)
    assert scored.silent == ("REW001",)


def test_a_failed_run_is_counted_and_in_no_rate(make: Any) -> None:
    failed = Result(run="x", label=Label(fault="lr_jump"), error="KeyError: 'x'", exit_code=5)
    summary = score([make("a"), failed]).summary
    assert (summary.runs, summary.errors, summary.named.n, summary.clean.n) == (2, 1, 0, 1)


@pytest.mark.parametrize(("step", "early"), [(70 - SLACK - 1, True), (70 - SLACK, False), (70, False)])
def test_a_finding_up_to_two_steps_before_the_onset_is_one_of_the_fault(make: Any, step: int, early: bool) -> None:
    outcome = RunOutcome(result=make("c", "lr_jump", ("OPT003", step), onset=70))
    assert SLACK == 2
    assert (bool(outcome.early), bool(outcome.naming)) == (early, not early)


def test_figures_of_healthy_runs_alone_are_zero_where_there_is_nothing_to_count(make: Any) -> None:
    told = flat(score([make("a", "none", ("KL001", 3, "critical"))]).summary)
    assert (told["clean_critical_rate"], told["detected_any_family"], told["median_delay_steps"]) == (1.0, 0.0, None)
