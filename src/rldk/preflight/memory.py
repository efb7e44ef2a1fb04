"""An estimate of the memory that a training step needs on one device.

The formula is a sum of the tensors that are held at the largest moment of a step:

    weights       P x bytes
    gradients     T x bytes of the trained weights
    optimizer     T x states x bytes of a state
    reference     P x bytes, where a second model is held
    activations   tokens x layers x (12 h + 4 f) x bytes; checkpointed: tokens x (layers h + 12 h + 4 f) x bytes
    scores        tokens x attention heads x length x bytes x layers, only without a fused attention kernel
    logits        tokens x vocabulary x (bytes + 8)
    KV cache      generated tokens x layers x 2 x kv heads x head size x bytes, where the same device samples

P: parameters, T: trained parameters, h: hidden size, f: size of the feed-forward layer. What it leaves out: buffers of
communication, the allocator's own share, and the kernels of CUDA (about 1 GiB together on one device)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

GIB = float(1 << 30)
# of an optimizer: states held for each parameter, and the bytes of one (0: as the parameter)
OPTIMIZERS: Mapping[str, tuple[int, int]] = {
    "sgd": (0, 0),
    "adafactor": (0, 0),
    "lion": (1, 0),
    "adamw_8bit": (2, 1),
    "adamw_bnb_8bit": (2, 1),
    "paged_adamw_8bit": (2, 1),
}
ADAM = (2, 0)


class Shape(Struct, frozen=True, kw_only=True):
    """The sizes of a model that memory depends on."""

    parameters: int
    trainable: int
    weight_bytes: int = 4
    trained_bytes: int = 4
    layers: int = 0
    hidden: int = 0
    feed_forward: int = 0
    heads: int = 0
    kv_heads: int = 0
    head_size: int = 0
    vocabulary: int = 0


class Load(Struct, frozen=True, kw_only=True):
    """What a step does. `batch`: sequences in one backward pass. `length`: tokens of a sequence.

    `generated`: sequences that the same device samples at once; 0 where another engine does. `shards`: devices that
    share weights, gradients and optimizer."""

    batch: int = 1
    length: int = 1024
    optimizer: str = "adamw"
    reference: bool = False
    checkpointing: bool = False
    fused_attention: bool = True
    compute_bytes: int = 2
    generated: int = 0
    shards: int = 1


def shape_of(model: Any) -> Shape:
    """The sizes of a model of transformers, by its parameters and its configuration."""
    parameters = list(model.parameters())
    trained = [p for p in parameters if p.requires_grad]
    text = getattr(model, "config", None)
    text = getattr(text, "text_config", None) or text

    def size(*names: str) -> int:
        return next((int(v) for name in names if isinstance(v := getattr(text, name, None), int)), 0)

    hidden, heads = size("hidden_size", "n_embd", "d_model"), size("num_attention_heads", "n_head")
    return Shape(
        parameters=sum(p.numel() for p in parameters),
        trainable=sum(p.numel() for p in trained),
        weight_bytes=max((p.element_size() for p in parameters), default=4),
        trained_bytes=max((p.element_size() for p in trained), default=4),
        layers=size("num_hidden_layers", "n_layer"),
        hidden=hidden,
        feed_forward=size("intermediate_size", "n_inner", "ffn_dim") or 4 * hidden,
        heads=heads,
        kv_heads=size("num_key_value_heads") or heads,
        head_size=size("head_dim") or (hidden // heads if heads else 0),
        vocabulary=size("vocab_size"),
    )


def estimate(shape: Shape, load: Load) -> dict[str, float]:
    """GiB by part, and their sum as `total`."""
    states, bytes_of = OPTIMIZERS.get(load.optimizer.lower().removesuffix("_torch"), ADAM)
    tokens = load.batch * load.length
    layer = 12 * shape.hidden + 4 * shape.feed_forward
    held = shape.layers * shape.hidden + layer if load.checkpointing else shape.layers * layer
    scores = 0 if load.fused_attention else shape.layers * shape.heads * load.length * 2
    parts = {
        "weights": shape.parameters * shape.weight_bytes / load.shards,
        "gradients": shape.trainable * shape.trained_bytes / load.shards,
        "optimizer": shape.trainable * states * (bytes_of or shape.trained_bytes) / load.shards,
        "reference": shape.parameters * shape.weight_bytes / load.shards if load.reference else 0.0,
        "activations": tokens * (held + scores) * load.compute_bytes,
        "logits": tokens * shape.vocabulary * (load.compute_bytes + 8),
        "kv_cache": load.generated
        * load.length
        * shape.layers
        * 2
        * shape.kv_heads
        * shape.head_size
        * load.compute_bytes,
    }
    made = {name: value / GIB for name, value in parts.items()}
    return {**made, "total": sum(made.values())}
