"""The probability that a run is healthy."""

from __future__ import annotations

import json
import math
from functools import cache
from importlib.resources import files
from pathlib import Path

import pytest
from examples import every

from rldk.adapters.open import open_runs
from rldk.core.model import Run
from rldk.engine.activity import WINDOW
from rldk.engine.live import Engine
from rldk.engine.report.health import Health, health, model
from rldk.engine.scan import context_of, rule_columns
from rldk.rules.rule import Rule
from rldk.rules.select import select_rules
from rldk.testing import run_of

CORPUS = Path(__file__).parents[3] / "corpus" / "dev"


@cache
def genuine(fault: str) -> Run:
    labels = sorted(CORPUS.glob("*/label.json"))
    folder = next(p.parent for p in labels if json.loads(p.read_text())["fault"] == fault)
    return open_runs(folder / "metrics.jsonl.gz")[0]


def fed(run: Run, rules: tuple[Rule, ...] | None = None) -> tuple[Engine, list[Health]]:
    engine = Engine(select_rules() if rules is None else rules, context_of(run.meta))
    states = []
    for row in rule_columns(run).rows():
        engine.feed(row)
        states.append(health(engine))
    return engine, states


@cache
def fed_genuine(fault: str) -> tuple[Engine, list[Health]]:
    """All rules on a genuine run. What comes of it is looked at, and never fed again."""
    return fed(genuine(fault))


def test_it_falls_when_the_run_breaks_and_stays_low() -> None:
    _, states = fed_genuine("kl_sign")
    told = [s.overall for s in states if s.overall is not None]
    assert told[0] > 0.7
    assert max(told[-50:]) < 0.01


def test_what_was_said_fades_with_silence() -> None:
    rate = [1e-4] * 50 + [1e-2] * 3 + [1e-4] * 1100
    _, states = fed(run_of({"lr": rate}), select_rules(["OPT003"]))
    last = max(i for i, s in enumerate(states) if s.evidence["warned_families"] == 1.0)
    assert 50 <= last < 54
    assert states[last + 500].evidence["warned_families"] == 0.5
    assert states[last + 1000].evidence["warned_families"] == 0.25


def test_what_has_not_recovered_does_not_fade() -> None:
    rate = [1e-4 * (1 + 0.01 * (i % 3)) for i in range(50)] + [1e-2] * 1100
    engine, states = fed(run_of({"lr": rate}), select_rules(["OPT003"]))
    assert [e.ended for w in engine.bound_rules() for e in w.episodes.all()] == [True]
    assert states[-1].evidence["warned_families"] == 1.0


@pytest.mark.slow
def test_a_healthy_run_stays_healthy() -> None:
    _, states = fed_genuine("none")
    assert states[-1].overall is not None
    assert states[-1].overall > 0.7
    assert states[-1].stability == 1.0


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["length_hack"])
def test_to_ask_after_every_row_changes_nothing(fault: str) -> None:
    run = genuine(fault)
    engine = Engine(select_rules(), context_of(run.meta))
    for row in rule_columns(run).rows():
        engine.feed(row)
    assert health(engine) == health(engine) == fed_genuine(fault)[1][-1]


@pytest.mark.parametrize("fault", every(3, ["kl_sign", "length_hack", "entropy_negative"]))
def test_stability_is_the_share_of_rows_outside_of_warnings(fault: str) -> None:
    engine, states = fed_genuine(fault)
    rows = engine.rows_of("train")
    loud = [e for w in engine.bound_rules() if not w.rule.note for e in w.episodes.all() if e.severity != "info"]
    inside = {row for e in loud for row in range(e.first_row, e.last_row + 1)}
    newest = range(max(1, rows - WINDOW + 1), rows + 1)
    assert states[-1].stability == 1 - len(inside & set(newest)) / len(newest)


def test_nothing_is_said_without_evidence() -> None:
    steady = {"loss": [1.0 + i % 3 for i in range(30)]}
    _, states = fed(run_of(steady), select_rules(["GRAD001"]))
    assert [s.overall is None for s in states] == [True] * 19 + [False] * 11
    _, blind = fed(run_of(steady), select_rules(["KL007"]))
    assert blind[-1].overall is None
    assert blind[-1].stability is None


def test_a_finding_is_evidence_before_twenty_rows() -> None:
    _, states = fed(run_of({"loss": [1.0, 0.9, math.nan, math.nan, math.nan]}), select_rules(["GRAD001"]))
    assert states[1].overall is None
    assert states[-1].overall is not None
    assert states[-1].overall < 0.5
    assert states[-1].evidence["critical_families"] == 1


def test_the_shipped_model_is_monotone_and_says_how_good_it_is() -> None:
    told = json.loads(files("rldk.engine.report").joinpath("data", "health.json").read_text())
    assert all(weight <= 0 for weight in model().weights.values())
    assert (
        told["cross_validated"]["low"] > 0.75
    )  # many faults of the corpora move no scalar; tests/corpus has bars of its own
    assert told["trained_on"]["healthy"] >= 44
