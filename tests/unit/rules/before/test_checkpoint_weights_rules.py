"""The rules over two checkpoints: each fires, has a near miss, and is skipped without what it needs."""

from __future__ import annotations

import math
from typing import Any

import pytest

from rldk.core.checkpoint import TensorChange, Tie
from rldk.engine.once import look_once
from rldk.forensics.checkpoints.parts import layer_changes
from rldk.rules.rule import Context, rules
from rldk.rules.weights import WeightsView


def tensor(name: str, **options: Any) -> TensorChange:
    known: dict[str, Any] = {"section": "model", "fate": "changed", "dtype": "float32", "shape": (100, 100)}
    known |= {
        "elements": 10_000,
        "changed": 9_000,
        "l2": 1.0,
        "relative_l2": 0.01,
        "norm": (100.0, 100.0),
        "part": "mlp",
    }
    return TensorChange(**{**known, "name": name, **options})


def looked(code: str, **parts: Any) -> tuple[str | None, str, str]:
    """(severity, message, why it was not checked)."""
    view = WeightsView(**parts)
    once = look_once([rules.get(code)], Context(), {}, {"weights": view})
    finding = once.findings[0] if once.findings else None
    reason = once.unchecked[0].reason if once.unchecked else ""
    return (finding.severity if finding else None, finding.message if finding else "", reason)


SAME = {"fate": "same", "changed": 0, "l2": 0.0, "relative_l2": 0.0}


def layers(*sizes: float) -> dict[str, Any]:
    found = tuple(tensor(f"layers.{i}.mlp.weight", layer=i, l2=size) for i, size in enumerate(sizes))
    return {"tensors": found, "layers": layer_changes(found)}


def test_a_layer_that_moved_alone_is_named() -> None:
    severity, message, _ = looked("CKPT004", **layers(1, 1, 1.2, 11, 1, 0.9))
    assert (severity, "mlp of layer 3" in message, "11 times" in message) == ("warn", True, True)
    assert looked("CKPT004", **layers(1, 1, 1.2, 9.9, 1, 0.9))[0] is None
    assert looked("CKPT004", **layers(0, 0, 0, 9.9, 0, 0))[0] is None  # the others are frozen
    assert "needs six numbered layers" in looked("CKPT004", **layers(1, 1, 11))[2]


def test_weights_that_did_not_move_while_training_went_on() -> None:
    still = (tensor("a", **SAME), tensor("b", **SAME))
    assert looked("CKPT007", tensors=still, steps=(1, 9))[:2] == (
        "warn", "the step went from 1 to 9, and all 2 tensors of the model are the same to the bit",
    )  # fmt: skip
    moments = tensor("state.0.exp_avg", section="optimizer")
    assert looked("CKPT007", tensors=(*still, moments))[0] == "warn"
    assert looked("CKPT007", tensors=(*still, tensor("c", changed=1)), steps=(1, 9))[0] is None
    assert "says that training went on" in looked("CKPT007", tensors=still, steps=(9, 9))[2]
    assert "needs weights" in looked("CKPT007", tensors=(moments,), steps=(1, 9))[2]


def test_weights_that_became_nan_are_critical() -> None:
    severity, message, _ = looked("CKPT008", tensors=(tensor("a"), tensor("b", nan=(0, 2), inf=(0, 1))))
    assert (severity, message) == ("critical", "3 elements became NaN or infinite, in b")
    assert looked("CKPT008", tensors=(tensor("mask", inf=(5, 5), nan=(1, 1)),))[0] is None
    assert looked("CKPT008", tensors=())[2]


@pytest.mark.parametrize(("kept", "severity"), [(True, None), (False, "warn")])
def test_names_for_one_tensor_stay_one(kept: bool, severity: str | None) -> None:
    tie = Tie(name="embed_tokens.weight", other="lm_head.weight", how="shares memory", kept=kept)
    assert looked("CKPT009", tensors=(), ties=(tie,))[0] == severity
    gone = Tie(name="a", other="b", how="shares memory", kept=None)
    assert "needs weights that stand for one tensor" in looked("CKPT009", tensors=(), ties=(gone,))[2]


def test_tensors_without_a_partner() -> None:
    severity, message, _ = looked("CKPT010", tensors=(tensor("a"), tensor("b", fate="removed", changed=None)))
    assert (severity, message) == ("warn", "not all tensors have a partner (1 removed): b")
    assert looked("CKPT010", tensors=(tensor("a", fate="added", changed=None),))[0] == "info"
    assert looked("CKPT010", tensors=(tensor("a"),))[0] is None
    assert looked("CKPT010", tensors=(tensor("x", section="optimizer", fate="removed"),))[2]


def test_an_adapter_that_is_still_zero() -> None:
    zero = tensor("q.lora_B.weight", norm=(0.0, 0.0), **{**SAME, "cosine": math.nan})
    assert looked("CKPT011", tensors=(zero, tensor("q.lora_A.weight")), steps=(1, 2))[0] == "warn"
    assert looked("CKPT011", tensors=(zero, tensor("v.lora_B.weight")), steps=(1, 2))[0] is None
    assert "training went on" in looked("CKPT011", tensors=(zero,))[2]
    assert "needs a LoRA adapter" in looked("CKPT011", tensors=(tensor("a"),), steps=(1, 2))[2]


def test_a_handful_of_elements_is_no_training() -> None:
    few = tensor("layers.3.mlp.weight", changed=8, at=(3, 4))
    assert looked("CKPT012", tensors=(few, tensor("b", **SAME)))[:2] == (
        "warn", "only 8 elements of the whole model differ: layers.3.mlp.weight[3, 4]",
    )  # fmt: skip
    assert looked("CKPT012", tensors=(few, tensor("b", changed=1)))[0] is None
    assert looked("CKPT012", tensors=(tensor("b", **SAME),))[0] is None
    assert looked("CKPT012", tensors=(tensor("b", changed=8, elements=9_999),))[0] is None
