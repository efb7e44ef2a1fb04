"""What two runs record differently, ranked by how likely it made them part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rldk.core.manifest import Manifest, stated_config
from rldk.core.text import first_few
from rldk.diff.sides import Side
from rldk.engine.compare.records import ABSENT, HARMLESS, RunsDifferenceEntry, is_one_sided, record_groups
from rldk.rules.knobs import steering_keys

ORDER = ("config", "data", "models", "packages", "code", "seed", "environment")
MOST = 12
FEW = 3  # packages that one run lacks and that are named one by one


def suspected_causes(a: Side, b: Side, others: Sequence[Side] = ()) -> tuple[str, ...]:
    """What B records differently from A as sentences, the likeliest cause first.

    What also differs among the baselines is no cause, since they are healthy: it is left out. Configuration comes
    before data, weights, packages and code, because it decides most often; a seed and the names of folders come
    last. Packages that only one run has are one cause together."""
    found = list(_differences(a, b))
    usual = {(one.group, one.name) for other in others for one in _differences(a, other)}
    kept = [one for one in found if (one.group, one.name) not in usual]
    ranked = sorted(kept, key=_rank)
    lone = [one for one in ranked if one.group == "packages" and is_one_sided(one)]
    told = []
    for one in ranked:
        if one not in lone or len(lone) <= FEW:
            told.append(_sentence(one))
        elif one is lone[0]:
            told.append(_together(lone))
    return tuple(told[:MOST])


def is_recorded(record: Manifest) -> bool:
    """Whether the run says anything that another run could differ in."""
    return bool(stated_config(record) or record.packages or record.datasets or record.git or record.seed is not None)


def _differences(a: Side, b: Side) -> Iterator[RunsDifferenceEntry]:
    for group, is_known, compare in record_groups((a.folder, b.folder)):
        if group in ORDER and is_known(a.record) and is_known(b.record):
            yield from compare((a.record, b.record))


def _rank(one: RunsDifferenceEntry) -> tuple[int, int, int]:
    if one.group == "config" and HARMLESS.fullmatch(one.name.rpartition(".")[2]):
        return len(ORDER), 0, 0
    known = 0 if one.group == "config" and one.name.rpartition(".")[2] in steering_keys() else 1
    return ORDER.index(one.group), known, 0


def _sentence(one: RunsDifferenceEntry) -> str:
    note = f" ({one.note})" if one.note else ""
    return f"{one.group} {one.name}: {one.before} -> {one.after}{note}"


def _together(lone: Sequence[RunsDifferenceEntry]) -> str:
    """The packages that only one of the runs has, in one sentence."""
    only = {"A": [one.name for one in lone if one.after == ABSENT], "B": [o.name for o in lone if o.before == ABSENT]}
    return "packages " + "; ".join(f"only in {run}: {first_few(names, FEW)}" for run, names in only.items() if names)
