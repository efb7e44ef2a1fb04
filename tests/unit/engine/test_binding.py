"""The features of a rule are found once for a directory of runs, and are those that its body asks for."""

from __future__ import annotations

import pytest

from rldk.engine import binding
from rldk.engine.binding import BindingFrame
from rldk.engine.frame import MAKERS
from rldk.engine.memory import Memory
from rldk.rules.rule import Context, Frame, rules


def bound(body: object, context: Context, metric: str = "kl") -> set[tuple[object, ...]]:
    memory = Memory(MAKERS)
    BindingFrame(memory, context).bind(body, metric)  # type: ignore[arg-type]
    return set(memory.items)


def test_a_body_is_called_once_for_a_metric_and_its_features_are_made_for_every_run() -> None:
    calls = []

    def body(f: Frame) -> None:
        calls.append(f.metric)
        f.median(f.metric, 5)

    found = [bound(body, Context(), metric) for metric in ("kl", "kl", "entropy")]
    assert found == [{("median", "kl", 5, 0)}] * 2 + [{("median", "entropy", 5, 0)}]
    assert calls == ["kl", "entropy"]


def test_a_body_that_looks_at_the_context_is_asked_again_about_another_one() -> None:
    def body(f: Frame) -> None:
        f.count("kl" if f.framework() == "trl" else "loss")

    found = [bound(body, Context(framework=name)) for name in ("trl", "verl", "trl")]
    assert found == [{("count", "kl")}, {("count", "loss")}, {("count", "kl")}]


def test_a_configuration_that_cannot_be_compared_is_another_one() -> None:
    import numpy as np

    def body(f: Frame) -> None:
        f.count("kl" if f.config("beta") is not None else "loss")

    contexts = [Context(config={"beta": np.ones(3)}), Context(config={"beta": np.ones(3)}), Context()]
    assert [bound(body, context) for context in contexts] == [{("count", "kl")}] * 2 + [{("count", "loss")}]


def test_endless_names_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binding, "MOST_KNOWN", 10)
    monkeypatch.setattr(binding, "_everywhere", {})

    def body(f: Frame) -> None:
        f.count(f.metric)

    assert all(bound(body, Context(), f"m{i}") == {("count", f"m{i}")} for i in range(25))
    assert len(binding._everywhere) <= 10


@pytest.mark.parametrize("framework", ["trl", "stable_baselines3"])
def test_every_rule_gets_the_same_features_on_the_second_run(framework: str) -> None:
    for rule in rules:
        if rule.subject == "rows" and not rule.each:
            found = [bound(rule.body, Context(framework=framework), rule.metric) for _ in range(2)]
            assert found[0] == found[1], rule.code
