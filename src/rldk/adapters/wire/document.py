"""Finds the history of a training in a JSON document of any shape, as rows. All functions here are pure."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from msgspec import Struct, field

from rldk.core.clocks import choose_clock, clock_rank
from rldk.core.records import EVALUATION, STEP_KEYS, step_or_none, to_number
from rldk.core.text import later

MAX_DEPTH = 8  # depth of the objects to search for a history
MAX_SALVAGED = 1 << 25  # characters of a damaged document to search
MAX_SERIES = 20_000
UNIX = 1e9  # seconds: an unnamed list counts as TensorBoard's (time, step, value) only with times since 2001
_SHORTEST = 3  # values of a list that may be a history
PLACES = "no list counts the steps: the position of a value in its list is its step"
_TOKEN = later(r'"(?:[^"\\]|\\.)*"|[\[\]{},:]|[^\s\[\]{},:"]+', re.DOTALL)
_NESTED = 64
_GOALS = later(r"reward|return|score|episode", re.IGNORECASE)  # lists that have a value for each episode
_SAMPLES = tuple(frozenset(keys) for keys in ({"prompt"}, {"completion"}, {"response"}, {"messages"}, {"cell_type"}))
_CONFIG = frozenset(("config", "hyperparameters", "hyperparams", "args", "params", "settings"))
_LAST_VALUES = frozenset(("_step", "_runtime", "_timestamp"))  # with two of these keys it is the summary of a W&B run
Document = Any


class DocumentHistory(Struct, frozen=True, kw_only=True):
    """The history of a training. `rows`: like the lines of a JSONL file. `series`: the rows come from lists side by
    side. `clock`: the list that counts the steps. `notes`: what the user should know. `config`: the single values
    beside the history."""

    rows: list[dict[str, Any]]
    series: bool = False
    clock: str = ""
    notes: tuple[str, ...] = ()
    config: dict[str, Any] = field(default_factory=dict)


class _Series(Struct):
    """The numbers of one metric. `steps`: None when only their positions are known."""

    name: str
    values: list[Any]
    steps: list[int] | None = None

    @property
    def parent(self) -> str:
        return self.name.rpartition("/")[0]


def documents(text: str) -> tuple[list[Document], str]:
    """The JSON documents in the text, and the reason when the last one is cut off ("" if not).

    A document that is cut off keeps its complete values."""
    try:
        return [json.loads(text)], ""
    except (ValueError, RecursionError):
        pass
    found: list[Document] = []
    decoder, at = json.JSONDecoder(), 0
    while at < len(text):
        if text[at].isspace():
            at += len(text[at : at + 4096]) - len(text[at : at + 4096].lstrip())
            continue
        try:
            value, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            part = salvage(text[at : at + MAX_SALVAGED])
            return ([*found, part] if part else found), str(error).splitlines()[0]
        found.append(value)
    return found, ""


def decode(data: bytes) -> tuple[list[Document], str]:
    """Does the same as `documents` for bytes. A single document without NaN is decoded the quick way."""
    try:
        return [msgspec.json.decode(data)], ""
    except (ValueError, RecursionError):
        return documents(data.decode("utf-8-sig", "replace"))


def beginning(text: str) -> Document:
    """The document that this text begins, or the list of documents in it; None when it is not JSON."""
    found, _ = documents(text)
    return join_documents(found) if found else None


def join_documents(found: Sequence[Document]) -> Document:
    """One document whose rows are the given documents."""
    return found[0] if len(found) == 1 else [one for one in found if isinstance(one, dict)]


def salvage(text: str) -> Document:
    """The complete part of a document that this text begins; None without one. In a list only complete rows stay."""
    stack: list[str] = []
    end = 0
    cut = in_list = (0, "")  # where the text may end, and the brackets open there
    for token in _TOKEN.finditer(text):
        if text[end : token.start()].strip():
            break
        end = token.end()
        mark = token[0]
        if mark in ("[", "{"):
            stack.append("]" if mark == "[" else "}")
            if len(stack) > _NESTED:
                break
        elif mark in ("]", "}"):
            if not stack or stack.pop() != mark:
                break
        elif mark != ",":
            continue
        cut = (token.start() if mark == "," else end), "".join(reversed(stack))
        if not stack or stack[-1] == "]":
            in_list = cut
    position, brackets = in_list if cut[1].startswith("}]") else cut
    try:
        return json.loads(text[:position] + brackets)
    except (ValueError, RecursionError):
        return None


def history(document: Document) -> DocumentHistory:
    """The rows of the training in a document; empty without a history.

    Known shapes: a list of objects, alone or anywhere inside; objects under numbers; lists of numbers side by side,
    with a row for each position; lists of (step, value) or (time, step, value); a DataFrame as pandas writes it."""
    lists = [(path, rows) for path, rows in _row_lists(document, "", 0) if not _are_samples(rows)]
    config = _config(document)
    if lists:
        return _from_rows(lists, config)
    series = [s for _, s in zip(range(MAX_SERIES), _all_series(document, "", 0), strict=False)]
    if series:
        return _from_series(series, config)
    if isinstance(document, dict) and len(_LAST_VALUES & document.keys()) > 1:
        return DocumentHistory(
            rows=[document], notes=("the document is a summary: it has the last value of every metric, but no history",)
        )
    return DocumentHistory(rows=[], config=config)


def single_numbers(document: Document) -> list[str]:
    """The names of the single numbers in an object."""
    inside = document.items() if isinstance(document, dict) else ()
    return [key for key, value in inside if not isinstance(value, bool) and to_number(value) is not None]


def _row_lists(value: Any, path: str, depth: int) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    if isinstance(value, list):
        rows = [row for row in value if isinstance(row, dict) and _has_number(row, 0)]
        if len(rows) > 1 and 2 * len(rows) >= len(value):
            yield path, rows
    elif isinstance(value, dict) and depth < MAX_DEPTH:
        rows = _split_frame(value) or _numbered_rows(value)
        if rows:
            yield path, rows
            return
        for key, inner in value.items():
            yield from _row_lists(inner, f"{path}/{key}" if path else key, depth + 1)


def _has_number(row: dict[str, Any], depth: int) -> bool:
    for value in row.values():
        deeper = isinstance(value, dict) and depth < MAX_DEPTH and _has_number(value, depth + 1)
        if deeper or to_number(value) is not None:
            return True
    return False


def _are_samples(rows: Sequence[dict[str, Any]]) -> bool:
    return any(keys <= rows[0].keys() for keys in _SAMPLES)


def _split_frame(value: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of a DataFrame that pandas wrote with orient="split"."""
    names, data = value.get("columns"), value.get("data")
    if not isinstance(names, list) or not isinstance(data, list):
        return []
    return [dict(zip(map(str, names), row, strict=False)) for row in data if isinstance(row, list)]


