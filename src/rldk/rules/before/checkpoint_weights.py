"""CKPT: what the tensors of two checkpoints say, by `rldk diff-ckpt`."""

from __future__ import annotations

import math
from functools import partial

from rldk.core.text import first_few
from rldk.rules.rule import Signal, rule
from rldk.rules.weights import WeightsView

OUTLIER = 10.0  # times the median change of the other layers
FEW = 8  # elements; far fewer than one step of any optimiser changes
LEAST_ELEMENTS = 10_000
NAMED = 5  # tensors that a message names

_weight_rule = partial(rule, data="C", subject="weights")


def _untrained(c: WeightsView) -> str | None:
    """Why a rule about training does not apply; None where training went on between both checkpoints."""
    return None if c.trained() else "defined where a step or the optimiser says that training went on"


@_weight_rule(
    "CKPT004",
    "layer-moved-alone",
    severity="warn",
    tier=2,
    needs=("layers",),
    causes=(
        "the layer has a learning rate of its own, or it alone was initialised again and not loaded",
        "its gradients exploded: look for a spike of the gradient norm between both steps",
        "the shard that holds it was replaced or damaged",
    ),
    fixes=("compare the checkpoint before this one, to see when it began", "clip the gradient: {max_grad_norm}"),
)
def layer_moved_alone(c: WeightsView) -> Signal | None:
    """Fires when one layer changed ten times as much as the same part of the other layers.

    Why it matters: Layers of one kind change by similar shares in a healthy training. One that runs away takes the rest
    of the model with it, and shows in the loss only later.
    How it is computed: The weights are grouped by part (attention, MLP, norm, adapter) and layer. The relative change
    of a group is the L2 norm of the difference through the norm before. It is compared with the median of the same part
    of at least five other layers; groups without a norm before (a new adapter) are left out.
    When it is wrong: Some layers may be frozen, or be trained faster on purpose.
    Source: CKPT004 of the rule catalogue. The factor is our own choice; the largest ratio among 198 pairs of
    checkpoints of three small healthy trainings (8 layers; AdamW and SGD) was 2.7.
    """
    found = [
        (layer, usual)
        for layer, usual in c.peers()
        if math.isfinite(layer.relative_l2) and usual > 0 and layer.relative_l2 > OUTLIER * usual
    ]
    if not found:
        return None
    layer, usual = max(found, key=lambda pair: pair[0].relative_l2 / pair[1])
    more = f"; {len(found) - 1} more group{'s' if len(found) > 2 else ''} stand out" if len(found) > 1 else ""
    message = (
        f"{layer.part} of layer {layer.layer} changed by {layer.relative_l2:.3g} of its norm, "
        f"{layer.relative_l2 / usual:.3g} times as much as in the other layers{more}"
    )
    evidence = {"layers": [[each.part, each.layer, each.relative_l2, usual] for each, usual in found]}
    return Signal(
        value=layer.relative_l2, limit=OUTLIER * usual, metric="relative_l2", message=message, evidence=evidence
    )


@_weight_rule(
    "CKPT007",
    "weights-did-not-move",
    severity="warn",
    tier=0,
    needs=("weights",),
    unless_view=_untrained,
    causes=(
        "every parameter is frozen, or the optimiser has other parameters than the model",
        "each update is below the precision of the type: bfloat16 with a small learning rate and no float32 copy",
        "the gradients are zero, or each step was skipped because of an overflow",
    ),
    fixes=("compare the optimiser's parameters with those of the model", "keep float32 weights, or raise {lr}"),
)
def weights_did_not_move(c: WeightsView) -> Signal | None:
    """Fires when training went on and not one bit of the weights changed.

    Why it matters: The steps between both checkpoints taught the model nothing.
    How it is computed: All tensors of the model are equal to the bit, and either the steps that both checkpoints state
    differ or the optimiser's state does.
    When it is wrong: The learning rate may have been 0 on purpose. Weights that are trained may lie elsewhere.
    Source: An identity.
    """
    weights = c.weights()
    if any(t.changed for t in weights):
        return None
    message = f"{c.trained()}, and all {len(weights):,} tensors of the model are the same to the bit"
    return Signal(value=0.0, limit=0.0, metric="changed", message=message)


@_weight_rule(
    "CKPT008",
    "weights-not-finite",
    severity="critical",
    tier=0,
    needs=("weights",),
    causes=(
        "the loss or a gradient was NaN or infinite, and the step was taken all the same",
        "a value overflowed the type that the checkpoint was saved in",
    ),
    fixes=(
        "go on from the first checkpoint; this one cannot be repaired",
        "skip steps whose gradient is not finite, and clip: {max_grad_norm}",
    ),
)
def weights_not_finite(c: WeightsView) -> Signal | None:
    """Fires when the second checkpoint has NaN or infinite weights that the first one does not have.

    Why it matters: One NaN makes every output of the model NaN.
    How it is computed: NaN and infinite elements are counted in every tensor of the model, before and after. Those that
    were there before do not count: a mask may hold infinities.
    When it is wrong: Never for a weight. A buffer may hold infinities from some step on by construction.
    Source: An identity.
    """
    found = [(t, t.nan[1] - t.nan[0], t.inf[1] - t.inf[0]) for t in c.weights()]
    bad = [(t, max(0, nan) + max(0, inf)) for t, nan, inf in found if nan > 0 or inf > 0]
    if not bad:
        return None
    count = sum(n for _, n in bad)
    names = [t.name for t, _ in bad]
    message = f"{count:,} element{'s' if count > 1 else ''} became NaN or infinite, in {first_few(names, NAMED)}"
    return Signal(value=float(count), limit=0.0, metric="nan", message=message, evidence={"tensors": names[:1000]})


