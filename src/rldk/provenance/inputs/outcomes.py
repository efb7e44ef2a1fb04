"""Whether the data, the weights and the tokenizers of a run are still what its record says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

from msgspec import Struct

from rldk.core.audit.outcome import CheckOutcome
from rldk.core.manifest import Manifest
from rldk.errors import InputError, MissingExtra
from rldk.provenance.inputs.data import dataset_outcome
from rldk.provenance.inputs.weights import model_outcome, tokenizer_outcome
from rldk.provenance.inside import is_plain_file, place_inside
from rldk.provenance.places import recorded_place


def input_outcomes(
    folder: Path, manifest: Manifest, root: Path, places: Mapping[str, Path], begin: Callable[[str], None]
) -> Iterator[CheckOutcome]:
    """The outcome of each input of the run in `folder`.

    `root`: the folder that relative paths of the record are relative to. `places`: where an input is now, by its name.
    `begin`: called with the name of each before it is read. Raises `MalformedInput` for a record that leads outside."""
    for thing in _things(folder, manifest):
        begin(f"{thing.part} {thing.name}")
        yield _looked_at(thing, root, places)


class _Thing(Struct, frozen=True, kw_only=True):
    """Something with a place of its own. `own`: the run directory itself keeps it there."""

    part: str
    name: str
    source: str | None
    look: Callable[[Path], CheckOutcome]
    own: Path | None = None


def _things(folder: Path, manifest: Manifest) -> Iterator[_Thing]:
    for name, data in manifest.datasets.items():
        yield _Thing(part="data", name=name, source=data.source, look=partial(dataset_outcome, folder, name, data))
    for name, model in manifest.models.items():
        if model.weights_file is not None:
            copy, own = f"{name}, the copy in the run", place_inside(folder, model.weights_file)
            yield _Thing(
                part="weights", name=copy, source=None, own=own, look=partial(model_outcome, folder, copy, model)
            )
        if model.source is not None or model.weights_file is None:
            look = partial(model_outcome, folder, name, model)
            yield _Thing(part="weights", name=name, source=model.source, look=look)
    for name, tokenizer in manifest.tokenizers.items():
        look = partial(tokenizer_outcome, name, tokenizer)
        yield _Thing(part="tokenizer", name=name, source=tokenizer.source, look=look)


def _looked_at(thing: _Thing, root: Path, places: Mapping[str, Path]) -> CheckOutcome:
    """The outcome of the check where the thing is now. What is not there is not checked, and neither is what needs a
    package; what cannot be read where it should be has failed, and so has what the run itself has lost."""
    part, name = thing.part, thing.name
    if thing.own is not None:
        place = thing.own if is_plain_file(thing.own) else None
        if place is None:
            return CheckOutcome(part=part, name=name, status="failed", message=f"{thing.own} is gone")
    else:
        place = places.get(name)
        if place is None and thing.source is not None:
            place = recorded_place(thing.source, root)
    if place is None:
        where = "it was in memory" if thing.source is None else f"{thing.source} is not there"
        message = f"needs its place, because {where}: give --at {name}=PATH"
        return CheckOutcome(part=part, name=name, status="not_checked", message=message)
    try:
        return thing.look(place)
    except MissingExtra as error:
        return CheckOutcome(part=part, name=name, status="not_checked", message=f"needs a package: {error.hint}")
    except InputError as error:
        message = f"{place} cannot be read"
        return CheckOutcome(part=part, name=name, status="failed", message=message, places=(error.message,))
