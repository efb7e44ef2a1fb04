"""The report on two checkpoints: what changed, where, by how much, and what of it is wrong."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from msgspec.structs import replace

from rldk.core.checkpoint import SECTIONS, AdapterChange, LayerChange, TensorChange, Tie, ValueChange
from rldk.core.model import SEVERITIES, Finding, Note, Report
from rldk.core.view import View
from rldk.engine.live import Engine
from rldk.engine.once import Once, look_once
from rldk.engine.report.incidents import more_findings, sole_incident
from rldk.forensics.checkpoints.adapters import adapter_changes
from rldk.forensics.checkpoints.pairing import tensor_changes, value_changes
from rldk.forensics.checkpoints.parts import layer_changes
from rldk.forensics.checkpoints.ties import ties
from rldk.provenance.checkpoints.contents import open_checkpoint
from rldk.provenance.checkpoints.stored import Contents, Maps
from rldk.rules.chosen import Words, chosen_rules
from rldk.rules.rule import Context
from rldk.rules.weights import WeightsView

KIND = "checkpoint_diff"


class CheckpointReport(Report, frozen=True, kw_only=True):
    """What two checkpoints differ in. `same`: not one bit of any tensor and no value does.

    `tensors`: every tensor, with the numbers of its difference. `values`: the values that differ. `layers`, `parts`:
    the weights as one vector for each part of each layer, and for each part. `ties`: names for one tensor. `adapters`:
    the products of LoRA matrices."""

    same: bool
    tensors: tuple[TensorChange, ...] = ()
    values: tuple[ValueChange, ...] = ()
    layers: tuple[LayerChange, ...] = ()
    parts: tuple[LayerChange, ...] = ()
    ties: tuple[Tie, ...] = ()
    adapters: tuple[AdapterChange, ...] = ()

    def view(self) -> View:
        """Everything that a renderer may show."""
        from rldk.cards.checkpoints import checkpoints_view

        return checkpoints_view(self)


def diff_checkpoints(
    a: str | os.PathLike[str],
    b: str | os.PathLike[str],
    *,
    select: Words = None,
    ignore: Words = None,
    begin: Callable[[str], None] | None = None,
    expect: Callable[[int], None] | None = None,
    advance: Callable[[int], None] | None = None,
) -> CheckpointReport:
    """The report on what changed from checkpoint `a` to checkpoint `b`.

    Each is a file (safetensors, or what `torch.save` wrote), or a folder of transformers, PEFT, DeepSpeed, verl, or a
    distributed checkpoint of torch. Nothing of them is run, and neither torch nor safetensors is needed. All bytes are
    read once, a mebibyte at a time. `begin` is called with the name of each file and tensor, `expect` and `advance`
    with bytes. Raises `UnreadableSource`, `NotALog`, `NoData`, `UnsafePickle`, `MalformedInput` and `UnknownName`."""
    rules = tuple(rule for rule in chosen_rules("default", select, ignore) if rule.subject == "weights")
    begin = begin or _nothing
    before, after = (open_checkpoint(Path(path), begin) for path in (a, b))
    if expect is not None:
        expect(sum(piece.size for t in after.tensors.values() for piece in t.pieces))
    maps = Maps()
    tensors = tensor_changes(before, after, maps, advance or _nothing, begin)
    layers = layer_changes(tensors)
    view = WeightsView(
        tensors=tensors,
        values=value_changes(before, after),
        ties=ties(before, after, maps),
        layers=layers,
        steps=(_step(before), _step(after)),
    )
    context = Context()
    once = look_once(rules, context, Engine(rules, context).inapplicable, {"weights": view})
    return _report(view, once, (before, after), adapter_changes(before, after, maps))


def _nothing(what: object) -> None:
    """Stands in for a callback that was not given."""


def _step(contents: Contents) -> int | None:
    """The step that the trainer's state says, or the name of the folder or file."""
    said = contents.values.get(("other", "global_step"), "")
    if said.isdecimal():
        return int(said[:18])
    found = re.search(r"(?:checkpoint|global_step|step)[-_]?(\d{1,15})", Path(contents.path).absolute().name)
    return int(found.group(1)) if found else None


def _report(
    view: WeightsView, once: Once, both: tuple[Contents, Contents], adapters: tuple[AdapterChange, ...]
) -> CheckpointReport:
    ordered = sorted(once.findings, key=lambda f: (-SEVERITIES.index(f.severity), f.code))
    findings = tuple(replace(f, incident=place + 1) for place, f in enumerate(ordered))
    same = not view.values and not any(t.moved for t in view.tensors)
    compared = [t for t in view.tensors if t.changed is not None]
    before, after = both
    return CheckpointReport(
        kind=KIND,
        passed=bool(compared) and all(f.severity != "critical" for f in findings),
        verdict=_verdict(view, findings, same=same, compared=len(compared)),
        findings=findings,
        incidents=tuple(sole_incident(f) for f in findings),
        checked=tuple(sorted(once.checked)),
        skipped=tuple(sorted(once.unchecked, key=lambda check: check.code)),
        notes=tuple(_notes(both)),
        numbers={
            "tensors": len(view.tensors),
            "compared": len(compared),
            "changed": sum(t.fate == "changed" for t in view.tensors),
            "elements": sum(t.elements for t in compared),
            "elements_changed": sum(t.changed or 0 for t in compared),
            "values_changed": len(view.values),
            "bytes": before.size + after.size,
            **{f"{section}_tensors": sum(t.section == section for t in view.tensors) for section in SECTIONS},
        },
        meta={
            "run": f"{Path(before.path).name} and {Path(after.path).name}",
            "source": after.path,
            "before": before.path,
            "after": after.path,
            "files": [before.files, after.files],
            "steps": list(view.steps),
        },
        same=same,
        tensors=view.tensors,
        values=view.values,
        layers=view.layers,
        parts=layer_changes(view.tensors, by_layer=False),
        ties=view.ties,
        adapters=adapters,
    )


def _verdict(view: WeightsView, findings: tuple[Finding, ...], *, same: bool, compared: int) -> str:
    """The sentence that opens the report."""
    if not compared and not same:
        return "Not compared: no tensor has the same name and shape in both checkpoints."
    if same:
        return (
            f"The checkpoints are the same: all {len(view.tensors):,} tensors to the bit, and every value beside them."
        )
    loud = [f for f in findings if f.severity != "info"]
    if loud:
        word = "Critical" if loud[0].severity == "critical" else "Warning"
        return f"{word}: {loud[0].message}.{more_findings(len(loud) - 1)}"
    weights = view.weights()
    moved = [t for t in weights if t.moved]
    if not weights:
        moved, weights = [t for t in view.tensors if t.moved], view.tensors
    if not moved:
        return f"All {len(weights):,} weight tensors are the same to the bit; other parts of the checkpoint differ."
    share = sum(t.changed or 0 for t in moved) / max(1, sum(t.elements for t in weights))
    return f"{len(moved):,} of {len(weights):,} tensors changed, {share:.3%} of all elements; nothing looks wrong."


def _notes(both: tuple[Contents, Contents]) -> Iterable[Note]:
    for contents in both:
        for name, reason in list(contents.left_out.items())[:20]:
            yield Note(topic="not read", text=f"{Path(contents.path).name}: {name}: {reason}")
