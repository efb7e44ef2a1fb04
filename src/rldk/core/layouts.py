"""The layout of a file of JSON objects, settled once by its first lines: which key is the clock, the time, the rank."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from rldk.core.clocks import choose_clock, clock_rank, is_plan
from rldk.core.records import (
    STEP_KEYS,
    TIME_KEYS,
    Form,
    Layout,
    form_of,
    leaves,
    plan_of,
    step_or_none,
    to_time,
)
from rldk.core.text import legible

RANK_KEYS = frozenset(("rank", "local_rank", "global_rank", "process_index", "worker_rank", "dp_rank"))


def settle(
    objects: Sequence[dict[str, Any]], *, envelope: str | None, null_is_nan: bool, step_key: str | None
) -> Layout:
    """The layout of a file, from its first good lines.

    The clock is `step_key` if given. Otherwise it is the first of `STEP_KEYS` found on at least half of the lines, else
    the one found on most of them, else the key that `choose_clock` finds. The time is chosen like the second and
    third."""
    inner = envelope or "metrics"
    forms = [form_of(obj, inner) for obj in objects]
    form = max(Form, key=forms.count)
    steps, times = dict.fromkeys(STEP_KEYS, 0), dict.fromkeys(TIME_KEYS, 0)
    lines = []
    for obj, its_form in zip(objects, forms, strict=True):
        line, outside, counts = _leaves(obj, its_form, inner)
        for key in counts:
            steps[key] += 1
        for key in times:
            value = outside.get(key)
            times[key] += value is not None and not math.isnan(to_time(value))
        lines.append(line)
    clock = step_key or _most_covered(steps, len(objects)) or _counter(lines)
    plan, total = _planned(lines, clock)
    rank, first = _ranked(lines, clock)
    return Layout(
        form=form,
        envelope=inner,
        clock=clock,
        time=_most_covered(times, len(objects)),
        plan=plan,
        total_steps=total,
        rank=rank,
        first_rank=first,
        null_is_nan=null_is_nan,
    )


def _leaves(obj: dict[str, Any], form: Form, inner: str) -> tuple[dict[str, Any], dict[str, Any], set[str]]:
    """The values of a line by path, those outside its envelope, and the `STEP_KEYS` that have a step."""
    if form is not Form.ROW:
        flat = dict not in map(type, obj.values())
        line = (
            dict(zip(_legible(tuple(obj)), obj.values(), strict=True))
            if flat
            else {path: value for path, _, value in leaves(obj, form, inner)}
        )
        return line, line, {key for key in STEP_KEYS if key in line and _can_be_step(line[key])}
    every = list(leaves(obj, form, inner))
    counts = {path for path, _, value in every if path in STEP_KEYS and _can_be_step(value)}
    outside = {path: value for path, inside, value in every if not inside}
    return {path: value for path, _, value in every}, outside, counts


@lru_cache(64)  # the lines of a log have the same keys
def _legible(keys: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(map(legible, keys))


def _counter(lines: Sequence[dict[str, Any]]) -> str | None:
    """The key outside of `STEP_KEYS` that counts the steps."""
    names = [key for key in dict.fromkeys(key for line in lines for key in line) if clock_rank(key) is not None]
    return choose_clock({name: [step_or_none(line.get(name)) for line in lines] for name in names}, len(lines))


def _planned(lines: Sequence[dict[str, Any]], clock: str | None) -> tuple[str | None, int | None]:
    """The key that says the number of steps of the whole run, and that number. The key is None where the clock or no
    key says it."""
    if clock is None or not lines:
        return None, None
    for name in lines[0]:
        if name != clock and is_plan(name, clock):
            told = {step_or_none(line.get(name)) for line in lines}
            number = told.pop()
            if not told and number and number >= max(step_or_none(line.get(clock)) or 0 for line in lines):
                return name, number
    return None, next((plan for line in lines if (plan := plan_of(line.get(clock)))), None)


def _ranked(lines: Sequence[dict[str, Any]], clock: str | None) -> tuple[str | None, int]:
    """The key that tells processes apart which write the same steps, and the first of those processes."""
    every = dict.fromkeys(key for line in lines for key in line)
    names = [key for key in every if key.rsplit("/", 1)[-1] in RANK_KEYS]
    if clock is None:
        return None, 0
    for name in names:
        told = {(step_or_none(line.get(clock)), step_or_none(line.get(name))) for line in lines if name in line}
        ranks = {rank for _, rank in told if rank is not None}
        if len(ranks) > 1 and len({step for step, _ in told}) < len(told):
            return name, min(ranks)
    return None, 0


def _most_covered(counts: dict[str, int], total: int) -> str | None:
    common = next((key for key, count in counts.items() if 2 * count >= total > 0), None)
    return common or max((key for key in counts if counts[key]), key=counts.__getitem__, default=None)


def _can_be_step(value: object) -> bool:
    return step_or_none(value) is not None  # a float clock such as an epoch is a metric, not a step
