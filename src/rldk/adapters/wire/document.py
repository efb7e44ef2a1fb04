"""Finds the history of a training in a JSON document of any shape, as rows. All functions here are pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from rldk.adapters.wire.series import CONFIG, GOALS, MAX_DEPTH, NumberList, all_series, side_by_side, unboxed
from rldk.core.clocks import clock_rank
from rldk.core.records import EVALUATION, STEP_KEYS, step_or_none, to_number
from rldk.core.text import later

_INTERACTIONS = 1  # ranks of `clock_rank` up to here are steps of the environment
MAX_SALVAGED = 1 << 25  # characters of a damaged document to search
_TOKEN = later(r'"(?:[^"\\]|\\.)*"|[\[\]{},:]|[^\s\[\]{},:"]+', re.DOTALL)
_NESTED = 64
_SAMPLES = tuple(frozenset(keys) for keys in ({"prompt"}, {"completion"}, {"response"}, {"messages"}, {"cell_type"}))
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
    series = all_series(document)
    if lists:
        told = _from_rows(lists, config)
        return _with_series(told, series) if any(GOALS.search(one.name) for one in series) else told
    if series:
        side = side_by_side(series)
        return DocumentHistory(rows=side.rows, series=True, clock=side.clock, notes=side.notes, config=config)
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
        if len(rows) > 1 and 2 * len(rows) >= len(value) and unboxed(value) is None:
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


def _with_series(told: DocumentHistory, series: list[NumberList]) -> DocumentHistory:
    """The rows and, at their steps, the values of the lists of numbers beside them. Lists that count something else
    than the rows replace them when only the lists have a goal; else they are left out with a note."""
    side = side_by_side(series)
    clock = next((key for key in told.rows[0] if _counts(key)), None)
    if clock is not None and side.clock and _same_unit(clock, side.clock):
        more = [{clock: row["step"], **{k: v for k, v in row.items() if k != "step"}} for row in side.rows]
        rows = sorted((*told.rows, *more), key=lambda row: step_or_none(row.get(clock)) or 0)
        return replace(told, rows=rows, notes=(*told.notes, *side.notes))
    if not any(GOALS.search(key) for row in told.rows[:20] for key in row):
        left = f"not read: {len(told.rows)} rows with {', '.join(list(told.rows[0])[:4])}: they count other steps"
        return DocumentHistory(
            rows=side.rows, series=True, clock=side.clock, notes=(*side.notes, left), config=told.config
        )
    names = sorted(one.name for one in series)
    left = f"not read: the lists {', '.join(names[:6])}{' and more' * (len(names) > 6)}"
    return replace(told, notes=(*told.notes, left))


def _same_unit(clock: str, other: str) -> bool:
    """Whether both names count steps, or the same other thing."""
    one, two = clock_rank(clock), clock_rank(other)
    return one is not None and two is not None and (one[0] == two[0] or max(one[0], two[0]) <= _INTERACTIONS)


def _counts(key: str) -> bool:
    return clock_rank(key) is not None


def _config(document: Document) -> dict[str, Any]:
    """The single values beside a history, and those of an object named as the configuration."""
    if not isinstance(document, dict):
        return {}
    inner = [value for key, value in document.items() if key in CONFIG and isinstance(value, dict)]
    found = {k: v for part in (document, *inner) for k, v in part.items()}
    return {k: v for k, v in found.items() if isinstance(v, str | int | float) and len(str(v)[:500]) < 500}
