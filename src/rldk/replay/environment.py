"""The environment of a replay beside that of the original: what differs, and the recorded packages built again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from rldk.core.audit.lock import LockDifference
from rldk.core.configuration.versions import canonical
from rldk.core.manifest import Manifest
from rldk.errors import InputError
from rldk.provenance.environment import environment
from rldk.provenance.interpreters import InterpreterFacts, interpreter_facts, interpreter_of, make_environment

_OWN = frozenset({"rldk", "pip", "setuptools", "wheel"})  # they do not train
_MACHINE = ("platform", "machine", "cpus", "cuda_devices")


class ReplayEnvironment(Struct, frozen=True, kw_only=True):
    """`facts`: the interpreter that the command starts with; None where it starts another program. `drift`: Python and
    packages that differ from the record; None where there is nothing to compare. `machine`: how the machine and the
    variables differ. `built`: the interpreter of an environment that was made for the replay."""

    facts: InterpreterFacts | None
    drift: tuple[LockDifference, ...] | None
    machine: tuple[LockDifference, ...]
    built: Path | None = None


def replay_environment(
    record: Manifest | None, words: Sequence[str], cwd: Path, *, build_in: Path | None = None
) -> ReplayEnvironment:
    """The environment that the command runs in. `build_in`: where the recorded packages are built; None not to.

    Raises `InputError` where they cannot be built."""
    python = interpreter_of(words, cwd)
    facts = None if python is None else interpreter_facts(python)
    built = None
    if build_in is not None:
        built = _built(record, facts, build_in)
        facts = interpreter_facts(str(built))
    if record is None:
        return ReplayEnvironment(facts=facts, drift=None, machine=(), built=built)
    drift = None
    if facts is not None and record.packages:
        before = {canonical(name): version for name, version in record.packages.items()}
        drift = tuple(_differences("packages", _texts(before), dict(facts.packages)))
        said = record.environment.get("python")
        if isinstance(said, str) and said != facts.python:
            drift = (LockDifference(part="python", name="Python", locked=said, now=facts.python), *drift)
    return ReplayEnvironment(facts=facts, drift=drift, machine=tuple(_machine(record.environment)), built=built)


def _built(record: Manifest | None, facts: InterpreterFacts | None, place: Path) -> Path:
    if record is None or not record.packages:
        raise InputError("the run has no record of its packages, so that they cannot be built")
    if facts is None:
        raise InputError("the environment cannot be built: the command does not start with python")
    said = record.environment.get("python")
    if isinstance(said, str) and said.split(".")[:2] != facts.python.split(".")[:2]:
        hint = f"start the command with a Python {'.'.join(said.split('.')[:2])}"
        raise InputError(f"the run had Python {said}, and the command starts Python {facts.python}", hint=hint)
    origins = record.environment.get("origins")
    local = {canonical(str(name)) for name in origins} if isinstance(origins, Mapping) else set()
    wanted = {canonical(name): version for name, version in record.packages.items()}
    chosen = {name: version for name, version in wanted.items() if name not in local | _OWN}
    return make_environment(place, chosen, python=facts.executable)


def _machine(recorded: Mapping[str, Any]) -> Iterator[LockDifference]:
    now = environment()
    before = {name: recorded[name] for name in _MACHINE if recorded.get(name) is not None}
    yield from _differences("machine", _texts(before), _texts({name: now.get(name) for name in before}))
    said, mine = recorded.get("variables"), now.get("variables")
    if isinstance(said, Mapping) and isinstance(mine, Mapping):
        yield from _differences("variables", _texts(said), _texts(mine))


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    return {str(name): str(value) for name, value in values.items() if value is not None}


def _differences(part: str, before: Mapping[str, str], now: Mapping[str, str]) -> Iterator[LockDifference]:
    for name in sorted({*before, *now}):
        if before.get(name) != now.get(name) and name not in _OWN:
            yield LockDifference(part=part, name=name, locked=before.get(name), now=now.get(name))
