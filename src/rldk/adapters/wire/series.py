"""Finds the lists of numbers in a JSON document and puts them side by side as rows. All functions here are pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from msgspec import Struct

from rldk.core.clocks import choose_clock, clock_rank
from rldk.core.records import STEP_KEYS, step_or_none, to_number
from rldk.core.text import later

MAX_DEPTH = 8  # depth of the objects to search for a history
MAX_SERIES = 20_000
UNIX = 1e9  # seconds: an unnamed list counts as TensorBoard's (time, step, value) only with times since 2001
CONFIG = frozenset(("config", "hyperparameters", "hyperparams", "args", "params", "settings"))
PLACES = "no list counts the steps: the position of a value in its list is its step"
GOALS = later(r"reward|return|score|episode", re.IGNORECASE)  # lists that have a value for each episode
_SHORTEST = 3  # values of a list that may be a history
_STEPS_OF = (
    "_T"  # PyMARL and EPyMARL (sacred, info.json): the list `loss_T` beside `loss` holds the steps of its values
)
_BOX = frozenset(("value", "dtype", "py/object"))  # a number of numpy as sacred writes it


class NumberList(Struct):
    """The numbers of one metric. `steps`: None when only their positions are known."""

    name: str
    values: list[Any]
    steps: list[int] | None = None
    paired: bool = False

    @property
    def parent(self) -> str:
        return self.name.rpartition("/")[0]


class SideBySide(Struct, frozen=True):
    """Rows with a "step", made of lists. `clock`: the list that counts the steps; "step" when each list has its own
    steps, "" when none counts."""

    rows: list[dict[str, Any]]
    clock: str
    notes: tuple[str, ...]


def all_series(document: Any) -> list[NumberList]:
    """The lists of numbers in a document, at most `MAX_SERIES`."""
    return list(islice(_series_in(document, "", 0), MAX_SERIES))


def unboxed(values: Sequence[Any]) -> list[Any] | None:
    """The numbers of a list in which some are objects such as {"dtype": "float64", "value": 0.5}; None for others."""
    if not any(isinstance(item, dict) for item in values):
        return None
    numbers = [item["value"] if isinstance(item, dict) and _is_box(item) else item for item in values]
    return numbers if all(number is None or to_number(number) is not None for number in numbers) else None


def _is_box(item: dict[str, Any]) -> bool:
    return "value" in item and len(item) > 1 and item.keys() <= _BOX


def _series_in(value: Any, path: str, depth: int) -> Iterator[NumberList]:
    if isinstance(value, list):
        yield from _series(value, path)
    elif isinstance(value, dict) and depth < MAX_DEPTH:
        steps, values = value.get("steps"), value.get("values")
        if isinstance(steps, list) and isinstance(values, list) and len(steps) == len(values) and path:
            yield from _series([[step, number] for step, number in zip(steps, values, strict=True)], path)
        elif len(value) > 1 and all(key.isascii() and key.isdigit() for key in value):
            yield from _series(list(value.values()), path)
        else:
            paired = {key: pair for key in value if (pair := _pair(value, key)) is not None}
            for key, inner in value.items():
                name = f"{path}/{key}" if path else key
                if key in paired:
                    yield NumberList(name, *paired[key], paired=True)
                elif (depth or key not in CONFIG) and not _is_steps_of(key, value):
                    yield from _series_in(inner, name, depth + 1)


def _is_steps_of(key: str, value: dict[str, Any]) -> bool:
    """Whether this list holds the steps of a list beside it, even when that one has no plain numbers."""
    return key.endswith(_STEPS_OF) and isinstance(value.get(key.removesuffix(_STEPS_OF)), list)


def _pair(value: dict[str, Any], key: str) -> tuple[list[Any], list[int]] | None:
    """The numbers of a list and their steps, which a list beside it holds; None without such a list."""
    numbers, told = value[key], value.get(key + _STEPS_OF)
    if not isinstance(numbers, list) or not isinstance(told, list) or len(numbers) != len(told):
        return None
    numbers = unboxed(numbers) or numbers
    steps = [step for item in told if (step := step_or_none(item)) is not None]
    if len(steps) < len(told) or not all(item is None or to_number(item) is not None for item in numbers):
        return None
    return numbers, steps


def _series(value: list[Any], path: str) -> Iterator[NumberList]:
    if len(value) < _SHORTEST:
        return
    value = unboxed(value) or value
    if all(isinstance(item, list) and len(item) in (2, 3) for item in value):
        steps = [step_or_none(item[-2]) for item in value]
        numbers = [to_number(item[-1]) for item in value]
        whole = [step for step in steps if step is not None]
        timed = path or all(len(item) == 3 and (to_number(item[0]) or 0) > UNIX for item in value)
        if timed and len(whole) == len(steps) and all(number is not None for number in numbers):
            yield NumberList(path, numbers, whole)
    elif (
        path
        and all(item is None or to_number(item) is not None for item in value)
        and any(i is not None for i in value)
    ):
        yield NumberList(path, value)


def side_by_side(series: list[NumberList]) -> SideBySide:
    """The rows of lists side by side. Each list follows the clock of its group, or else is spread over the main
    list."""
    groups: dict[tuple[str, int], list[NumberList]] = {}
    for one in series:
        if one.steps is None:
            groups.setdefault((one.parent, len(one.values)), []).append(one)
    clocks = {key: clock for key, group in groups.items() if (clock := _clock_of(group)) is not None}
    main = _main_length(series)
    timeline = next((clock for key, clock in clocks.items() if key[1] == main), None)
    spread = set()
    for key, group in groups.items():
        clock = clocks.get(key) or next((c for k, c in clocks.items() if k[1] == key[1]), None)
        steps = _whole(clock.values) if clock else _places(key[1], main, timeline)
        if clock is None and key[1] != main:
            spread.add(key[1])
        for one in group:
            one.steps = steps
    named = timeline.name if timeline else "step" if any(one.paired or not one.name for one in series) else ""
    used = {clock.name for clock in clocks.values()}
    rows = _rows([one for one in series if one.name not in used or one.name.lower() not in STEP_KEYS])
    notes = [] if timeline or main == 0 else [PLACES]
    notes += [f"rldk spread lists of {length} values evenly over the {main} rows" for length in sorted(spread)]
    return SideBySide(rows, named, tuple(notes))


def _clock_of(group: Sequence[NumberList]) -> NumberList | None:
    first = {one.name.partition("_")[0] for one in group}  # "eval" of eval_timesteps beside eval_rewards
    shared = f"{first.pop()}_" if len(first) == 1 < len(group) else ""
    names = {one.name: one.name.removeprefix(shared) for one in group}
    columns = {
        name: [step_or_none(v) for v in one.values] for one in group if clock_rank(name := names[one.name]) is not None
    }
    found = choose_clock(columns, len(group[0].values))
    if found is None or None in columns[found]:
        return None
    return next(one for one in group if names[one.name] == found)


def _whole(values: Sequence[Any]) -> list[int]:
    return [step_or_none(value) or 0 for value in values]


def _main_length(series: Sequence[NumberList]) -> int:
    """The length of the lists that make the rows: the lists of rewards, else most lists, else the longest list."""
    lengths = [len(one.values) for one in series if one.steps is None]
    goals = [len(one.values) for one in series if one.steps is None and GOALS.search(one.name)]
    return max(Counter(goals or lengths).items(), key=lambda item: (item[1], item[0]))[0] if lengths else 0


def _places(length: int, main: int, timeline: NumberList | None) -> list[int]:
    """The steps of a list without a clock. A list of another length than the main one covers the same run."""
    steps = _whole(timeline.values) if timeline else range(main)
    if length <= main:
        return [steps[(i + 1) * main // length - 1] for i in range(length)]
    return [steps[i * main // length] for i in range(length)]


def _rows(series: Sequence[NumberList]) -> list[dict[str, Any]]:
    """One row for each step; several when a list has several values at a step."""
    rows: dict[tuple[int, int], dict[str, Any]] = {}
    for one in series:
        times: Counter[int] = Counter()
        for step, value in zip(one.steps or (), one.values, strict=True):
            if value is not None:
                rows.setdefault((step, times[step]), {"step": step})[one.name] = value
            times[step] += 1
    return [rows[key] for key in sorted(rows)]
