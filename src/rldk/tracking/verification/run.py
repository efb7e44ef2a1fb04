"""Everything that a run directory says, hashed again."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

from msgspec import Struct

from rldk.core.manifest import Manifest, read_manifest
from rldk.errors import InputError, MissingExtra, UnknownName, UnreadableSource
from rldk.provenance.inside import is_plain_file, place_inside
from rldk.tracking.lineage.chain import FILE as LINEAGE
from rldk.tracking.lineage.chain import read_lineage
from rldk.tracking.lineage.checking import lineage_outcomes
from rldk.tracking.outcome import CheckOutcome, VerificationReport, verification
from rldk.tracking.places import recorded_place, recorded_root
from rldk.tracking.verification.code import code_outcomes, script_outcome
from rldk.tracking.verification.data import dataset_outcome
from rldk.tracking.verification.weights import model_outcome, tokenizer_outcome

Begin = Callable[[str], None]


class VerifyChoice(Struct, frozen=True, kw_only=True):
    """What is looked at. `root`: the folder that relative paths in the record are relative to. `repository`: where the
    commit is; None to look around the run and in `root`. `places`: where data, models and tokenizers are now, by name.
    `work_tree`: whether the files of the repository are compared with the code that ran, too."""

    root: Path = Path()
    repository: Path | None = None
    places: Mapping[str, Path] = {}
    work_tree: bool = True


def verify_run(
    run: str | os.PathLike[str],
    *,
    root: str | os.PathLike[str] | None = None,
    repository: str | os.PathLike[str] | None = None,
    places: Mapping[str, str | os.PathLike[str]] | None = None,
    work_tree: bool = True,
    begin: Begin | None = None,
) -> VerificationReport:
    """Hashes again what the record of a run names: data, weights, tokenizers, code, lineage.

    `run`: its directory. The other arguments are those of `VerifyChoice`; `root` is by default the folder that the run
    was started in, or else the current one. What cannot be checked is an outcome that
    says what it needs, never a pass. `begin`: called with the name of each thing before it is read. Raises
    `UnreadableSource` and `MalformedInput` for the record itself, `UnknownName` for a place of a thing that is none."""
    folder = Path(run)
    manifest = recorded_manifest(folder)
    choice = VerifyChoice(
        root=recorded_root(manifest) if root is None else Path(root),
        repository=None if repository is None else Path(repository),
        places={name: Path(place) for name, place in (places or {}).items()},
        work_tree=work_tree,
    )
    known = {*manifest.datasets, *manifest.models, *manifest.tokenizers}
    for name in choice.places:
        if name not in known:
            raise UnknownName("dataset, model or tokenizer of the run", name, known)
    outcomes = tuple(_outcomes(folder, manifest, choice, begin or (lambda _: None)))
    commands = (
        [f"rldk restore {folder} --to DIR"]
        if any(one.part == "code" and one.status == "failed" for one in outcomes)
        else []
    )
    name = manifest.run_id or folder.name
    return verification("verification", outcomes, run=name, source=str(folder), commands=commands)


def recorded_manifest(folder: Path) -> Manifest:
    """The manifest of the run. Raises `UnreadableSource` where there is none."""
    manifest = read_manifest(folder)
    if manifest is None:
        raise UnreadableSource(f"{folder} has no run.json", hint="`rldk runs list` shows which runs there are")
    return manifest


def _outcomes(folder: Path, manifest: Manifest, choice: VerifyChoice, begin: Begin) -> Iterator[CheckOutcome]:
    for check in _things(folder, manifest):
        begin(f"{check.part} {check.name}")
        yield _looked_at(check, choice)
    begin("code")
    around = [folder, choice.root, Path()] if choice.repository is None else [choice.repository]
    if manifest.git is not None:
        yield from code_outcomes(folder, manifest.git, around, work_tree=choice.work_tree)
    else:
        message = "needs a repository at the time of the run: it was in none"
        yield CheckOutcome(part="code", name="commit", status="not_checked", message=message)
    if manifest.script is not None and choice.work_tree:
        yield script_outcome(manifest.script, choice.root)
    if (folder / LINEAGE).exists():
        yield from lineage_outcomes(read_lineage(folder), choice.root, begin)


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


def _looked_at(thing: _Thing, choice: VerifyChoice) -> CheckOutcome:
    """The outcome of the check where the thing is now. What is not there is not checked, and neither is what needs a
    package; what cannot be read where it should be has failed, and so has what the run itself has lost."""
    part, name = thing.part, thing.name
    if thing.own is not None:
        place = thing.own if is_plain_file(thing.own) else None
        if place is None:
            return CheckOutcome(part=part, name=name, status="failed", message=f"{thing.own} is gone")
    else:
        place = choice.places.get(name)
        if place is None and thing.source is not None:
            place = recorded_place(thing.source, choice.root)
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
