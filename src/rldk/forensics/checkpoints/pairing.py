"""Two checkpoints, tensor by tensor and value by value."""

from __future__ import annotations

import math
from collections.abc import Callable

from rldk.core.checkpoint import SECTIONS, Fate, Section, TensorChange, ValueChange
from rldk.forensics.checkpoints.numbers import Difference, difference
from rldk.forensics.checkpoints.parts import layer_of, part_of
from rldk.provenance.checkpoints.stored import Contents, Maps, StoredTensor

Begin = Callable[[str], None]
Key = tuple[Section, str]


def tensor_changes(
    before: Contents, after: Contents, maps: Maps, advance: Callable[[int], None], begin: Begin
) -> tuple[TensorChange, ...]:
    """One entry for each tensor, by section and name. `advance`: is called with the bytes compared; `begin` with each
    name."""
    found = []
    for key in sorted(before.tensors.keys() | after.tensors.keys(), key=_order):
        a, b = before.tensors.get(key), after.tensors.get(key)
        begin(key[1])
        if a is None or b is None:
            found.append(_lonely(a, b))
        elif a.shape != b.shape:
            found.append(_entry(b, "reshaped", was=_kind(a)))
        else:
            made = difference(a, b, maps, advance)
            fate: Fate = "retyped" if a.dtype != b.dtype else "changed" if made.changed else "same"
            found.append(_compared(b, fate, made, was="" if a.dtype == b.dtype else a.dtype))
    return tuple(found)


def value_changes(before: Contents, after: Contents) -> tuple[ValueChange, ...]:
    """The values that differ, by section and name."""
    return tuple(
        ValueChange(section=key[0], name=key[1], before=before.values.get(key, ""), after=after.values.get(key, ""))
        for key in sorted(before.values.keys() | after.values.keys(), key=_order)
        if before.values.get(key) != after.values.get(key)
    )


def _order(key: Key) -> tuple[int, list[tuple[int, int | str]]]:
    """Sections in their order, names with their numbers as numbers: layer 2 comes before layer 10."""
    words = key[1].replace("[", ".").split(".")
    return SECTIONS.index(key[0]), [(0, int(w)) if w.isdecimal() and len(w) < 10 else (1, w) for w in words]


def _kind(t: StoredTensor) -> str:
    return f"{t.dtype} {list(t.shape)}"


def _lonely(a: StoredTensor | None, b: StoredTensor | None) -> TensorChange:
    if b is not None:
        return _entry(b, "added")
    assert a is not None  # noqa: S101 - one of both is there
    return _entry(a, "removed")


def _entry(t: StoredTensor, fate: Fate, was: str = "") -> TensorChange:
    return TensorChange(
        section=t.section,
        name=t.name,
        fate=fate,
        dtype=t.dtype,
        shape=t.shape,
        was=was,
        part=part_of(t.name) if t.section == "model" else "",
        layer=layer_of(t.name) if t.section == "model" else None,
        elements=t.elements * (2 if t.dtype.startswith("complex") else 1),
    )


def _compared(t: StoredTensor, fate: Fate, made: Difference, was: str) -> TensorChange:
    from msgspec.structs import replace

    l2, norms = math.sqrt(made.distance2), tuple(math.sqrt(s) for s in made.squares)
    relative = l2 / norms[0] if norms[0] else math.inf if l2 else 0.0
    return replace(
        _entry(t, fate, was),
        changed=made.changed,
        l2=l2,
        relative_l2=relative,
        cosine=made.cosine(),
        max_abs=0.0 if not made.changed else made.max_abs,
        at=None if made.at is None else _index(made.at, t),
        before=made.pair[0],
        after=made.pair[1],
        ulps=made.histogram(),
        nan=(made.nan[0], made.nan[1]),
        inf=(made.inf[0], made.inf[1]),
        norm=(norms[0], norms[1]),
    )


def _index(place: int, t: StoredTensor) -> tuple[int, ...]:
    """The index of element number `place`; a complex number has two, the real and the imaginary part."""
    shape = (*t.shape, 2) if t.dtype.startswith("complex") else t.shape
    index: list[int] = []
    for size in reversed(shape):
        place, rest = divmod(place, size)
        index.append(rest)
    return tuple(reversed(index))
