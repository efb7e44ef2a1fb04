"""What a model of torch says before it is trained: parameters, number formats, ties, and whether padding matters."""

from __future__ import annotations

from typing import Any

from rldk.preflight.memory import Load, estimate, shape_of
from rldk.rules.setup import ModelFacts

LENGTHS = (7, 12)  # tokens of the two sequences
LIMITS = {4: 0.02, 2: 0.3}  # bytes of a number -> the largest difference of log-probabilities that rounding explains
SEED = 20260


def model_facts(model: Any, *, pad: int | None = None, load: Load | None = None) -> tuple[ModelFacts, dict[str, float]]:
    """The facts, and the estimate of memory by part (empty without `load`). The model is left as it was."""
    parameters = list(model.parameters())
    trained = [p for p in parameters if p.requires_grad]
    dtypes: dict[str, int] = {}
    for p in trained:
        name = str(p.dtype).removeprefix("torch.")
        dtypes[name] = dtypes.get(name, 0) + p.numel()
    gap, side = padding_gap(model, pad)
    limit = LIMITS.get(min((p.element_size() for p in parameters), default=4), LIMITS[2])
    parts = {} if load is None else estimate(shape_of(model), load)
    facts = ModelFacts(
        parameters=sum(p.numel() for p in parameters),
        trainable=sum(p.numel() for p in trained),
        dtypes=dtypes,
        tied=_tied(model),
        says_tied=_says_tied(model),
        embeddings=_embeddings(model),
        dropout=max((float(m.p) for m in model.modules() if type(m).__name__ == "Dropout"), default=0.0),
        padding_gap=gap,
        padding_limit=None if gap is None else limit,
        padding_side=side,
        needed_gib=parts.get("total"),
        memory_gib=_device_gib(parameters),
    )
    return facts, parts


def padding_gap(model: Any, pad: int | None) -> tuple[float | None, str]:
    """The largest difference of log-probabilities between sequences alone and padded, and the side of that padding.

    (None, "") for what is no language model, or cannot be called with token ids and a mask."""
    rows = _embeddings(model)
    if rows is None or rows < 32:
        return None, ""
    import torch

    generator = torch.Generator().manual_seed(SEED)
    alone = [torch.randint(10, min(rows, 1000), (n,), generator=generator).tolist() for n in LENGTHS]
    fill = pad if pad is not None and 0 <= pad < rows else 0
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            whole = [_scores(model, [ids], [[1] * len(ids)])[0] for ids in alone]
            worst: tuple[float, str] = (0.0, "left")
            for side in ("left", "right"):
                padded = [_pad(ids, max(LENGTHS), fill, side) for ids in alone]
                masks = [_pad([1] * len(ids), max(LENGTHS), 0, side) for ids in alone]
                rows_scores = _scores(model, padded, masks)
                for ids, scores, expected in zip(alone, rows_scores, whole, strict=True):
                    own = scores[-len(ids) :] if side == "left" else scores[: len(ids)]
                    gap = float((own[:-1] - expected[:-1]).abs().max())
                    worst = max(worst, (gap, side), key=lambda pair: pair[0])
    except (TypeError, ValueError, RuntimeError, IndexError, AttributeError, KeyError):
        return None, ""
    finally:
        model.train(training)
    return worst


def _pad(values: list[int], length: int, fill: int, side: str) -> list[int]:
    more = [fill] * (length - len(values))
    return more + values if side == "left" else values + more


def _scores(model: Any, ids: list[list[int]], masks: list[list[int]]) -> Any:
    """The log-probabilities of every token of the vocabulary at each place, (rows, places, vocabulary)."""
    import inspect

    import torch

    device = next(model.parameters()).device
    mask = torch.tensor(masks, device=device)
    given = {"input_ids": torch.tensor(ids, device=device), "attention_mask": mask}
    if "position_ids" in inspect.signature(model.forward).parameters:
        given["position_ids"] = (mask.cumsum(-1) - 1).clamp(min=0)
    logits = model(**given).logits
    return torch.log_softmax(logits.float(), dim=-1)


def _embedding(model: Any, name: str) -> Any:
    try:
        return getattr(getattr(model, name)(), "weight", None)
    except (AttributeError, NotImplementedError, TypeError):
        return None


def _embeddings(model: Any) -> int | None:
    weight = _embedding(model, "get_input_embeddings")
    return None if weight is None or not hasattr(weight, "shape") else int(weight.shape[0])


def _tied(model: Any) -> bool | None:
    first, last = _embedding(model, "get_input_embeddings"), _embedding(model, "get_output_embeddings")
    if first is None or last is None:
        return None
    return bool(first.data_ptr() == last.data_ptr())


def _says_tied(model: Any) -> bool | None:
    said = getattr(getattr(model, "config", None), "tie_word_embeddings", None)
    return bool(said) if isinstance(said, bool) else None


def _device_gib(parameters: list[Any]) -> float | None:
    """The memory of the device that the model is on; None for a processor."""
    if not parameters or parameters[0].device.type != "cuda":
        return None
    import torch

    return float(torch.cuda.get_device_properties(parameters[0].device).total_memory) / (1 << 30)