def _numbered_rows(value: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows whose keys are the numbers of their steps."""
    if len(value) < 2 or not all(_is_number(key) and isinstance(row, dict) for key, row in value.items()):
        return []
    return [row if _named_step(row) else {"step": int(key[:15]), **row} for key, row in value.items()]


def _is_number(key: str) -> bool:
    return key.isascii() and key.isdigit()


def _named_step(row: dict[str, Any]) -> bool:
    return any(clock_rank(key) is not None and step_or_none(value) is not None for key, value in row.items())


def _from_rows(lists: list[tuple[str, list[dict[str, Any]]]], config: dict[str, Any]) -> DocumentHistory:
    """The longest list of rows, with the evaluations beside it at their steps."""
    path, rows = max(lists, key=lambda found: len(found[1]))
    notes = []
    for other, more in lists:
        if other == path:
            continue
        if not set(re.split(r"[^a-z]+", other.lower())) & EVALUATION:
            notes.append(f"not read: the {len(more)} rows of {other}")
            continue
        clock = next(
            (key for key in (*STEP_KEYS, *rows[0]) if key in rows[0] and key in more[0] and _counts(key)), None
        )
        rows = [*rows, *({"phase": "eval", **row} for row in more)]
        if clock is not None:
            rows.sort(key=lambda row: step_or_none(row.get(clock)) or 0)
    return DocumentHistory(rows=rows, config=config, notes=tuple(notes))


def _counts(key: str) -> bool:
    return clock_rank(key) is not None


def _all_series(value: Any, path: str, depth: int) -> Iterator[_Series]:
    """The lists of numbers in a document."""
    if isinstance(value, list):
        yield from _series(value, path)
    elif isinstance(value, dict) and depth < MAX_DEPTH:
        steps, values = value.get("steps"), value.get("values")
        if isinstance(steps, list) and isinstance(values, list) and len(steps) == len(values) and path:
            yield from _series([[step, number] for step, number in zip(steps, values, strict=True)], path)
        elif len(value) > 1 and all(_is_number(key) for key in value):
            yield from _series(list(value.values()), path)
        else:
            for key, inner in value.items():
                if depth or key not in _CONFIG:
                    yield from _all_series(inner, f"{path}/{key}" if path else key, depth + 1)


def _series(value: list[Any], path: str) -> Iterator[_Series]:
    if len(value) < _SHORTEST:
        return
    if all(isinstance(item, list) and len(item) in (2, 3) for item in value):
        steps = [step_or_none(item[-2]) for item in value]
        numbers = [to_number(item[-1]) for item in value]
        whole = [step for step in steps if step is not None]
        timed = path or all(len(item) == 3 and (to_number(item[0]) or 0) > UNIX for item in value)
        if timed and len(whole) == len(steps) and all(number is not None for number in numbers):
            yield _Series(path, numbers, whole)
    elif (
        path
        and all(item is None or to_number(item) is not None for item in value)
        and any(i is not None for i in value)
    ):
        yield _Series(path, value)


def _from_series(series: list[_Series], config: dict[str, Any]) -> DocumentHistory:
    """The rows of lists side by side. Each list follows the clock of its group, or else is spread over the main
    list."""
    groups: dict[tuple[str, int], list[_Series]] = {}
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
    named = timeline.name if timeline else "step" if any(not one.name for one in series) else ""
    used = {clock.name for clock in clocks.values()}
    rows = _rows([one for one in series if one.name not in used or one.name.lower() not in STEP_KEYS])
    notes = [] if timeline or main == 0 else [PLACES]
    notes += [f"rldk spread lists of {length} values evenly over the {main} rows" for length in sorted(spread)]
    return DocumentHistory(rows=rows, series=True, clock=named, notes=tuple(notes), config=config)


def _clock_of(group: Sequence[_Series]) -> _Series | None:
    columns = {one.name: [step_or_none(v) for v in one.values] for one in group if clock_rank(one.name) is not None}
    name = choose_clock(columns, len(group[0].values))
    if name is None or None in columns[name]:
        return None
    return next(one for one in group if one.name == name)


def _whole(values: Sequence[Any]) -> list[int]:
    return [step_or_none(value) or 0 for value in values]


def _main_length(series: Sequence[_Series]) -> int:
    """The length of the lists that make the rows: the lists of rewards, else most lists, else the longest list."""
    lengths = [len(one.values) for one in series if one.steps is None]
    goals = [len(one.values) for one in series if one.steps is None and _GOALS.search(one.name)]
    return max(Counter(goals or lengths).items(), key=lambda item: (item[1], item[0]))[0] if lengths else 0


def _places(length: int, main: int, timeline: _Series | None) -> list[int]:
    """The steps of a list without a clock. A list of another length than the main one covers the same run."""
    steps = _whole(timeline.values) if timeline else range(main)
    if length <= main:
        return [steps[(i + 1) * main // length - 1] for i in range(length)]
    return [steps[i * main // length] for i in range(length)]


def _rows(series: Sequence[_Series]) -> list[dict[str, Any]]:
    """One row for each step; several when a list has several values at a step."""
    rows: dict[tuple[int, int], dict[str, Any]] = {}
    for one in series:
        times: Counter[int] = Counter()
        for step, value in zip(one.steps or (), one.values, strict=True):
            if value is not None:
                rows.setdefault((step, times[step]), {"step": step})[one.name] = value
            times[step] += 1
    return [rows[key] for key in sorted(rows)]


def _config(document: Document) -> dict[str, Any]:
    """The single values beside a history, and those of an object named as the configuration."""
    if not isinstance(document, dict):
        return {}
    inner = [value for key, value in document.items() if key in _CONFIG and isinstance(value, dict)]
    found = {k: v for part in (document, *inner) for k, v in part.items()}
    return {k: v for k, v in found.items() if isinstance(v, str | int | float) and len(str(v)[:500]) < 500}
