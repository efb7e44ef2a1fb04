"""Hashes the weights and the tokenizers of a run again, and names the tensors and parts that differ."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from msgspec.structs import replace

from rldk.core.audit.outcome import CheckOutcome, named_places
from rldk.core.manifest import ModelRecord, TokenizerRecord
from rldk.provenance.fingerprints.model import TensorDifference, diff_models, model_fingerprint
from rldk.provenance.fingerprints.model import TensorFingerprint as Tensor
from rldk.provenance.fingerprints.tokenizer import fingerprint_tokenizer
from rldk.provenance.hashing import split_digest
from rldk.provenance.sidecars import kept_tensors


def model_outcome(folder: Path, name: str, record: ModelRecord, place: Path) -> CheckOutcome:
    """Whether the weights at `place` are those of the run in `folder`. Raises `InputError` when they cannot be read."""
    algorithm, digest = split_digest(record.weights)
    found = model_fingerprint(place, algorithm=algorithm)
    size = f"{found.parameters:,} parameters in {len(found.tensors):,} tensors, {algorithm}"
    if found.weights == digest:
        return CheckOutcome(part="weights", name=name, status="passed", message=size)
    kept = kept_tensors(folder, record.tensors_file)
    if kept is None:
        message = f"{place} is not what was recorded; to name the tensor, the digests of all had to be kept"
        return CheckOutcome(part="weights", name=name, status="failed", message=message)
    differing = diff_models(replace(found, tensors=kept), found)
    if differing and all(_is_tied(one, kept) for one in differing):
        message = f"{size}; {len(differing)} that share the values of another tensor are not in the file"
        return CheckOutcome(part="weights", name=name, status="passed", message=message)
    places, more = named_places([_place(one) for one in differing])
    message = f"{place} is not what was recorded"
    if not differing:
        message = "the kept digests of the tensors do not belong to the digest of the weights"
    return CheckOutcome(part="weights", name=name, status="failed", message=message, places=places, more=more)


def tokenizer_outcome(name: str, record: TokenizerRecord, place: Path) -> CheckOutcome:
    """Whether the tokenizer at `place` is that of the run. Raises `InputError` when it cannot be read."""
    algorithm = split_digest(record.digest)[0]
    found = fingerprint_tokenizer(place, algorithm=algorithm)
    if found.digest == record.digest:
        return CheckOutcome(
            part="tokenizer", name=name, status="passed", message=f"{len(found.parts)} parts, {algorithm}"
        )
    both = found.parts.keys() & record.parts.keys()
    differing = sorted(part for part in both if found.parts[part] != record.parts[part])
    differing += sorted(f"{part} (only {side})" for part, side in _lone(record.parts, found.parts))
    if differing == ["pipeline"] and "probes" in both:
        message = "needs the tokenizer as it was in memory: the file has another pipeline, and all probes agree"
        return CheckOutcome(part="tokenizer", name=name, status="not_checked", message=message)
    places, more = named_places([part.replace("_", " ") for part in differing])
    message = f"{place} is not what was recorded"
    return CheckOutcome(part="tokenizer", name=name, status="failed", message=message, places=places, more=more)


def _lone(before: Mapping[str, str], after: Mapping[str, str]) -> list[tuple[str, str]]:
    """Parts that one side lacks; the probes need a package, so that they may be missing."""
    lone = [(part, "recorded") for part in before.keys() - after.keys() if part != "probes"]
    return lone + [(part, "in the file") for part in after.keys() - before.keys() if part != "probes"]


def _is_tied(one: TensorDifference, kept: Mapping[str, Tensor]) -> bool:
    """Whether the tensor is only missing, and another one of the record has the same content: a module names tied
    weights twice, a file has them once."""
    if one.why != "removed":
        return False
    return any(name != one.name and tensor.digest == kept[one.name].digest for name, tensor in kept.items())


def _place(one: TensorDifference) -> str:
    if one.why != "changed":
        return f"{one.name}: {one.why}"
    if one.first is None:
        return f"{one.name} was changed"
    return f"{one.name} was changed within elements {one.first:,} to {one.last:,}"
