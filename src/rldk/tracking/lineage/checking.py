"""Hashes again what a lineage says, from its first record to its last."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from rldk.core.audit.outcome import CheckOutcome, OutcomeStatus, named_places
from rldk.core.manifest import read_manifest
from rldk.errors import InputError, MissingExtra
from rldk.provenance.fingerprints.dataset import fingerprint
from rldk.provenance.fingerprints.model import model_fingerprint
from rldk.provenance.fingerprints.tokenizer import fingerprint_tokenizer
from rldk.provenance.places import recorded_place, recorded_root
from rldk.tracking.lineage.chain import LineageItem, LineageRecord, chosen, identity, read_lineage
from rldk.tracking.lineage.source import digest_of, source_in
from rldk.tracking.outcome import VerificationReport, verification

Begin = Callable[[str], None]  # called with the name of what is hashed next


def verify_lineage(
    place: str | os.PathLike[str], *, root: str | os.PathLike[str] | None = None, begin: Begin | None = None
) -> VerificationReport:
    """Whether the lineage of a run, or in a file, is whole and its data is what was recorded.

    Each record must have the name that its content gives it, its parents must be there, and each path that was not
    overwritten by a later record is hashed again. `root`: the folder that relative paths are relative to; by default
    the one that the run was started in, or else the current one. The outcomes are in the order of the records, so that
    the first failure is the first broken link. Raises `UnreadableSource` and `MalformedInput` for the file, `NoData`
    for an empty one."""
    records = chosen(read_lineage(place))
    manifest = read_manifest(Path(place)) if Path(place).is_dir() else None
    start = Path(root) if root is not None else Path() if manifest is None else recorded_root(manifest)
    outcomes = tuple(lineage_outcomes(records, start, begin or (lambda _: None)))
    broken = next((one for one in outcomes if one.status == "failed"), None)
    made = verification("lineage", outcomes, run=Path(place).name, source=str(place))
    if broken is None:
        return made
    failed = sum(one.status == "failed" for one in outcomes)
    return replace(
        made, verdict=f"The first broken link is {broken.name}: {broken.message}. {failed} of {len(outcomes)} fail."
    )


def lineage_outcomes(records: Sequence[LineageRecord], root: Path, begin: Begin) -> Iterator[CheckOutcome]:
    """One outcome for each record."""
    known: set[str] = set()
    last: dict[str | None, int] = {
        item.path: number for number, record in enumerate(records) for item in record.outputs if item.path is not None
    }
    for number, record in enumerate(records):
        name = f"{number + 1} {record.op}"
        begin(name)
        yield _outcome(name, record, known, _Paths(root, last, number))
        known.add(record.id)


class _Paths(Struct, frozen=True):
    """Where the data of the record with this number is. `last`: for each path the number of the record that wrote it
    last."""

    root: Path
    last: dict[str | None, int]
    number: int

    def is_overwritten(self, item: LineageItem, *, made: bool) -> bool:
        """Whether a record has written to the path of the item since."""
        return self.last.get(item.path, -1) >= self.number + made


def _outcome(name: str, record: LineageRecord, known: set[str], paths: _Paths) -> CheckOutcome:
    if identity(record) != record.id:
        return _failed(name, "the record itself was changed", ())
    lost = [parent for parent in record.parents if parent not in known]
    if lost:
        return _failed(name, "a record that it stands on is missing or was changed", [one[:19] for one in lost])
    wrong: list[str] = []
    left: list[str] = []
    passed = 0
    for item, made in (*((i, False) for i in record.inputs), *((i, True) for i in record.outputs)):
        said = _reason(item, paths, made=made)
        if said is None:
            passed += 1
        else:
            (wrong if said[0] else left).append(said[1])
    _add_code(record, wrong, left)
    if wrong:
        return _failed(name, "what it read or wrote is not what was recorded", wrong)
    about = "; ".join([f"{passed} of {len(record.inputs) + len(record.outputs)} hashed again", *left])
    status: OutcomeStatus = "passed" if passed or not left else "not_checked"
    return CheckOutcome(part="lineage", name=name, status=status, message=about)


def _reason(item: LineageItem, paths: _Paths, *, made: bool) -> tuple[bool, str] | None:
    """Why the item is not as recorded: whether that is a failure, and the sentence. None where it is."""
    if item.path is None:
        return False, f"{item.name} was in memory: needs its data"
    if paths.is_overwritten(item, made=made):
        return False, f"{item.name} was overwritten by a later record"
    place = recorded_place(item.path, paths.root)
    if place is None:
        return True, f"{item.path} is gone"
    try:
        found = _digest(place, item)
    except MissingExtra as error:
        return False, f"{item.name} needs {error.hint}"
    except InputError as error:
        return True, f"{item.path} cannot be read: {error.message}"
    return None if found == item.digest else (True, f"{item.path} was changed")


def _digest(place: Path, item: LineageItem) -> str:
    algorithm = item.digest.partition(":")[0]
    if item.kind == "model":
        return f"{algorithm}:{model_fingerprint(place, algorithm=algorithm).weights}"
    if item.kind == "tokenizer":
        return fingerprint_tokenizer(place, algorithm=algorithm).digest
    return f"{algorithm}:{fingerprint(place, algorithm=algorithm).digest}"


def _add_code(record: LineageRecord, wrong: list[str], left: list[str]) -> None:
    code = record.code
    if code is None:
        return
    text = source_in(Path(code.path), code.name) if code.path is not None else None
    if text is None:
        left.append(f"the source of {code.name} was not found")
    elif digest_of(text) != code.digest:
        wrong.append(f"{code.path}: {code.name}() was changed")


def _failed(name: str, message: str, places: Sequence[str]) -> CheckOutcome:
    shown, more = named_places(places)
    return CheckOutcome(part="lineage", name=name, status="failed", message=message, places=shown, more=more)