@_weight_rule(
    "CKPT009",
    "tie-broken",
    severity="warn",
    tier=0,
    needs=("ties",),
    causes=(
        "the model was wrapped, moved or resized, which made two parameters of one",
        "an adapter was merged into one of both only",
    ),
    fixes=(
        "call model.tie_weights() after loading and resizing",
        "save once more and compare again",
    ),
)
def tie_broken(c: WeightsView) -> Signal | None:
    """Fires when two names stood for one tensor in the first checkpoint and have different values in the second.

    Why it matters: A loader that ties them again keeps one of both, so that the model that was trained is lost.
    How it is computed: Two names are tied when they share memory (files of torch), or when the embedding and the head
    of a language model have equal bytes. They are compared to the bit in the second checkpoint.
    When it is wrong: They may have been untied on purpose. Both may be equal in the first checkpoint by chance of their
    initialisation.
    Source: An identity.
    """
    broken = [tie for tie in c.ties if tie.kept is False]
    if not broken:
        return None
    names = [f"{tie.name} and {tie.other}" for tie in broken]
    message = f"{first_few(names, NAMED)} were one tensor before and differ now"
    return Signal(value=float(len(broken)), limit=0.0, metric="ties", message=message, evidence={"ties": names[:1000]})


@_weight_rule(
    "CKPT010",
    "tensors-do-not-match",
    severity="warn",
    tier=0,
    needs=("names",),
    causes=(
        "the checkpoints are of two models, or of one before and after a resize of its vocabulary",
        "one was saved with, the other without, a wrapper, an adapter or a value head",
    ),
    fixes=("compare the configurations of both models", "compare what was saved, not what was merged"),
)
def tensors_do_not_match(c: WeightsView) -> Signal | None:
    """Fires when weights of the first checkpoint are gone in the second, or have another shape.

    Why it matters: The second checkpoint cannot be loaded where the first one could; a loader that is not strict leaves
    these weights at random values.
    How it is computed: Names and shapes of the tensors of the model are compared. Wrappers' prefixes (`module.`,
    `_orig_mod.`) do not count. Tensors that were only added, and other types, are shown and are information.
    When it is wrong: The checkpoints may hold different models on purpose.
    Source: An identity.
    """
    model = [t for t in c.tensors if t.section == "model"]
    lost = [t.name for t in model if t.fate in ("removed", "reshaped")]
    more = [t.name for t in model if t.fate in ("added", "retyped")]
    if not lost and not more:
        return None
    counts = [(sum(t.fate == fate for t in model), fate) for fate in ("removed", "reshaped", "added", "retyped")]
    said = ", ".join(f"{n:,} {fate.replace('retyped', 'of another type')}" for n, fate in counts if n)
    message = f"not all tensors have a partner ({said}): {first_few(lost or more, NAMED)}"
    return Signal(
        value=float(len(lost)),
        limit=0.0,
        metric="tensors",
        message=message,
        severity=None if lost else "info",
        evidence={"tensors": (lost or more)[:1000]},
    )


@_weight_rule(
    "CKPT011",
    "adapter-still-zero",
    severity="warn",
    tier=0,
    needs=("adapters",),
    unless_view=_untrained,
    causes=(
        "the adapter has no gradient: it was added after the optimiser was built, or is not the active one",
        "the checkpoint was saved from a copy of the model that is not the trained one",
    ),
    fixes=("print the parameters that require a gradient", "compare the optimiser's parameters with the adapter's"),
)
def adapter_still_zero(c: WeightsView) -> Signal | None:
    """Fires when training went on and every second matrix of a LoRA adapter is still exactly zero.

    Why it matters: LoRA begins with B = 0, so that an adapter of zeros changes nothing: the model is the base model.
    How it is computed: All tensors whose name has `lora_B` are zero in the second checkpoint.
    When it is wrong: Another initialisation may keep B at zero for the first step.
    Source: Hu et al. 2021 (LoRA), section 4.1: B is initialised with zero.
    """
    second = [t for t in c.weights() if "lora_B" in t.name]
    if any(t.norm[1] != 0 for t in second):
        return None
    message = f"{c.trained()}, and all {len(second):,} matrices B of the adapter are zero"
    return Signal(value=0.0, limit=0.0, metric="norm", message=message)


@_weight_rule(
    "CKPT012",
    "stray-elements",
    severity="warn",
    tier=2,
    needs=("weights",),
    causes=(
        "a copy was damaged: a disk, a transfer or memory without error correction",
        "somebody edited the weights",
    ),
    fixes=("compare digests of the file with those of its source", "copy it again from where it was written"),
)
def stray_elements(c: WeightsView) -> Signal | None:
    """Fires when only a handful of elements of a whole model differ.

    Why it matters: An optimiser step changes thousands of elements. Fewer mean damage, and one wrong bit in an exponent
    can ruin a model.
    How it is computed: At most 8 elements of a model with at least 10,000 differ.
    When it is wrong: With bfloat16 weights and a very small learning rate, a single step may round to few changes.
    Source: Our own choice.
    """
    weights = c.weights()
    count = sum(t.changed or 0 for t in weights)
    if not 0 < count <= FEW or sum(t.elements for t in weights) < LEAST_ELEMENTS:
        return None
    where = [f"{t.name}{list(t.at) if t.at is not None else ''}" for t in weights if t.changed]
    verb = "differs" if count == 1 else "differ"
    message = f"only {count} element{'s' if count > 1 else ''} of the whole model {verb}: {first_few(where, NAMED)}"
    return Signal(value=float(count), limit=float(FEW), metric="changed", message=message, evidence={"at": where})
