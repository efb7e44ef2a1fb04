"""A rule asked about made-up features instead of rows: on which side of which number does it speak?

`tests/golden/rule-limits.json` holds, for each rule, features at which it fires, and for each of them the last number
on either side at which it still says the same. `scripts/limits.py` writes it from the cases of `tests/unit/rules`."""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rldk.rules.rule import Frame, Rule

LIMITS = Path(__file__).parents[1] / "golden" / "rule-limits.json"
SIGNATURES = {name: inspect.signature(method) for name, method in vars(Frame).items() if inspect.isfunction(method)}
Answers = Mapping[str, Any]


def key_of(method: str, *words: Any, **named: Any) -> str:
    """The name of one question: `median kl 5 0` of `f.median("kl", 5)`."""
    if method == "__getitem__":
        return str(words[0])
    bound = SIGNATURES[method].bind(None, *words, **named)
    bound.apply_defaults()
    given = [word for value in bound.args[1:] for word in (value if isinstance(value, tuple) else (value,))]
    return " ".join(map(str, (method, *given, *bound.kwargs.values())))


class StubFrame:
    """Answers every question of a rule from a table. What the table lacks is missing, as in a run without it."""

    def __init__(self, answers: Answers, metric: str) -> None:
        self.answers, self.metric = answers, metric
        self.step, self.rows = answers.get("step of row", 0), answers.get("rows", 0)

    def __getitem__(self, name: str) -> float:
        return float(self.answers.get(name, math.nan))

    def __getattr__(self, method: str) -> Callable[..., Any]:
        missing: Any = {"stated": False, "config": None, "framework": "", "estimator": "", "source_name": ""}
        default = missing.get(method, math.nan)
        return lambda *words, **named: self.answers.get(key_of(method, *words, **named), default)


def said(rule: Rule, metric: str, answers: Answers) -> str:
    """The severity of what the rule says; "" when it says nothing."""
    signal = rule.body(StubFrame(answers, metric))
    return "" if signal is None else signal.severity or rule.severity


def read_limits() -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = json.loads(LIMITS.read_text())
    return found
