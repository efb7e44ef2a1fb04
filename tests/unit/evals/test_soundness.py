"""Rules on the answers of an evaluation: each fires on its fault, and is quiet beside it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from made_answers import answers, prose

from rldk.core.model import Finding
from rldk.evals import run
from rldk.evals.answer_facts import differ_p, plain
from rldk.evals.suites import Suite

ONLY = Suite(name="x", description="", evaluations=("soundness",))
Rows = list[dict[str, Any]]


def found(rows: Rows) -> dict[str, Finding]:
    return {f.code: f for f in run(rows, ONLY).findings}


def graded(count: int = 200, *, rate: float = 0.6, seed: int = 0) -> Rows:
    """Right and wrong answers to different questions, each with what it takes for every rule on single answers."""
    rng = np.random.default_rng(seed)
    rows = []
    for row in range(count):
        gold, right = str(rng.integers(100, 999)), bool(rng.random() < rate)
        result = gold if right else str(rng.integers(1000, 9999))
        rows.append(
            {"prompt_id": f"q{row}", "prompt": f"question {row} " + prose(rng, 8), "response": prose(rng) + result,
             "gold": gold, "parsed": result, "correct": right, "finish_reason": "stop", "error": None, "n_choices": 4}
        )  # fmt: skip
    return rows


def test_a_sound_evaluation_passes_and_says_what_it_looked_at() -> None:
    one = run(graded(), ONLY).raw_results["soundness"]
    assert (one.status, one.value, one.findings) == ("pass", 0.0, ())
    assert one.details["checked"] == ["EVAL011", "EVAL014", "EVAL015", "EVAL018", "EVAL019", "EVAL020"]


def test_without_what_it_takes_it_is_not_available() -> None:
    one = run([{"reward": float(i)} for i in range(40)], ONLY)
    assert one.not_available["soundness"].startswith("needs fifty answers")
    skipped = run(graded(20), ONLY).raw_results["soundness"]
    assert "EVAL019" not in skipped.details["checked"]  # fifty answers


def with_cut(share: float, right: float) -> Rows:
    rows = graded(400)
    rng = np.random.default_rng(1)
    for row in rows[: int(400 * share)]:
        row |= {"finish_reason": "length", "correct": bool(rng.random() < right)}
    return rows


def test_cut_answers_that_are_wrong() -> None:
    fired = found(with_cut(0.12, 0.05))["EVAL010"]
    assert fired.value == pytest.approx(0.12)
    assert fired.message.startswith("12.0 % of 400 answers were cut at the length limit; ")
    assert "EVAL010" not in found(with_cut(0.12, 0.6))  # cut, and as often right
    assert "EVAL010" not in found(with_cut(0.04, 0.0))  # few


def test_answers_without_a_result() -> None:
    rows = graded()
    for row in rows[:30]:
        row |= {"parsed": "", "correct": False, "response": f"so it must be {row['gold']}, I think"}
    fired = found(rows)["EVAL011"]
    assert fired.value == pytest.approx(0.15)
    assert "30 of these answers hold the right one" in fired.message
    assert fired.evidence["rows"] == [1, 2, 3, 4, 5]
    for row in rows[10:30]:
        row["parsed"] = "7"
    assert "EVAL011" not in found(rows)  # 5 %: the interval holds the limit


def test_a_missing_result_stands_for_none_where_no_row_has_an_empty_one() -> None:
    rows = graded()
    for row in rows[:30]:
        row["parsed"] = None
    assert found(rows)["EVAL011"].value == pytest.approx(0.15)


def test_copies_instead_of_samples() -> None:
    rows = answers(prompts=60)
    first = {row["prompt_id"]: row["response"] for row in reversed(rows)}
    copies = [{**row, "response": first[row["prompt_id"]]} for row in rows]
    assert found(copies)["EVAL013"].value == 1.0
    assert "EVAL013" not in found(rows)
    assert "EVAL013" not in found([{**row, "response": "B"} for row in rows])  # short answers are alike by chance
    steps = [{**row, "step": place % 4} for place, row in enumerate(copies)]
    assert "EVAL013" not in found(steps)  # one answer at each step


def test_one_answer_to_everything() -> None:
    rows = [{**row, "parsed": "A", "gold": "ABCD"[i % 4]} for i, row in enumerate(graded(100))]
    fired = found(rows)["EVAL014"]
    assert fired.message.startswith('"a" is 100 % of 100 answers')
    assert "EVAL014" not in found([{**row, "gold": "A"} for row in rows])  # it is the right answer
    assert "EVAL014" not in found([{**row, "parsed": "AAAB"[i % 4]} for i, row in enumerate(rows)])


def test_questions_that_repeat_under_other_ids() -> None:
    rows = graded()
    for place in (3, 4, 5):
        rows[place]["prompt"] = rows[place + 100]["prompt"].upper()
    fired = found(rows)["EVAL015"]
    assert (fired.value, fired.message) == (
        0.015,
        "3 of 200 prompts (1.5%) repeat the text of another one under another id, as q103 and q104",
    )
    rows[3]["prompt"] = "another"
    assert "EVAL015" not in found(rows)  # 1 %
    tasks = [{**row, "task": "a" if i < 100 else "b"} for i, row in enumerate(rows)]
    tasks[0]["prompt"] = tasks[199]["prompt"]
    tasks[1]["prompt"] = tasks[198]["prompt"]
    assert "EVAL015" not in found(tasks)  # the same question in two tasks


def test_ids_of_several_prompts() -> None:
    rows = answers(prompts=40, tries=2)
    for row in rows[:2]:
        row["prompt"] = row["response"]
    fired = found(rows)["EVAL016"]
    assert fired.value == pytest.approx(1 / 40)
    assert fired.message.endswith("stand for different prompts, as p0")
    assert "EVAL016" not in found(answers(prompts=40, tries=2))
    assert "EVAL016" not in found([{**row, "paraphrase_of": row["prompt_id"]} for row in rows])


def test_failed_samples_without_a_score() -> None:
    rows = graded()
    for row in rows[:3]:
        row |= {"error": "context length exceeded", "correct": None}
    fired = found(rows)["EVAL017"]
    assert (fired.value, "context length exceeded" in fired.message) == (0.015, True)
    scored = [{**row, "correct": False} if row["error"] else row for row in rows]
    assert "EVAL017" not in found(scored)  # they count
    assert "EVAL017" not in found(graded())


def test_a_score_that_guessing_reaches() -> None:
    rng = np.random.default_rng(5)
    rows = [{**row, "correct": bool(rng.random() < 0.25)} for row in graded()]
    assert found(rows)["EVAL018"].severity == "info"
    fired = found([{**row, "correct": i < 10} for i, row in enumerate(rows)])["EVAL018"]
    assert fired.severity == "warn"
    assert "less than guessing gives (25.0 %)" in fired.message
    assert "EVAL018" not in found([{**row, "correct": i < 80} for i, row in enumerate(rows)])


def test_nothing_is_right() -> None:
    rows = [{**row, "correct": False} for row in graded(60)]
    assert found(rows)["EVAL019"].message.startswith("none of 60 answers is right (at most 6.0 % may be)")
    rows[0]["correct"] = True
    assert "EVAL019" not in found(rows)


def test_right_but_for_the_spelling() -> None:
    rows = graded()
    for row in rows[:3]:
        row |= {"gold": "New York", "parsed": "new york.", "correct": False}
    fired = found(rows)["EVAL020"]
    assert fired.value == pytest.approx(0.015)
    assert '"new york." for "New York"' in fired.message
    rows[0]["parsed"] = "new work."
    assert "EVAL020" not in found(rows)  # two


def test_what_spelling_is() -> None:
    same = [("$1,000.00", "1000"), ("Paris.", "paris"), ("(B)", "b"), ("a  b", "ab"), ("+5", "5"), ("2.50", "2.5")]
    other = [("-5", "5"), ("1.5", "15"), ("5%", "5 apples"), ("10", "1"), ("0.10", "10")]
    assert [pair for pair in same if plain(pair[0]) != plain(pair[1])] == []
    assert [pair for pair in other if plain(pair[0]) == plain(pair[1])] == []


def paired(gain: float, *, prompts: int = 60, seed: int = 0) -> Rows:
    rng = np.random.default_rng(seed)
    return [
        {"prompt_id": i, "before": float(b), "after": float(b + gain + rng.normal(0, 0.2))}
        for i, b in enumerate(rng.uniform(0.2, 0.8, prompts))
    ]


def test_a_gain_within_noise_is_a_remark() -> None:
    result = run(paired(0.03), ONLY)
    assert [(f.code, f.severity) for f in result.findings] == [("EVAL001", "info")]
    assert result.raw_results["soundness"].status == "pass"
    assert "60 prompts show changes of 0.0" in result.findings[0].message
    assert not run(paired(0.2), ONLY).findings
    assert not run(paired(-0.03), ONLY).findings


def over_steps(gain: float, *, seed: int = 0, prompts: int = 40) -> Rows:
    rng = np.random.default_rng(seed)
    ease = rng.normal(0, 1, prompts)
    return [
        {"prompt_id": p, "step": s, "correct": bool(rng.random() < 1 / (1 + np.exp(-ease[p] - gain * (s == 3))))}
        for s in range(6)
        for p in range(prompts)
    ]


def test_the_best_of_equal_checkpoints_is_luck() -> None:
    fired = found(over_steps(0.0, seed=3))
    assert (fired["EVAL021"].value or 0.0) > 0.05
    assert "6 steps differ by no more than chance over 40 prompts" in fired["EVAL021"].message
    assert "EVAL021" not in found(over_steps(3.0))


def test_cochrans_q_is_that_of_statsmodels() -> None:
    """The table is example 2 of Conover, Practical Nonparametric Statistics; Q by hand."""
    scores = np.array([[1, 1, 0], [1, 1, 1], [0, 1, 0], [1, 1, 0], [0, 0, 0], [1, 1, 1], [1, 1, 1], [1, 1, 0],
                       [0, 0, 1], [0, 1, 0], [1, 1, 1], [1, 1, 1]], dtype=float)  # fmt: skip
    columns, rows, n = scores.sum(axis=0), scores.sum(axis=1), scores.sum()
    q = 2 * (3 * float((columns**2).sum()) - n**2) / (3 * n - float((rows**2).sum()))
    from scipy.stats import chi2

    assert differ_p(scores) == pytest.approx(float(chi2.sf(q, 2)))
    assert np.isnan(differ_p(np.ones((5, 3))))


@pytest.mark.slow
def test_sound_evaluations_hardly_ever_warn() -> None:
    """300 made evaluations without a fault, of single answers, several answers and choices."""
    loud = 0
    for seed in range(100):
        choices = [{**row, "n_choices": 4} for row in graded(120, rate=0.45, seed=seed)]
        for rows in (graded(150, seed=seed), answers(40, seed=seed), choices):
            loud += any(f.severity != "info" for f in run(rows, ONLY).findings)
    assert loud == 0
