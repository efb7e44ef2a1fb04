"""What a suite says of data with a known truth, and of data that lacks nearly everything."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_answers import answers, red_team

from rldk.core.schema import schema_of
from rldk.errors import NoData, NotALog, UnknownName
from rldk.evals import EvalResult, Measurement, evaluation, run
from rldk.evals.registry import evaluations
from rldk.evals.suites import COMPREHENSIVE_SUITE, QUICK_SUITE, SAFETY_SUITE, Suite


def test_every_attribute_goes_through_json_with_its_schema() -> None:
    from jsonschema import Draft202012Validator

    found = run(answers(), "comprehensive")
    plain = json.loads(json.dumps(found.to_dict()))
    Draft202012Validator(schema_of(EvalResult)).validate(plain)
    assert EvalResult.from_dict(plain) == found
    assert found.confidence_intervals.keys() == found.scores.keys() == found.raw_results.keys()
    assert found.effect_sizes["slices.maths"].name == "Hedges g"


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        run(answers(), "comprehensive", seed=3, output_dir=tmp_path / folder)
    for name in ("evaluation.json", "evaluation.html"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_the_suites_hold_what_their_names_promise() -> None:
    assert set(QUICK_SUITE.evaluations) < set(COMPREHENSIVE_SUITE.evaluations)
    assert all(name in evaluations.names() for name in (*COMPREHENSIVE_SUITE.evaluations, *SAFETY_SUITE.evaluations))


def test_missing_data_is_not_available_and_never_zero() -> None:
    found = run([{"prompt_id": i, "correct": i % 2} for i in range(40)], "safety")
    assert found.overall_score is None
    assert set(found.not_available) == set(SAFETY_SUITE.evaluations)
    assert all(value is None for value in found.scores.values())
    assert "`toxicity`" in found.not_available["toxicity"]
    assert not found.passed


def test_a_rate_has_wilsons_interval_and_clusters_widen_it() -> None:
    plain = run([{"correct": i < 6} for i in range(20)], Suite(name="x", description="", evaluations=("pass_rate",)))
    from scipy.stats import binomtest

    theirs = binomtest(6, 20).proportion_ci(0.95, method="wilson")
    assert plain.confidence_intervals["pass_rate"] == pytest.approx((theirs.low, theirs.high))
    rows = [{"correct": p < 6, "prompt_id": p} for p in range(20) for _ in range(8)]
    low, high = run(rows, Suite(name="x", description="", evaluations=("pass_rate",))).confidence_intervals["pass_rate"]  # type: ignore[misc]
    assert (low, high) == pytest.approx((theirs.low, theirs.high), abs=0.03)


@pytest.mark.slow
def test_a_safe_model_passes_and_an_unsafe_one_is_named() -> None:
    safe = run(red_team(1200), "safety")
    assert {n for n, m in safe.raw_results.items() if m.status == "fail"} == set()
    unsafe = red_team(1200, refuses=0.8, over=0.2)
    unsafe[5]["response"] += " Pay with 4111 1111 1111 1111."
    found = run(unsafe, "safety", canaries=["xyzzy-17"])
    failed = {name for name, one in found.raw_results.items() if one.status == "fail"}
    assert failed == {"refusal", "over_refusal", "jailbreak", "pii"}
    assert found.scores["canary"] == 0.0
    assert found.raw_results["canary"].high == pytest.approx(1 - 0.025 ** (1 / 1200), rel=1e-6)


def test_looped_and_empty_answers_fail() -> None:
    rows = answers(prompts=40)
    for row in rows[::5]:
        row["response"] = "I am sorry. " * 80
    rows[1]["response"] = " "
    found = run(rows).raw_results["degenerate_text"]
    assert found.status == "fail"
    assert found.details["kinds"] == {"empty": 1, "looped": 32}


def test_a_reward_that_falls_fails_and_one_that_rises_passes() -> None:
    rng = np.random.default_rng(1)
    for slope, status in ((0.05, "pass"), (-0.05, "fail")):
        rows = [{"step": s, "prompt_id": p, "reward": slope * s + rng.normal()} for s in range(40) for p in range(10)]
        assert run(rows).raw_results["reward_gain"].status == status


def test_forgetting_is_a_test_of_non_inferiority() -> None:
    rng = np.random.default_rng(2)
    rows = []
    for task, fall in (("kept", 0.0), ("lost", 0.2)):
        for i in range(300):
            before = float(rng.uniform(0.2, 0.9))
            rows.append(
                {
                    "prompt_id": f"{task}{i}",
                    "task": task,
                    "before": before,
                    "after": before - fall + rng.normal(0, 0.02),
                }
            )
    found = run(rows, "comprehensive").raw_results
    assert [found[f"forgetting.{task}"].status for task in ("kept", "lost")] == ["pass", "fail"]
    few = run(rows[:12], "comprehensive", limits={"forgetting": 0.001}).raw_results["forgetting"]
    assert few.status == "warn"


def test_a_sample_is_whole_prompts() -> None:
    found = run(answers(prompts=50, tries=4), sample_size=41)
    assert found.sample_size == 40
    assert found.metadata["prompts"] == 10


def test_sycophancy_has_the_exact_mcnemar_test() -> None:
    from scipy.stats import binomtest

    rows = []
    for pair in range(100):
        rows += [{"stance_pair": pair, "stance": "agrees", "correct": True},
                 {"stance_pair": pair, "stance": "doubts", "correct": pair >= 30}]  # fmt: skip
    found = run(rows, "safety").raw_results["sycophancy"]
    assert found.value == pytest.approx(0.3)
    assert found.p == pytest.approx(binomtest(0, 30).pvalue)


def test_odd_data_gets_an_honest_result() -> None:
    cases: dict[str, list[dict[str, Any]]] = {
        "no prompts": [{"response": f"text number {i}", "reward": float(i % 7)} for i in range(40)],
        "ten rows": answers(prompts=10, tries=1),
        "nan": [{"prompt_id": i, "reward": math.nan if i % 2 else 1.0} for i in range(60)],
        "all nan": [{"prompt_id": i, "reward": math.nan, "correct": 1} for i in range(60)],
        "mixed": [
            {"prompt_id": i, "reward": ("high", 1, None, [2], {"a": 1})[i % 5], "correct": "yes"} for i in range(60)
        ],
        "doubled": answers(prompts=20, tries=1) * 3,
        "one row": [{"reward": 1.0}],
        "equal": [{"prompt_id": i, "reward": 1.0, "correct": 1} for i in range(50)],
        "huge text": [
            {"prompt_id": i, "response": "ab " * (1 << 20 if i == 3 else 5), "reward": 1.0} for i in range(12)
        ],
    }
    for name, rows in cases.items():
        for suite in ("quick", "comprehensive", "safety"):
            found = run(rows, suite)
            assert EvalResult.from_dict(found.to_dict()) == found, name
            assert all(m.value == m.value for m in found.raw_results.values() if m.value is not None), name
    assert run(cases["no prompts"]).warnings[0].startswith("no prompt is known")
    assert run(cases["nan"]).raw_results["integrity"].value == pytest.approx(0.5)


def test_one_bad_line_does_not_lose_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    lines = [json.dumps(row) for row in answers(prompts=20)]
    lines[3] = '{"torn": '
    lines.append("[1, 2]")
    path.write_text("\n".join(lines) + '\n{"half')
    found = run(path)
    assert found.sample_size == 79
    assert found.metadata["rejected"] == 3
    with pytest.raises(NoData):
        run([])


def test_a_result_is_not_taken_for_answers(tmp_path: Path) -> None:
    run(answers(), output_dir=tmp_path)
    with pytest.raises(NotALog, match="is the result of an evaluation"):
        run(tmp_path / "evaluation.json")


def test_unknown_names_are_errors_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match="unknown suite"):
        run(answers(), "quik")
    with pytest.raises(UnknownName, match="unknown column"):
        run(answers(), columns={"correct": "corect"})
    with pytest.raises(UnknownName, match="unknown evaluation"):
        run(answers(), limits={"toxicty": 0.1})


def test_a_plug_in_joins_a_suite_and_its_error_loses_nothing() -> None:
    @evaluation("made-up", title="Made up", needs=("reward",), suites=("quick",))
    def made_up(table: Any, options: Any) -> Measurement:
        raise ValueError("broken")

    try:
        with pytest.warns(UserWarning, match="made-up failed: ValueError"):
            found = run(answers())
        assert found.raw_results["made-up"].status == "not_available"
        assert found.raw_results["integrity"].status == "pass"
    finally:
        del evaluations._items["made-up"]


def test_a_column_with_the_name_of_its_field_is_that_field() -> None:
    """The message asks for `group`: a column of that name must do, where prompts have an id of their own."""
    rows = [
        {"prompt_id": f"{i}{g}", "pair_id": i, "group": g, "toxicity": 0.01 * (i % 7)} for i in range(40) for g in "ab"
    ]
    assert run(rows, "safety").raw_results["bias.toxicity.b"].value == 0
