"""Renames rows one by one from a log's own names to canonical ones, as `columns.to_run` does for whole columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from rldk.adapters.naming.keys import Naming
from rldk.core.aliases import Match
from rldk.core.glossary import affine
from rldk.core.table import Cells, Phase, Row

MAX_PLANS = 64  # sets of keys to remember; a log has a few
MAX_STEP = 2.0**62
Columns = Mapping[str, Sequence[float]]


class RenamePlan(Struct, frozen=True):
    """How to rename rows with one set of keys. `pairs`: the name and the key of each copied value. After the copy, some
    values change, missing values go, sums are added, and evaluation names replace training names. `names`: when only
    names change, the name for each key in turn. `same`: nothing changes."""

    same: bool
    names: list[str] | None
    pairs: list[tuple[str, str]]
    changes: list[tuple[str, Callable[[float], float | None]]]
    sums: list[tuple[str, tuple[str, ...]]]
    staged: dict[str, str | None]

    def values(self, values: Mapping[str, float]) -> dict[str, float]:
        if self.names is not None:
            return dict(zip(self.names, values.values(), strict=True))
        made = {name: values[key] for name, key in self.pairs}
        for name, change in self.changes:
            changed = change(made[name])
            if changed is None:
                del made[name]
            else:
                made[name] = changed
        for name, parts in self.sums:
            total = sum([made[part] for part in parts]) if all(part in made for part in parts) else float("nan")
            if total == total:
                made[name] = total
        for name, other in self.staged.items():
            value = made.pop(name, None)
            if other is not None and value is not None:
                made[other] = value
        return made


class Renamer:
    """Renames the rows of one log. A new key first gets its metric.

    The step and the time come from the columns that the user named for them. With such a step, the segment rises
    whenever the step goes back."""

    def __init__(self, naming: Naming) -> None:
        self.naming = naming
        self._plans: dict[tuple[str, ...], RenamePlan] = {}
        self._evaluations: dict[tuple[str, ...], RenamePlan] = {}
        self._shared: Columns | None = None  # columns of rows in that phase, and their plan
        self._phase: Phase = "train"
        self._renamed: Columns = {}
        self._last_step: int | None = None
        self._segment = 0

    def rename(self, row: Row) -> Row:
        """The row in canonical names. Rows must come in order."""
        values = row.values
        made: Mapping[str, float]
        if type(values) is Cells and values.columns is self._shared and row.phase == self._phase:
            made = Cells(self._renamed, values.row)
        else:
            plan = self._planned(tuple(values), evaluation=row.phase == "eval")
            if self.naming.clocks:
                return self._clocked(row, plan.values(values))
            if plan.same:
                return row
            made = plan.values(values)
            if type(values) is Cells and plan.names is not None:
                self._shared, self._phase = values.columns, row.phase
                self._renamed = dict(zip(plan.names, values.columns.values(), strict=True))
        return Row(step=row.step, values=made, phase=row.phase, segment=row.segment, time=row.time)

    def _planned(self, keys: tuple[str, ...], *, evaluation: bool) -> RenamePlan:
        plans = self._evaluations if evaluation else self._plans
        plan = plans.get(keys)
        if plan is None:
            self.naming.meet(keys, evaluation=evaluation)
            if len(plans) >= MAX_PLANS:
                plans.clear()
            plan = plans[keys] = self._plan(keys, evaluation=evaluation)
        return plan

    def preview(self, row: Row) -> Row:
        """The same for a row that is incomplete and will come again; it leaves out new keys."""
        evaluation = row.phase == "eval"
        known = {key: x for key, x in row.values.items() if self.naming.knows((key,), evaluation=evaluation)}
        values = self._plan(tuple(known), evaluation=evaluation).values(known)
        last, segment = self._last_step, self._segment
        made = self._clocked(row, values)
        self._last_step, self._segment = last, segment
        return made

    def _plan(self, keys: Sequence[str], *, evaluation: bool) -> RenamePlan:
        naming = self.naming
        routed = [(key, match) for key in keys for match in naming.routes.get(key, ())]
        own = [key for key in keys if naming.own(key)]
        told = {match.canonical for _, match in routed}
        sums = [(name, parts) for name, parts in naming.sums.items() if told.issuperset(parts)]
        told.update(name for name, _ in sums)
        staged = {name: naming.staged[name] for name in told if name in naming.staged} if evaluation else {}
        changes = [(m.canonical, _change(m)) for _, m in routed if m.transform or m.missing is not None]
        name_of = {**{key: match.canonical for key, match in routed}, **{key: key for key in own}}
        plain = len(routed) + len(own) == len(name_of) == len(keys) and not (sums or staged or changes)
        return RenamePlan(
            same=plain and all(name == key for key, name in name_of.items()),
            names=[name_of[key] for key in keys] if plain else None,
            pairs=[*((match.canonical, key) for key, match in routed), *((key, key) for key in own)],
            changes=changes,
            sums=sums,
            staged=staged,
        )

    def _clocked(self, row: Row, values: dict[str, float]) -> Row:
        step, time, segment = row.step, row.time, row.segment
        clocks = self.naming.clocks
        if "step" in clocks:
            told = row.values.get(clocks["step"])
            step = int(told) if told is not None and abs(told) < MAX_STEP else step
            self._segment += self._last_step is not None and step < self._last_step
            self._last_step, segment = step, self._segment
        if "wall_time" in clocks and time != time:
            time = row.values.get(clocks["wall_time"], time)
        return Row(step=step, values=values, phase=row.phase, segment=segment, time=time)


def _change(match: Match) -> Callable[[float], float | None]:
    scale, offset = affine(match.transform)
    missing = match.missing

    def change(value: float) -> float | None:
        if value == missing:
            return None
        return value * scale + offset if offset else value * scale

    return change


def with_phase(row: Row, phase: Callable[[Iterable[str]], Phase] | None) -> Row:
    """The row with the phase that its keys tell, in a format whose keys tell the phase."""
    told = phase(row.values) if phase is not None else row.phase
    return row if told in (row.phase, "train") else replace(row, phase=told)
