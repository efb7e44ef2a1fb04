"""Two checkpoints, as rules over the subject "weights" see them."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from msgspec import Struct

from rldk.core.checkpoint import LayerChange, TensorChange, Tie, ValueChange


class WeightsView(Struct, frozen=True, kw_only=True):
    """Every tensor of two checkpoints, and what else differs. `steps`: the training steps that the checkpoints state,
    None where one does not."""

    tensors: tuple[TensorChange, ...]
    values: tuple[ValueChange, ...] = ()
    ties: tuple[Tie, ...] = ()
    layers: tuple[LayerChange, ...] = ()
    steps: tuple[int | None, int | None] = (None, None)

    def has(self, need: str) -> bool:
        """Whether both checkpoints had it: "weights", "ties", "layers" or "adapters"."""
        match need:
            case "ties":
                return any(tie.kept is not None for tie in self.ties)
            case "layers":
                return any(True for _ in self.peers())
            case "adapters":
                return any("lora_B" in t.name for t in self.weights())
            case "names":
                return any(t.section == "model" for t in self.tensors)
            case _:
                return bool(self.weights())

    def weights(self) -> tuple[TensorChange, ...]:
        """The tensors of the model that were compared."""
        return tuple(t for t in self.tensors if t.section == "model" and t.changed is not None)

    def trained(self) -> str:
        """What says that the training went on between both checkpoints; "" where nothing does."""
        first, second = self.steps
        if first is not None and second is not None and first != second:
            return f"the step went from {first:,} to {second:,}"
        if any(t.section == "optimizer" and t.fate == "changed" for t in self.tensors):
            return "the optimiser's state changed"
        return ""

    def peers(self) -> Iterator[tuple[LayerChange, float]]:
        """Each layer with the median relative change of the other layers of the same part, where there are five."""
        for layer in self.layers:
            others = [o.relative_l2 for o in self.layers if o is not layer and _alike(o, layer)]
            if layer.layer is not None and len(others) >= 5:
                yield layer, statistics.median(others)


def _alike(a: LayerChange, b: LayerChange) -> bool:
    return a.part == b.part and a.layer is not None
