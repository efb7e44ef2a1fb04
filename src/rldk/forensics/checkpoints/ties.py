"""Names that stand for one tensor, such as embedding and head of a language model, and whether they still do."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rldk.core.checkpoint import Tie
from rldk.forensics.checkpoints.numbers import CHUNK_BYTES, same_bits
from rldk.provenance.checkpoints.stored import Contents, Elements, Maps, StoredTensor

_HEAD = re.compile(r"(?:^|\.)(?:lm_head|embed_out|output_projection|cls\.predictions\.decoder)\.weight$")
_EMBEDDING = re.compile(r"(?:^|\.)(?:embed_tokens|wte|word_embeddings|embed_in|tok_embeddings)\.weight$")
MAX_TIES = 1000


def ties(before: Contents, after: Contents, maps: Maps) -> tuple[Tie, ...]:
    """The names that stood for one tensor in the first checkpoint, with what became of them in the second."""
    found = []
    for name, other, how in _pairs(before, maps):
        a, b = after.tensors.get(("model", name)), after.tensors.get(("model", other))
        kept = None if a is None or b is None else _equal(a, b, maps)
        if kept is None and a is not None and b is None and how == "is not stored":
            kept = True  # it is still not stored
        found.append(Tie(name=name, other=other, how=how, kept=kept))
        if len(found) == MAX_TIES:
            break
    return tuple(found)


def _pairs(contents: Contents, maps: Maps) -> Iterator[tuple[str, str, str]]:
    weights = {name: t for (section, name), t in contents.tensors.items() if section == "model"}
    owners: dict[str, str] = {}
    for name, tensor in weights.items():
        if tensor.memory and tensor.elements > 1:
            owner = owners.setdefault(tensor.memory, name)
            if owner != name:
                yield owner, name, "shares memory"
    embedding = next((n for n in weights if _EMBEDDING.search(n)), None)
    if embedding is None:
        return
    head = next((n for n in weights if _HEAD.search(n)), None)
    if head is None:
        if any(config.get("tie_word_embeddings") is True for config in contents.configs.values()):
            yield embedding, "lm_head.weight", "is not stored"
    elif not _shared(weights[embedding], weights[head]) and _equal(weights[embedding], weights[head], maps):
        yield embedding, head, "has equal bytes"


def _shared(a: StoredTensor, b: StoredTensor) -> bool:
    return bool(a.memory) and a.memory == b.memory


def _equal(a: StoredTensor, b: StoredTensor, maps: Maps) -> bool:
    """Whether both hold the same bytes; it stops at the first piece that differs."""
    if (a.dtype, a.shape) != (b.dtype, b.shape):
        return False
    if _shared(a, b):
        return True
    first, second = Elements(a, maps), Elements(b, maps)
    step = CHUNK_BYTES // 8
    return all(
        same_bits(first.read(i, min(i + step, first.count)), second.read(i, min(i + step, first.count)))
        for i in range(0, first.count, step)
    )
