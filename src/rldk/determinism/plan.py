"""Which replicas are run: those that must agree, the control, and those with one thing changed on purpose."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from msgspec import Struct, field

from rldk.engine.replicas.command import CommandTemplate
from rldk.rules.determinism_flags import THREADS, fixes_hashes

ReplicaRole = Literal["replica", "control", "stress", "counterfactual", "trace"]
SEED, OTHER_SEED = 42, 43
HASHES = "PYTHONHASHSEED"
_ONE_THREAD = dict.fromkeys((*THREADS, "NUMEXPR_NUM_THREADS", "RAYON_NUM_THREADS"), "1")
_BURN = 2  # busy processes beside a replica under load


class PlannedReplica(Struct, frozen=True, kw_only=True):
    """`source`: what is changed on purpose, in words. `load`: how many busy processes run beside it."""

    name: str
    role: ReplicaRole
    seed: int = SEED
    source: str = ""
    variables: Mapping[str, str | None] = field(default_factory=dict)
    load: int = 0


def planned_replicas(template: CommandTemplate, replicas: int, *, stress: bool = False) -> list[PlannedReplica]:
    """The replicas in the order in which they are run: those that must agree, the control with another seed, and those
    with one thing of their surroundings changed that must not matter."""
    plan = [PlannedReplica(name=f"replica-{n}", role="replica") for n in range(1, replicas + 1)]
    if template.has("seed"):
        plan.append(PlannedReplica(name="control", role="control", seed=OTHER_SEED, source="another seed"))
    return [*plan, *(_stressed() if stress else ())]


def counterfactual_replicas() -> list[PlannedReplica]:
    """Pairs with one source of chance switched off: where the two agree, that source is the cause."""
    return [
        PlannedReplica(name=f"without-{name}-{n}", role="counterfactual", source=source, variables=variables)
        for name, source, variables in _sources(os.environ)
        for n in (1, 2)
    ]


def _stressed() -> Iterator[PlannedReplica]:
    own = os.environ.get(HASHES, "")
    other = str(int(own) + 1) if fixes_hashes(own) else "1"
    one = {name: os.environ.get(name) for name in _ONE_THREAD}
    threads = "2" if "1" in one.values() else "1"
    yield PlannedReplica(name="stress-hashes", role="stress", source=f"{HASHES}={other}", variables={HASHES: other})
    yield PlannedReplica(
        name="stress-threads",
        role="stress",
        source=f"{threads} CPU thread{'s' if threads != '1' else ''}",
        variables=dict.fromkeys(_ONE_THREAD, threads),
    )
    yield PlannedReplica(
        name="stress-folder", role="stress", source="another folder for temporary files", variables={"TMPDIR": "{tmp}"}
    )
    yield PlannedReplica(name="stress-load", role="stress", source="a busy machine", load=_BURN)


def _sources(environment: Mapping[str, str]) -> Iterator[tuple[str, str, Mapping[str, str | None]]]:
    """The sources of chance that can be switched off from outside: name, what it is, the variables that do it."""
    if not fixes_hashes(environment.get(HASHES)):
        yield "hashes", "the order of hashes (PYTHONHASHSEED=0)", {HASHES: "0"}
    yield "threads", "CPU threads of numerical libraries (OMP_NUM_THREADS=1)", _ONE_THREAD


def own_folders(planned: PlannedReplica, folder: Path) -> dict[str, str | None]:
    """The variables of a replica, with the folders for its temporary files and its trace made and filled in."""
    made = dict(planned.variables)
    for name, value in made.items():
        if value in ("{tmp}", "{trace}"):
            place = folder / value.strip("{}")
            place.mkdir(exist_ok=True)
            made[name] = str(place)
    return made
