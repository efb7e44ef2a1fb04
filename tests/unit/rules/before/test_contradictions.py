"""Settings that exclude each other are a warning; one that is only not read is information."""

from __future__ import annotations

from typing import Any

from examples import each_of

from rldk.rules.before.config_contradictions import settings_contradict
from rldk.rules.subject import ConfigView

BEST = {"load_best_model_at_end": True, "eval_strategy": "no"}
WARMUPS = {"warmup_steps": 10, "warmup_ratio": 0.1}


@each_of(
    ("values", "severity"),
    [
        (BEST, "info"),
        (WARMUPS, "info"),
        ({"warmup_steps": 0, "warmup_ratio": 0.1}, None),
        ({"bf16": True, "fp16": True}, None),  # the rule's own severity
        ({**BEST, "bf16": True, "fp16": True}, None),
    ],
)
def test_what_a_contradiction_is_worth(values: dict[str, Any], severity: str | None) -> None:
    signal = settings_contradict.body(ConfigView(values=values, keys={}, framework="trl", algorithm="grpo"))
    assert (signal is None) == (values.get("warmup_steps") == 0)
    assert signal is None or signal.severity == severity
