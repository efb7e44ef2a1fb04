"""Everything that a run directory says, hashed again."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from msgspec import Struct

from rldk.core.audit.outcome import CheckOutcome
from rldk.core.manifest import Manifest, recorded_manifest
from rldk.errors import UnknownName
from rldk.provenance.inputs.outcomes import input_outcomes
from rldk.provenance.places import recorded_root
from rldk.tracking.lineage.chain import FILE as LINEAGE
from rldk.tracking.lineage.chain import read_lineage
from rldk.tracking.lineage.checking import lineage_outcomes
from rldk.tracking.outcome import VerificationReport, verification
from rldk.tracking.verification.code import code_outcomes, script_outcome

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


def _outcomes(folder: Path, manifest: Manifest, choice: VerifyChoice, begin: Begin) -> Iterator[CheckOutcome]:
    yield from input_outcomes(folder, manifest, choice.root, choice.places, begin)
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
