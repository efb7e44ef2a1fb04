"""The place of a tensor in a model, by the names that models of transformers, TRL, PEFT and SB3 give."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from rldk.core.checkpoint import LayerChange, TensorChange

# the first pattern that the name has decides
_PARTS = (
    ("adapter", r"lora_|adapter|\bia3|prompt_encoder|prompt_embeddings"),
    ("value head", r"v_head|value_head|value_net|\bcritic|\bscore\.|reward_head|mlp_extractor\.value|q_net|\bqf\d"),
    ("norm", r"norm|\bln_|layernorm|\bln\d|\.bn\d"),
    ("attention", r"attn|attention|\bq_proj|\bk_proj|\bv_proj|\bo_proj|query_key_value"),
    ("mlp", r"mlp|feed_forward|ffn|fc\d|c_fc|gate_proj|up_proj|down_proj|dense_|experts?\b|router|intermediate"),
    ("embedding", r"embed|\bwte\b|\bwpe\b"),
    ("head", r"lm_head|embed_out|\boutput\.|action_net|log_std|classifier|\bhead\b|policy_net|\bactor"),
)
_PATTERNS = tuple((part, re.compile(pattern, re.I)) for part, pattern in _PARTS)
_LAYER = re.compile(r"(?:^|\.)(?:layers?|h|blocks?|encoder|decoder|stages?)\.(\d+)(?:\.|$)")
PARTS = (*(part for part, _ in _PARTS), "other")


def part_of(name: str) -> str:
    """The part of the model that a tensor of this name is in; "other" where the name does not say."""
    return next((part for part, pattern in _PATTERNS if pattern.search(name)), "other")


def layer_of(name: str) -> int | None:
    """The number of the layer that the name has, or None."""
    found = _LAYER.search(name)
    return int(found.group(1)) if found and len(found.group(1)) < 6 else None


def layer_changes(changes: Iterable[TensorChange], *, by_layer: bool = True) -> tuple[LayerChange, ...]:
    """The weights that were compared, by part and layer, or by part alone, in the order of parts and layers."""
    groups: dict[tuple[str, int | None], list[TensorChange]] = {}
    for c in changes:
        if c.section == "model" and c.changed is not None:
            groups.setdefault((c.part, c.layer if by_layer else None), []).append(c)
    ordered = sorted(
        groups.items(), key=lambda item: (PARTS.index(item[0][0]), -1 if item[0][1] is None else item[0][1])
    )
    return tuple(_group(part, layer, found) for (part, layer), found in ordered)


def _group(part: str, layer: int | None, found: list[TensorChange]) -> LayerChange:
    moved = math.hypot(*(c.l2 for c in found if math.isfinite(c.l2)))
    size = math.hypot(*(c.norm[0] for c in found if math.isfinite(c.norm[0])))
    return LayerChange(
        part=part,
        layer=layer,
        tensors=len(found),
        elements=sum(c.elements for c in found),
        changed=sum(c.changed or 0 for c in found),
        relative_l2=moved / size if size > 0 else (math.inf if moved else 0.0),
    )
