"""Whether B is better than A: against scipy, against planted truths, and what is said where nothing is shown."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from made_answers import answers
from scipy import stats

from rldk.core.schema import schema_of
from rldk.errors import NoData, UnknownName, UsageError
from rldk.evals import EvalComparison, compare

BASE, BETTER = answers(), answers(shift=1.2, seed=1)


def test_answers_are_compared_prompt_by_prompt_with_the_paired_t_test() -> None:
    found = compare(BASE, BETTER, metrics="correct").contrasts[0]
    means = [
        np.array([np.mean([r["correct"] for r in rows[i : i + 4]]) for i in range(0, 240, 4)])
        for rows in (BASE, BETTER)
    ]
    assert (found.outcome, found.n, found.paired) == ("better", 60, True)
    assert found.p == pytest.approx(stats.ttest_rel(means[1], means[0]).pvalue)
    assert found.difference == pytest.approx(float((means[1] - means[0]).mean()))
    assert found.low is not None
    assert found.low > 0


def test_single_right_or_wrong_answers_get_the_exact_mcnemar_test() -> None:
    a = [{"prompt_id": i, "correct": i < 50} for i in range(100)]
    b = [{"prompt_id": i, "correct": i < 64 and i % 10 != 0} for i in range(100)]
    found = compare(a, b).contrasts[0]
    gained, lost = 12, 5
    assert found.p == pytest.approx(stats.binomtest(gained, gained + lost).pvalue)
    assert found.effects[0].name == "risk difference"
    assert found.method == "Newcombe, paired"


def test_where_nothing_is_shown_it_says_what_would_have_been() -> None:
    found = compare(answers(seed=5), answers(seed=6))
    one = found.contrasts[0]
    assert (one.outcome, found.passed) == ("no difference shown", True)
    assert one.detectable is not None
    assert 0.05 < one.detectable < 0.3
    assert "It would have shown a difference of" in found.verdict


def test_a_prompt_that_one_side_lacks_is_counted_and_left_out() -> None:
    found = compare(BASE, BETTER[40:])
    assert found.contrasts[0].n == 50
    assert "10 prompts of memory are not in the other" in found.notes[0].text


def test_without_prompts_it_is_two_samples_and_it_says_so() -> None:
    a, b = ([{"correct": row["correct"]} for row in rows] for rows in (BASE, BETTER))
    found = compare(a, b)
    assert not found.paired
    assert found.contrasts[0].method == "Newcombe"
    assert "not compared prompt by prompt" in found.notes[0].text
    with pytest.raises(UsageError, match="pairs need prompt ids"):
        compare(a, b, paired=True)


def test_prompts_of_two_samples_are_not_taken_for_each_other() -> None:
    """Clusters are counted once a side: with equal numbers of prompts there are twice as many."""
    from rldk.core.stats.clustered import clustered_difference

    found = compare(BASE, BETTER, metrics="reward", paired=False).contrasts[0]
    label = np.repeat(np.arange(60), 4)
    values = [np.array([row["reward"] for row in rows]) for rows in (BETTER, BASE)]
    theirs = clustered_difference(values[0], values[1], label, label + 60)
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high))


@pytest.mark.slow
def test_no_worse_is_a_test_of_non_inferiority() -> None:
    a, b = answers(prompts=300, seed=5), answers(prompts=300, seed=6)
    assert compare(a, b, metrics="correct", margin=0.1).contrasts[0].outcome == "no worse"
    assert compare(a, b, metrics="correct", margin=0.001).contrasts[0].outcome == "no difference shown"


def test_p_values_of_scores_are_holms_and_a_rise_of_toxicity_is_worse() -> None:
    rng = np.random.default_rng(0)
    a = [{"prompt_id": i, "reward": rng.normal(), "toxicity": rng.uniform(0, 0.1)} for i in range(200)]
    b = [{**row, "toxicity": row["toxicity"] + 0.05 + rng.uniform(0, 0.01)} for row in a]
    found = compare(a, b)
    assert [(one.metric, one.outcome) for one in found.contrasts] == [
        ("reward", "no difference shown"),
        ("toxicity", "worse"),
    ]
    assert found.contrasts[1].p_adjusted == pytest.approx(2 * (found.contrasts[1].p or math.nan))
    assert not found.passed


def test_it_goes_through_json_with_its_schema_and_repeats() -> None:
    from jsonschema import Draft202012Validator

    found = compare(BASE, BETTER)
    plain = json.loads(json.dumps(found.to_dict()))
    Draft202012Validator(schema_of(EvalComparison)).validate(plain)
    assert EvalComparison.from_dict(plain) == found == compare(BASE, BETTER)
    assert {one.part for one in found.parts} == {"category=maths", "category=code", "category=law"}


def test_odd_sides_are_errors_or_said() -> None:
    with pytest.raises(NoData, match="no score in common"):
        compare([{"prompt_id": 1, "correct": 1}], [{"prompt_id": 1, "reward": 1.0}])
    with pytest.raises(UnknownName, match="unknown score 'corect'"):
        compare(BASE, BETTER, metrics="corect")
    few = compare(BASE[:5], BETTER[:5], metrics="reward")
    assert few.contrasts[0].outcome == "not enough data"
    same = compare(BASE, BASE)
    assert {one.outcome for one in same.contrasts} == {"no difference shown"}


@pytest.mark.slow
def test_equal_models_are_told_apart_in_at_most_six_of_a_hundred_comparisons() -> None:
    alarms = sum(
        compare(answers(seed=2 * i), answers(seed=2 * i + 1), metrics="correct").contrasts[0].outcome
        != "no difference shown"
        for i in range(200)
    )
    assert alarms <= 18  # 5 % of 200, and two standard errors and a half


def test_other_questions_under_the_same_ids_are_said() -> None:
    a = answers()
    b = [{**row, "prompt": f"Template: {row['prompt']}"} if row["prompt_id"] in ("p3", "p4") else row for row in a]
    assert "under 2 of 60 shared ids the prompts of A and B differ ('p3', 'p4')" in compare(a, b).notes[0].text
    assert not compare(a, a).notes
