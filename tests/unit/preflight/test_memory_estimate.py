"""The estimate of memory is its formula, worked out by hand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from rldk.preflight.memory import GIB, Load, Shape, estimate, shape_of

SHAPE = Shape(
    parameters=1000, trainable=100, weight_bytes=2, trained_bytes=4, layers=3, hidden=8, feed_forward=32, heads=4,
    kv_heads=2, head_size=5, vocabulary=70,
)  # fmt: skip
LAYER = 12 * 8 + 4 * 32
PLAIN = {
    "weights": 2000, "gradients": 400, "optimizer": 800, "reference": 0, "activations": 2 * 10 * 3 * LAYER * 2,
    "logits": 2 * 10 * 70 * 10, "kv_cache": 0,
}  # fmt: skip
CASES: list[tuple[dict[str, Any], dict[str, float]]] = [
    ({}, {}),
    ({"optimizer": "SGD"}, {"optimizer": 0}),
    ({"optimizer": "adafactor"}, {"optimizer": 0}),
    ({"optimizer": "lion"}, {"optimizer": 400}),
    ({"optimizer": "adamw_8bit"}, {"optimizer": 200}),
    ({"optimizer": "adamw_bnb_8bit"}, {"optimizer": 200}),
    ({"optimizer": "paged_adamw_8bit"}, {"optimizer": 200}),
    ({"optimizer": "adamw_torch"}, {"optimizer": 800}),
    ({"reference": True}, {"reference": 2000}),
    ({"shards": 4, "reference": True}, {"weights": 500, "gradients": 100, "optimizer": 200, "reference": 500}),
    ({"checkpointing": True}, {"activations": 20 * (3 * 8 + LAYER) * 2}),
    ({"fused_attention": False}, {"activations": 20 * (3 * LAYER + 3 * 4 * 10 * 2) * 2}),
    ({"compute_bytes": 4}, {"activations": 20 * 3 * LAYER * 4, "logits": 20 * 70 * 12}),
    ({"generated": 6}, {"kv_cache": 6 * 10 * 3 * 2 * 2 * 5 * 2}),
]


def test_each_part_is_its_formula() -> None:
    for more, parts in CASES:
        found = estimate(SHAPE, Load(**{"batch": 2, "length": 10, **more}))
        expected = {name: value / GIB for name, value in {**PLAIN, **parts}.items()}
        assert found == pytest.approx({**expected, "total": sum(expected.values())}), more


def test_what_is_not_stated_of_a_step() -> None:
    assert (GIB, Load()) == (
        2.0**30,
        Load(
            batch=1, length=1024, optimizer="adamw", reference=False, checkpointing=False, fused_attention=True,
            compute_bytes=2, generated=0, shards=1,
        ),
    )  # fmt: skip


def parameter(size: int, width: int, *, trained: bool = True) -> Any:
    return SimpleNamespace(numel=lambda: size, element_size=lambda: width, requires_grad=trained)


def shaped(*parameters: Any, **config: Any) -> Shape:
    return shape_of(SimpleNamespace(parameters=lambda: iter(parameters), config=SimpleNamespace(**config)))


def test_the_sizes_of_a_model_by_the_names_of_its_configuration() -> None:
    mixed = [parameter(10, 2), parameter(5, 4, trained=False), parameter(3, 1)]
    for names in (
        ("hidden_size", "num_attention_heads", "num_hidden_layers", "intermediate_size"),
        ("n_embd", "n_head", "n_layer", "n_inner"),
        ("d_model", "n_head", "n_layer", "ffn_dim"),
    ):
        found = shaped(*mixed, **dict(zip(names, (12, 4, 3, 20), strict=True)), vocab_size=9, num_key_value_heads=2)
        assert found == Shape(
            parameters=18, trainable=13, weight_bytes=4, trained_bytes=2, layers=3, hidden=12, feed_forward=20, heads=4,
            kv_heads=2, head_size=3, vocabulary=9,
        ), names  # fmt: skip


def test_sizes_that_follow_from_others() -> None:
    found = shaped(hidden_size=10, num_attention_heads=5, head_dim=7)
    assert (found.feed_forward, found.kv_heads, found.head_size) == (40, 5, 7)
    assert (found.parameters, found.weight_bytes, found.trained_bytes, found.layers) == (0, 4, 4, 0)
    assert shaped(hidden_size=10).head_size == 0
    within = shaped(hidden_size=99, text_config=SimpleNamespace(hidden_size=6))
    assert within.hidden == 6
    assert shaped(hidden_size="6").hidden == 0
    assert shape_of(SimpleNamespace(parameters=lambda: iter(()))) == Shape(parameters=0, trainable=0)
