"""What a look at single answers adds to a reward card."""

from __future__ import annotations

import json

import jsonschema
import numpy as np
import pytest
from made_rewards import answers, pairs, rows

from rldk import cards, health
from rldk.cards import page
from rldk.cards.trust.files import card_json
from rldk.cards.trust.schema import card_class, card_schema
from rldk.core.codec import from_builtins
from rldk.diagnosis.reward_groups import GAPS
from rldk.reward.plots import histogram


def test_it_fills_every_gap_of_the_card_under_its_code() -> None:
    checks = {one.code: one for one in health(rows(answers(per_word=0.1))).card_checks()}
    assert set(checks) == {gap.code for gap in GAPS}
    bias = checks["length-bias"]
    assert (bias.status, bias.limit, bias.n) == ("fail", 0.35, 480)
    assert bias.low is not None
    assert bias.value is not None
    assert bias.high is not None
    assert 0.35 < bias.low < bias.value < bias.high
    assert bias.fixes


def test_what_the_data_lacks_is_not_checked_and_has_no_value() -> None:
    checks = {one.code: one for one in health(rows(answers())).card_checks()}
    for code in ("calibration", "label-leakage", "reward-drift", "overoptimization"):
        assert (checks[code].status, checks[code].value, checks[code].n) == ("not checked", None, None)
        assert checks[code].reason.startswith("needs ")


def test_a_fault_that_the_card_does_not_ask_about_is_on_it_too() -> None:
    data = answers()
    data["reward"] = [float("nan") if i % 3 else r for i, r in enumerate(data["reward"])]
    card = cards.generate_reward_card(health(rows(data)))
    assert card.status == "fail"
    assert "missing-rewards" in {one.code for one in card.checks if one.status == "fail"}


def test_rules_that_were_not_selected_leave_their_gaps() -> None:
    report = health(rows(answers()), select="LEN020")
    assert [one.code for one in report.card_checks()] == ["length-bias"]
    card = cards.generate_reward_card(report)
    assert {one.code for one in card.checks} == {gap.code for gap in GAPS}


@pytest.mark.slow
def test_the_card_of_a_log_and_its_answers_has_both_and_goes_through_json() -> None:
    log = [{"step": i, "reward_mean": i / 60, "kl": 0.01} for i in range(60)]
    report = health(rows(answers(per_word=0.1) | {"label": [i % 2 for i in range(480)]}))
    card = cards.generate_reward_card(log, health=report)
    document = json.loads(card_json(card))
    jsonschema.Draft202012Validator(card_schema()).validate(document)
    again = from_builtins(document, card_class("reward"))
    assert page.render(again.view()) == page.render(card.view())
    drawn = [section.title for section in card.view().sections if section.wide]
    assert drawn == ["Curves", "Single answers"]
    assert {"learnt", "length-bias"} <= {one.code for one in card.checks} | {one.name.lower() for one in card.checks}


@pytest.mark.parametrize(("per_word", "status"), [(0.0, "pass"), (0.1, "fail")])
def test_a_log_and_its_answers_give_one_verdict_about_length(per_word: float, status: str) -> None:
    log = [{"step": i, "reward_mean": i / 60, "response_length_mean": 50.0 + i % 3} for i in range(60)]
    card = cards.generate_reward_card(log, health=health(rows(answers(per_word=per_word))))
    about = [one for one in card.checks if "length" in one.name.lower()]
    assert [(one.name, one.status) for one in about] == [("Not paid by length", status)]
    assert "the log: pass (LEN" in about[0].method


def test_the_log_is_heard_about_length_where_the_answers_pass() -> None:
    steps = [300.0] * 60 + [300.0 * 0.9**i for i in range(60)]
    log = [{"step": i, "reward_mean": 0.5, "response_length_mean": length} for i, length in enumerate(steps)]
    alone = {one.name: one.status for one in cards.generate_reward_card(log).checks}
    assert alone["Not paid by length"] in ("warn", "fail")
    card = cards.generate_reward_card(log, health=health(rows(answers())))
    about = [one for one in card.checks if "length" in one.name.lower()]
    assert [(one.name, one.status) for one in about] == [("Not paid by length", alone["Not paid by length"])]
    assert "single answers: pass (LEN020" in about[0].method


@pytest.mark.parametrize(
    ("data", "names"),
    [
        (answers(), ["Distribution of the rewards", "Reward and length"]),
        (pairs(), ["Distribution of the rewards", "Reliability, from pairs"]),
    ],
)
def test_what_is_drawn_depends_on_the_data(data: dict[str, list[float]], names: list[str]) -> None:
    drawn = [plot.name for plot in health(rows(data)).card_plots()]
    assert [name.startswith(want) for name, want in zip(drawn, names, strict=True)] == [True] * len(names), drawn


def test_a_histogram_is_of_all_rewards_but_outliers() -> None:
    values = np.concatenate((np.random.default_rng(0).normal(size=5000), [1e6]))
    found = histogram(values)
    assert sum(found["y"]) + found["outside"] == pytest.approx(1, abs=1e-4)
    assert max(found["x"]) < 10
    assert 0 < found["outside"] < 0.003
    assert histogram(np.ones(9)) == histogram(np.array([])) == {}
    assert sum(histogram(np.array([0.0, 1.0, 1.0]))["y"]) == pytest.approx(1, abs=1e-4)
