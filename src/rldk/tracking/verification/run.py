"""Everything that a run directory says, hashed again."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from msgspec import Struct

from rldk.core.manifest import Manifest, read_manifest
from rldk.errors import InputError, MissingExtra, UnknownName, UnreadableSource
from rldk.tracking.lineage.chain import FILE as LINEAGE
from rldk.tracking.lineage.chain import read_lineage
from rldk.tracking.lineage.checking import lineage_outcomes
from rldk.tracking.outcome import Outcome, VerificationReport, verification
from rldk.tracking.places import recorded_place
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
    root: str | os.PathLike[str] = ".",
    repository: str | os.PathLike[str] | None = None,
    places: Mapping[str, str | os.PathLike[str]] | None = None,
    work_tree: bool = True,
    begin: Begin | None = None,
) -> VerificationReport:
    """Hashes again what the record of a run names: data, weights, tokenizers, code, lineage.

    `run`: its directory. The other arguments are those of `VerifyChoice`. What cannot be checked is an outcome that
    says what it needs, never a pass. `begin`: called with the name of each thing before it is read. Raises
    `UnreadableSource` and `MalformedInput` for the record itself, `UnknownName` for a place of a thing that is none."""
    folder = Path(run)
    manifest = recorded_manifest(folder)
    choice = VerifyChoice(
        root=Path(root),
        repository=None if repository is None else Path(repository),
        places={name: Path(place) for name, place in (places or {}).items()},
        work_tree=work_tree,
    )
    known = {*manifest.datasets, *manifest.models, *manifest.tokenizers}
    for name in choice.places:
        if name not in known:
            raise UnknownName("dataset, model or tokenizer of the run", name, known)
    outcomes = tuple(_outcomes(folder, manifest, choice, begin or (lambda _: None)))
    commands = [f"rldk restore {folder} --to DIR"] if any(one.part == "code" for one in outcomes) else []
    name = manifest.run_id or folder.name
    return verification("verification", outcomes, run=name, source=str(folder), commands=commands)


def recorded_manifest(folder: Path) -> Manifest:
    """The manifest of the run. Raises `UnreadableSource` where there is none."""
    manifest = read_manifest(folder)
    if manifest is None:
        raise UnreadableSource(f"{folder} has no run.json", hint="`rldk runs list` shows which runs there are")
    return manifest


def _outcomes(folder: Path, manifest: Manifest, choice: VerifyChoice, begin: Begin) -> Iterator[Outcome]:
    for name, data in manifest.datasets.items():
        begin(f"data {name}")
        yield _at("data", name, data.source, choice, lambda place, n=name, r=data: dataset_outcome(folder, n, r, place))
    for name, model in manifest.models.items():
        begin(f"weights {name}")
        source = model.source
        if model.weights_file is not None and name not in choice.places:
            source = os.fspath((folder / model.weights_file).absolute())
        yield _at("weights", name, source, choice, lambda place, n=name, r=model: model_outcome(folder, n, r, place))
        if source != model.source and model.source is not None:
            yield _at(
                "weights", f"{name} at its source", model.source, choice,
                lambda place, n=name, r=model: model_outcome(folder, f"{n} at its source", r, place),
            )  # fmt: skip
    for name, tokenizer in manifest.tokenizers.items():
        begin(f"tokenizer {name}")
        yield _at(
            "tokenizer",
            name,
            tokenizer.source,
            choice,
            lambda place, n=name, r=tokenizer: tokenizer_outcome(n, r, place),
        )
    begin("code")
    around = [folder, choice.root] if choice.repository is None else [choice.repository]
    if manifest.git is not None:
        yield from code_outcomes(folder, manifest.git, around, work_tree=choice.work_tree)
    else:
        yield Outcome(
            part="code", name="commit", status="not_checked", message="needs a repository when the run starts"
        )
    if manifest.script is not None and choice.work_tree:
        yield script_outcome(manifest.script, choice.root)
    if (folder / LINEAGE).exists():
        yield from lineage_outcomes(read_lineage(folder), choice.root, begin)


def _at(part: str, name: str, source: str | None, choice: VerifyChoice, check: Callable[[Path], Outcome]) -> Outcome:
    """The outcome of the check where the thing is now. What is not there is not checked, and neither is what needs a
    package; what cannot be read where it should be has failed."""
    place = choice.places.get(name)
    if place is None and source is not None:
        place = recorded_place(source, choice.root)
    if place is None:
        where = f"{source} is not there" if source is not None else "it was in memory"
        message = f"needs its place, because {where}: give --at {name}=PATH"
        return Outcome(part=part, name=name, status="not_checked", message=message)
    try:
        return check(place)
    except MissingExtra as error:
        return Outcome(part=part, name=name, status="not_checked", message=f"needs a package: {error.hint}")
    except InputError as error:
        return Outcome(
            part=part, name=name, status="failed", message=f"{place} cannot be read", places=(error.message,)
        )
