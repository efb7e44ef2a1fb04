"""Reward functions, tried out."""

from __future__ import annotations

import itertools
import math
import re
import time
from collections.abc import Callable
from typing import Any

import pytest

from rldk.preflight import preflight

ROWS = [
    {"prompt": f"What is {a} + {b}?", "answer": str(a + b)} for a, b in itertools.product(range(1, 8), range(11, 13))
]
CHAT = [{"prompt": [{"role": "user", "content": row["prompt"]}], "answer": row["answer"]} for row in ROWS]


def _text(completion: Any) -> str:
    return completion if isinstance(completion, str) else completion[0]["content"]


def exact(completions: list[Any], answer: list[str], **kwargs: Any) -> list[float]:
    """Pays for the last number of a completion."""
    found = [re.findall(r"-?\d+", _text(c)) for c in completions]
    return [float(bool(f) and f[-1] == a) for f, a in zip(found, answer, strict=True)]


def _codes(function: Callable[..., Any], rows: list[dict[str, Any]] = ROWS, **more: Any) -> dict[str, str]:
    report = preflight(reward_fn=function, dataset=rows, packages={"none": "1"}, **more)
    return {finding.code: finding.message for finding in report.findings}


@pytest.mark.parametrize("rows", [ROWS, CHAT], ids=["text", "messages"])
def test_a_sound_function_raises_nothing(rows: list[dict[str, Any]]) -> None:
    assert _codes(exact, rows) == {}


def test_functions_of_verl_and_openrlhf_are_called_as_they_call_them() -> None:
    def compute_score(data_source: str, solution_str: str, ground_truth: str, extra_info: Any = None) -> dict[str, Any]:
        return {"score": exact([solution_str], [ground_truth])[0], "acc": 1}

    def reward_func(queries: list[str], prompts: list[str], labels: list[str]) -> dict[str, Any]:
        return {"rewards": exact(queries, labels), "scores": [0.0] * len(queries)}

    assert _codes(compute_score) == {}
    assert _codes(reward_func) == {}


def test_one_that_raises() -> None:
    def parses(completions: list[str], answer: list[str], **kwargs: Any) -> list[float]:
        return [float(re.findall(r"\d+", c)[-1] == a) for c, a in zip(completions, answer, strict=True)]

    message = _codes(parses)["REW050"]
    assert message.startswith("`parses` raises on empty (IndexError: list index out of range)")
    assert "a blank completion" in message


def test_one_that_does_not_read_messages() -> None:
    def strings_only(completions: list[Any], **kwargs: Any) -> list[float]:
        return [float(len(c.strip())) for c in completions]

    assert "raises on gold (AttributeError" in _codes(strings_only, CHAT)["REW050"]


@pytest.mark.slow
def test_results_of_the_wrong_shape() -> None:
    cases: list[tuple[Callable[..., Any], str, str]] = [
        (lambda completions, **kw: 1.0, "REW051", "a float instead of a list"),
        (lambda completions, **kw: None, "REW051", "None instead of a list"),
        (lambda completions, **kw: ["1.0"] * len(completions), "REW051", "a str ('1.0')"),
        (lambda completions, **kw: [1.0], "REW051", "1 scores for 3"),
        (lambda completions, **kw: [math.nan] * len(completions), "REW052", "nan"),
        (lambda completions, **kw: [-math.inf] * len(completions), "REW052", "-inf"),
        (lambda completions, **kw: [None] * len(completions), "REW058", "None for every ordinary completion"),
    ]
    for function, code, said in cases:
        found = _codes(function)
        assert code in found, said
        assert said.partition(" for 3")[0] in found[code]


def test_a_parser_that_never_matches() -> None:
    def anchored(completions: list[str], answer: list[str], **kwargs: Any) -> list[float]:
        return [
            float(re.match(rf"^<think>.*</think>\[{a}\]$", c) is not None)
            for c, a in zip(completions, answer, strict=True)
        ]

    assert _codes(anchored) == {"REW053": "`anchored` pays the gold answer 0 and wrong answers 0"}


def test_one_function_about_format_beside_one_about_the_answer() -> None:
    def brackets(completions: list[str], **kwargs: Any) -> list[float]:
        return [float("boxed" in c) for c in completions]

    report = preflight(reward_fn=[brackets, exact], dataset=ROWS, packages={"none": "1"})
    assert [f.code for f in report.findings] == []


def test_a_silence_that_pays() -> None:
    def penalised(completions: list[str], answer: list[str], **kwargs: Any) -> list[float]:
        return [s - 0.6 * len(c) for s, c in zip(exact(completions, answer), completions, strict=True)]

    assert set(_codes(penalised)) == {"REW054"}


def test_a_search_for_the_answer_anywhere() -> None:
    def mentions(completions: list[str], answer: list[str], **kwargs: Any) -> list[float]:
        return [float(a in c) for c, a in zip(completions, answer, strict=True)]

    rows = [{"prompt": str(i), "answer": "1" if i % 2 else str(10 + i)} for i in range(8)]
    assert "REW055" in _codes(mentions, rows)


def test_one_that_depends_on_its_last_call() -> None:
    calls = itertools.count()

    def noisy(completions: list[str], answer: list[str], **kwargs: Any) -> list[float]:
        return [s + next(calls) * 1e-6 for s in exact(completions, answer)]

    assert _codes(noisy)["REW056"].startswith("`noisy` gives gold, wrong another reward")


def test_a_slow_one_is_left_after_its_time_limit() -> None:
    def sleeps(completions: list[str], **kwargs: Any) -> list[float]:
        time.sleep(20)  # in a thread that ends with the process
        return [0.0] * len(completions)

    began = time.perf_counter()
    report = preflight(reward_fn=sleeps, dataset=ROWS, time_limit_s=0.05, packages={"none": "1"})
    assert time.perf_counter() - began < 15, "it was waited for"
    assert report.meta["rewards"][0]["trials"][0]["fault"] == "slow"


def test_the_gold_answer_is_taken_out_of_a_solution() -> None:
    rows = [{"question": f"q{i}", "answer": f"First, {i}.\n#### {i + 100}"} for i in range(6)]

    def last(completions: list[str], answer: list[str], **kwargs: Any) -> list[float]:
        return exact(completions, [a.rpartition("####")[2].strip() for a in answer])

    assert _codes(last, rows) == {}


def test_further_arguments_are_passed() -> None:
    def scaled(completions: list[str], answer: list[str], scale: float) -> list[float]:
        return [scale * s for s in exact(completions, answer)]

    assert "REW050" in _codes(scaled)
    assert _codes(scaled, reward_kwargs={"scale": 2.0}) == {}
