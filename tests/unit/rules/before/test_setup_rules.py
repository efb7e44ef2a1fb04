"""Rules over what preflight has tried out: at the limit and beside it, and without the fact they need."""

from __future__ import annotations

import math
from typing import Any

from examples import each_of

from rldk.core.model import Check, Finding
from rldk.engine.once import look_once
from rldk.rules.rule import Context, rules
from rldk.rules.setup import DataFacts, FirstStep, ModelFacts, SetupView, TokenizerFacts

STEP: dict[str, Any] = {
    "reached": True, "tensors": 4, "held": 100, "stray": 0, "without_gradient": 0, "zero": 0, "broken": 0, "moved": 4,
    "loss": 0.5, "lr": 1e-3, "ratio_gap": 0.001,
}  # fmt: skip
MODEL: dict[str, Any] = {
    "parameters": 100, "trainable": 100, "dtypes": {"float32": 100}, "tied": True, "says_tied": True,
    "embeddings": 1000, "padding_gap": 0.0, "padding_limit": 0.02, "padding_side": "left", "needed_gib": 9.0,
    "memory_gib": 10.0,
}  # fmt: skip
TOKENIZER: dict[str, Any] = {"size": 1000, "bos": 1, "eos": 2, "pad": 0, "ends": (2,), "template": True}


def _step(**change: Any) -> SetupView:
    algorithm = change.pop("algorithm", None)
    return SetupView(first_step=FirstStep(**{**STEP, **change}), algorithm=algorithm)


def _model(**change: Any) -> SetupView:
    size = change.pop("size", 1000)
    return SetupView(tokenizer=TokenizerFacts(**{**TOKENIZER, "size": size}), model=ModelFacts(**{**MODEL, **change}))


def _look(code: str, view: SetupView) -> tuple[list[Finding], list[Check]]:
    once = look_once([rules.get(code)], Context(), {}, {"setup": view})
    return once.findings, once.unchecked


@each_of(
    ("code", "view", "message"),
    [
        ("OPT030", _model(trainable=0), "none of 100 parameters wants a gradient"),
        ("OPT031", _model(dtypes={"float16": 7}), "7 trainable parameters are held in float16"),
        ("OPT032", _model(tied=False), "the configuration ties input and output embedding, and they are two tensors"),
        ("DATA036", _model(size=1001), "the tokenizer has 1,001 tokens, and the model has 1,000 embeddings"),
        (
            "DATA003",
            _model(padding_gap=0.03),
            "log-probabilities change by up to 0.03 when the sequence is padded on the left",
        ),
        ("SYS030", _model(needed_gib=10.1), "training needs about 10.1 GiB, and the device has 10.0 GiB"),
        (
            "OPT033",
            SetupView(first_step=FirstStep(reached=False, outcome="the script ended with exit code 1")),
            "no optimizer step was made: the script ended with exit code 1",
        ),
        ("OPT034", _step(moved=0), "the step changed none of 4 tensors with a learning rate of 0.001"),
        ("OPT034", _step(moved=0, lr=0.0, numbers={"steps": 3}), "3 steps changed none of 4 tensors with a learning"),
        ("OPT035", _step(stray=1), "1 parameters had a gradient, and the optimizer does not hold them (it holds 100)"),
        ("OPT036", _step(loss=math.nan), "the loss of the first step is nan"),
        ("GRAD030", _step(broken=1), "1 of 4 gradients of the first step are not finite"),
        ("GRAD031", _step(zero=3, without_gradient=1), "all 4 tensors of the optimizer have no gradient, or one that"),
        ("CLIP030", _step(ratio_gap=0.021), "the ratio of the first minibatch is off 1 by 0.021"),
    ],
)
def test_fires(code: str, view: SetupView, message: str) -> None:
    findings, _ = _look(code, view)
    assert [f.code for f in findings] == [code]
    assert findings[0].message.startswith(message)
    assert findings[0].first_step is None


@each_of(
    ("code", "view"),
    [
        ("OPT030", _model(trainable=1)),
        ("OPT031", _model(dtypes={"bfloat16": 7})),
        ("OPT032", _model(tied=False, says_tied=False)),
        ("DATA036", _model(size=1000)),
        ("DATA003", _model(padding_gap=0.02)),
        ("SYS030", _model(needed_gib=10.0)),
        ("OPT033", _step()),
        ("OPT034", _step(moved=1)),
        ("OPT034", _step(moved=0, lr=0.0, numbers={"steps": 1})),  # a warm-up from 0
        ("OPT034", _step(moved=0, zero=4)),  # that is GRAD031
        ("OPT035", _step(stray=1, held=101)),  # below 1 %
        ("OPT036", _step(loss=-1e9)),
        ("GRAD030", _step(broken=0)),
        ("GRAD031", _step(zero=3)),
        ("CLIP030", _step(ratio_gap=0.02)),
    ],
)
def test_stays_quiet_beside_the_limit(code: str, view: SetupView) -> None:
    findings, unchecked = _look(code, view)
    assert (findings, unchecked) == ([], [])


@each_of(
    ("code", "view", "reason"),
    [
        ("OPT030", SetupView(), "needs a model"),
        ("DATA003", _model(padding_gap=None), "needs a language model of transformers"),
        ("SYS030", _model(memory_gib=None), "needs a model on a GPU"),
        ("DATA036", _model(embeddings=None), "needs a language model of transformers"),
        ("OPT034", SetupView(first_step=FirstStep(reached=False)), "needs an optimizer step"),
        ("OPT036", _step(loss=None), "needs a loss that backward() is called on"),
        ("CLIP030", _step(ratio_gap=None), "needs a trainer that shows the ratio (TRL's GRPO with old log-prob"),
        ("REW050", SetupView(), "needs a reward function"),
        ("EVAL004", SetupView(data=DataFacts(rows=1, seen=1)), "needs a data set and one for evaluation, both with pr"),
    ],
)
def test_what_is_missing_is_said(code: str, view: SetupView, reason: str) -> None:
    findings, unchecked = _look(code, view)
    assert findings == []
    assert unchecked[0].status == "skipped"
    assert unchecked[0].reason.startswith(reason)


def test_no_gradient_at_all_is_a_warning_where_groups_may_be_equal_by_chance() -> None:
    for algorithm, severity in (("grpo", "warn"), ("dpo", "critical"), (None, "critical")):
        findings, _ = _look("GRAD031", _step(zero=4, algorithm=algorithm))
        assert findings[0].severity == severity, algorithm


def test_every_rule_over_the_setup_names_what_it_needs_in_words() -> None:
    from rldk.rules.subject import MISSING

    asked = {need for rule in rules if rule.subject == "setup" for need in rule.needs}
    assert asked <= set(MISSING["setup"])
