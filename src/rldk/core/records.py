"""Reads one JSON line as a record: its form, the key that is the clock, the values that are metrics."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from datetime import UTC, datetime
from enum import Enum
from typing import Any

import msgspec
from msgspec import Struct, field

from rldk.core.clocks import clock_rank
from rldk.core.table import Phase
from rldk.core.text import later, legible

STEP_KEYS = (
    "step",
    "global_step",
    "training_step",
    "train/global_step",
    "iteration",
    "trainer/global_step",
    "training/global_step",
    "_step",
    "num_timesteps",
    "time/total_timesteps",
    "training_iteration",
    "iter",
    "timestep",
)
TIME_KEYS = ("time", "wall_time", "timestamp", "_timestamp", "created_at")
IDENTITY = frozenset(
    ("run_id", "run_name", "experiment", "project", "seed", "git_sha", "algorithm", "algo", "env_id", "model_name")
)
EVALUATION = frozenset(("eval", "evaluation", "val", "valid", "validation", "test"))
MAX_STEP = 2**53  # beyond it a step written as a float is not exact
MAX_DEPTH = 16
SCORE_KEYS = ("score", "reward", "value", "logit")
_STEP_TEXT = later(
    r"(?P<word>[A-Za-z][A-Za-z ]{0,30}?)?[ :#=]{0,3}"
    r"(?P<number>\d{1,15}(?:\.\d{1,9})?(?:[eE]\+?\d{1,2})?)(?P<scale>[kKmM])?(?: ?/ ?(?P<plan>\d{1,15}))?"
)
_SCALES = {"k": 1e3, "m": 1e6}
_SPECIAL = {"nan": math.nan, "inf": math.inf, "infinity": math.inf}
_decode = msgspec.json.decode


class BadLine(ValueError):
    """Raised when the line cannot be read. The message says why."""


class Form(Enum):
    """The shape of one line: `{"step", "name", "value"}`, `{"step", "metrics": {...}}` or `{"step", "kl": ...}`."""

    SCALAR = "scalar"
    ROW = "row"
    WIDE = "wide"


class Role(Enum):
    """The role of one key of a line."""

    STEP = "step"
    RANK = "rank"
    TIME = "time"
    PHASE = "phase"
    IDENTITY = "identity"
    METRIC = "metric"
    NAME = "name"
    VALUE = "value"
    IGNORED = "ignored"


class Layout(Struct, frozen=True, kw_only=True):
    """The facts about a file that are settled once. `clock`, `time`: flat keys, None when no key serves.

    `plan`: the key that says on every line how many steps the run will make. `total_steps`: that number, from `plan` or
    from the clock. `rank`: the key that tells processes apart which all write the same steps. `first_rank`: the process
    that is read."""

    form: Form
    envelope: str
    clock: str | None = None
    time: str | None = None
    plan: str | None = None
    total_steps: int | None = None
    rank: str | None = None
    first_rank: int = 0
    null_is_nan: bool = False

    def role(self, path: str, form: Form, *, inside: bool) -> Role:
        """The role of a flat key in a line of `form`. `inside`: the key stands inside the envelope."""
        if path == self.clock:
            return Role.STEP
        if path == self.plan:
            return Role.IGNORED
        if path == self.rank:
            return Role.RANK
        if inside:
            return Role.METRIC
        if path == self.time:
            return Role.TIME
        if path in ("phase", "tags/phase", "model_info/phase"):
            return Role.PHASE
        if path.removeprefix("model_info/") in IDENTITY:
            return Role.IDENTITY
        if form is Form.SCALAR:
            return {"name": Role.NAME, "value": Role.VALUE}.get(path, Role.IGNORED)
        return Role.METRIC if form is Form.WIDE else Role.IGNORED


class Record(Struct, kw_only=True):
    """One parsed line. `step` is None when the line has no clock. `value`: the value of a scalar event, None when
    missing.

    `rank`: the process that wrote the line, None where one process wrote the file."""

    step: int | None = None
    rank: int | None = None
    time: float = math.nan
    phase: Phase = "train"
    name: str | None = None
    value: float | None = None
    values: dict[str, float] = field(default_factory=dict)
    identity: dict[str, Any] = field(default_factory=dict)


def parse(line: bytes) -> dict[str, Any]:
    """The object on the line. Accepts bare NaN and Infinity, a byte-order mark and bad UTF-8. Raises `BadLine`."""
    try:
        value = _decode(line)
    except (ValueError, RecursionError):
        value = _parse_leniently(line)
    if not isinstance(value, dict):
        raise BadLine(f"not an object but {_json_type(value)}")
    return value


def _parse_leniently(line: bytes) -> Any:
    try:
        return json.loads(line.decode("utf-8", errors="replace").lstrip("\ufeff"))
    except (ValueError, RecursionError) as error:
        raise BadLine(why_no_json(error)) from None


def why_no_json(error: ValueError | RecursionError) -> str:
    """Why `json.loads` refused a text, in words for the one who wrote it."""
    if isinstance(error, json.JSONDecodeError):
        return f"not JSON: {error.msg} at column {error.colno}"
    return "nested too deeply" if isinstance(error, RecursionError) else "an integer of more than 4,300 digits"


def _json_type(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case dict():
            return "an object"
        case _:
            return "a list"


def form_of(obj: dict[str, Any], envelope: str) -> Form:
    """The form of one line, decided by that line alone."""
    if isinstance(obj.get(envelope), dict):
        return Form.ROW
    return Form.SCALAR if isinstance(obj.get("name"), str) and "value" in obj else Form.WIDE


def leaves(obj: dict[str, Any], form: Form, envelope: str) -> Iterator[tuple[str, bool, Any]]:
    """Yields (flat key, inside the envelope, value) of every leaf, nested keys joined by "/". Lists are leaves.

    Values nested deeper than `MAX_DEPTH` are left out."""
    if form is Form.ROW:
        yield from ((path, True, value) for path, value in _flatten(obj[envelope], ""))
        obj = {key: value for key, value in obj.items() if key != envelope}
    yield from ((path, False, value) for path, value in _flatten(obj, ""))


def _flatten(obj: dict[str, Any], prefix: str, depth: int = 1) -> Iterator[tuple[str, Any]]:
    for key, value in obj.items():
        path = prefix + legible(key)
        if isinstance(value, dict):
            if depth < MAX_DEPTH:
                yield from _flatten(value, path + "/", depth + 1)
        else:
            yield path, value


def take_apart(obj: dict[str, Any], layout: Layout) -> Record:
    """The record of one line. Raises `BadLine` when its step is no whole number, or when the value of an event is no
    number."""
    record = Record()
    form = form_of(obj, layout.envelope)
    if form is Form.SCALAR and obj["value"] is not None and to_number(obj["value"]) is None:
        raise BadLine(f"the value of the event is not a number but {_json_type(obj['value'])}")
    for path, inside, value in leaves(obj, form, layout.envelope):
        _place(record, layout.role(path, form, inside=inside), path, value, layout.null_is_nan)
    return record


def _place(record: Record, role: Role, path: str, value: object, null_is_nan: bool) -> None:
    match role:
        case Role.METRIC:
            number = math.nan if value is None and null_is_nan else to_number(value)
            if number is not None:
                record.values[path] = number
        case Role.STEP:  # the step in the envelope comes first; one beside the envelope replaces it
            record.step = to_step(value) if value is not None else record.step
        case Role.RANK:
            record.rank = step_or_none(value)
        case Role.TIME:
            record.time = to_time(value)
        case Role.PHASE:
            record.phase = to_phase(value)
        case Role.IDENTITY if isinstance(value, str | int | float):
            record.identity[path.removeprefix("model_info/")] = legible(value) if isinstance(value, str) else value
        case Role.NAME:
            record.name = legible(str(value))
        case Role.VALUE:
            record.value = math.nan if value is None and null_is_nan else to_number(value)
        case _:
            pass


def to_number(value: object) -> float | None:
    """A float for numbers, booleans (0.0, 1.0) and numeric strings ("0.25", "NaN", "-inf"). None for anything else."""
    if isinstance(value, str):
        text = value.strip()
        special = _SPECIAL.get((text[1:] if text[:1] in ("+", "-") else text).lower())
        if special is not None:
            return -special if text.startswith("-") else special
        # float() also takes "1_000" and non-ASCII digits, which no logger writes for a number
        value = text if text.isascii() and "_" not in text else "not a number"
        if value == "-0":  # a whole number has no negative zero, in JSON neither
            return 0.0
    elif not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except ValueError:
        return None
    except OverflowError:
        return math.inf if int(value) > 0 else -math.inf


def score_number(value: object) -> float | None:
    """Does the same as `to_number` for a score, which may stand in a list or an array of one, or in an object under
    "score", "reward", "value" or "logit"."""
    for _ in range(MAX_DEPTH):
        if isinstance(value, dict):
            value = next((value[key] for key in SCORE_KEYS if key in value), None)
        elif isinstance(value, list | tuple) and len(value) == 1:
            value = value[0]
        elif hasattr(value, "tolist"):
            value = value.tolist()
        else:
            break
    return to_number(value)


def to_step(value: object) -> int | None:
    """A whole number, or None for null. "12/438", "Epoch 3", "1e5" and "10k" count as whole numbers. Raises `BadLine`
    otherwise."""
    if value is None:
        return None
    number = None if isinstance(value, bool) else to_number(value)
    if number is None and isinstance(value, str):
        number = _written_step(value)
    if number is None or not number.is_integer() or abs(number) > MAX_STEP:
        raise BadLine(f"step is not a whole number: {str(value)[:40]}")
    return int(number)


def step_or_none(value: object) -> int | None:
    """Does the same as `to_step`, but returns None for a value that is no step."""
    try:
        return to_step(value)
    except BadLine:
        return None


def plan_of(value: object) -> int | None:
    """The number of steps of the whole run in a text such as "12/438"."""
    found = _STEP_TEXT.fullmatch(value.strip()[:100]) if isinstance(value, str) else None
    return int(found["plan"]) if found and found["plan"] else None


def _written_step(text: str) -> float | None:
    found = _STEP_TEXT.fullmatch(text.strip()[:100])
    if found is None or (found["word"] and clock_rank(found["word"]) is None):
        return None
    return float(found["number"]) * _SCALES.get((found["scale"] or "").lower(), 1.0)


def to_time(value: object) -> float:
    """Seconds: a number as it stands, an ISO 8601 text as unix seconds (UTC when it names no zone), else NaN."""
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            number = to_number(value)
            return math.nan if number is None else number
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    number = None if isinstance(value, bool) else to_number(value)
    return math.nan if number is None else number


def to_phase(value: object) -> Phase:
    word = value.lower() if isinstance(value, str) else ""
    return "eval" if word in EVALUATION else ("summary" if word == "summary" else "train")
