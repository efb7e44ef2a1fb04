"""Perplexity and bits per byte, from whatever log-probabilities the data has."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rldk.evals import compare, run
from rldk.evals.suites import Suite

ONLY = Suite(name="x", description="", evaluations=("perplexity",))
LM_EVAL = Path(__file__).parents[2] / "fixtures" / "evals" / "lm-eval-tasks"


def texts(count: int = 60, *, loss: float = 2.0, seed: int = 0) -> list[dict[str, Any]]:
    """Texts of different lengths with the log-probability of each token."""
    rng = np.random.default_rng(seed)
    level = rng.normal(loss, 0.3, count)
    return [
        {"prompt_id": i, "token_logprobs": (-rng.exponential(level[i], int(rng.integers(5, 80)))).tolist()}
        for i in range(count)
    ]


def test_every_form_of_the_same_data_gives_the_same_perplexity() -> None:
    rows = texts()
    sums = [(-sum(row["token_logprobs"]), len(row["token_logprobs"])) for row in rows]
    expected = math.exp(sum(s for s, _ in sums) / sum(n for _, n in sums))
    forms: dict[str, list[dict[str, Any]]] = {
        "tokens": rows,
        "first without": [{**row, "token_logprobs": [None, *row["token_logprobs"]]} for row in rows],
        "sum": [{"prompt_id": i, "loglikelihood": -s, "n_tokens": n} for i, (s, n) in enumerate(sums)],
        "nll": [{"prompt_id": i, "nll": s, "n_tokens": n} for i, (s, n) in enumerate(sums)],
        "loss": [{"prompt_id": i, "loss": s / n, "n_tokens": n} for i, (s, n) in enumerate(sums)],
    }
    results = {name: run(each, ONLY).raw_results["perplexity"] for name, each in forms.items()}
    assert {name: one.value for name, one in results.items()} == pytest.approx(dict.fromkeys(forms, expected))
    assert {(round(one.low, 6), round(one.high, 6)) for one in results.values()} == {  # type: ignore[arg-type]
        (round(results["tokens"].low, 6), round(results["tokens"].high, 6))  # type: ignore[arg-type]
    }
    assert results["tokens"].title == "Perplexity per token"


def test_losses_without_lengths_count_every_text_the_same_and_it_says_so() -> None:
    one = run([{"prompt_id": i, "loss": 1.0 + i % 2} for i in range(40)], ONLY).raw_results["perplexity"]
    assert one.value == pytest.approx(math.exp(1.5))
    assert one.reason == "the number of tokens is not known, so that every text counts the same"


def test_what_it_needs_and_what_cannot_be() -> None:
    assert "`logprobs`" in run([{"reward": 1.0}], ONLY).not_available["perplexity"]
    assert "number of tokens" in run([{"nll": 3.0}] * 20, ONLY).not_available["perplexity"]
    rows = [{"prompt_id": i, "loglikelihood": 5.0 if i < 3 else -10.0, "n_tokens": 5} for i in range(30)]
    one = run(rows, ONLY).raw_results["perplexity"]
    assert (one.n, one.value) == (27, pytest.approx(math.exp(2)))
    assert one.reason == "3 rows have a log-probability above 0 and were left out"
    few = run(texts(5), ONLY).raw_results["perplexity"]
    assert (few.low, few.method) == (None, "fewer than 10 texts")


def test_texts_of_one_document_are_one_cluster() -> None:
    rng = np.random.default_rng(1)
    rows = [{"prompt_id": d, "nll": float(50 * (2 + level)), "n_tokens": 50}
            for d, level in enumerate(rng.normal(0, 0.3, 30)) for _ in range(10)]  # fmt: skip
    one = run(rows, ONLY).raw_results["perplexity"]
    alone = run([{**row, "prompt_id": i} for i, row in enumerate(rows)], ONLY).raw_results["perplexity"]
    assert one.clusters == 30
    assert (one.high - one.low) / (alone.high - alone.low) > 2.5  # type: ignore[operator]


def test_it_is_that_of_lm_eval_on_its_own_samples() -> None:
    """Written by lm_eval 0.4.13 with a random GPT-2; the first twelve documents. Of all forty, lm_eval says 405.0855
    and 1.9465, and so did this."""
    found = run(LM_EVAL, "comprehensive")
    path = next(LM_EVAL.glob("samples_tiny_roll_*"))
    pairs = [json.loads(line)["word_perplexity"] for line in path.read_text().splitlines()]
    expected = math.exp(-sum(p for p, _ in pairs) / sum(n for _, n in pairs))
    assert found.scores["perplexity"] == pytest.approx(expected)
    assert found.raw_results["perplexity"].title == "Perplexity per word"
    assert found.scores["bits_per_byte"] == pytest.approx(1.95, abs=0.02)


def test_two_models_are_compared_on_the_same_texts() -> None:
    a, b = texts(60, loss=2.0), texts(60, loss=1.6, seed=0)
    sides = [[{"prompt_id": r["prompt_id"], "loss": -float(np.mean(r["token_logprobs"]))} for r in x] for x in (a, b)]
    best = compare(sides[0], sides[1]).contrasts[0]
    assert (best.metric, best.outcome, best.paired) == ("loss", "better", True)


@pytest.mark.slow
def test_the_interval_holds_the_truth_in_93_to_97_of_a_hundred() -> None:
    hits = 0
    for seed in range(1000):
        one = run(texts(60, seed=seed), ONLY).raw_results["perplexity"]
        assert one.low is not None
        assert one.high is not None
        hits += one.low <= math.exp(2.0) <= one.high
    assert 0.93 <= hits / 1000 <= 0.97
