"""JSON Schema (draft 2020-12) of everything that rldk writes and of the event forms that it reads."""

from __future__ import annotations

from typing import Any

import msgspec

from rldk.core.events import RowLine, ScalarLine, WideLine
from rldk.core.model import Rejected, Run, RunMeta, SampleTable
from rldk.core.table import PHASES, MetricTable

DRAFT = "https://json-schema.org/draft/2020-12/schema"
Schema = dict[str, Any]

STEP: Schema = {"type": "integer"}
NON_FINITE = ("NaN", "Infinity", "-Infinity")
NON_FINITE_OR_NUMBER: Schema = {"anyOf": [{"type": "number"}, {"enum": [*NON_FINITE]}]}
NUMBER: Schema = {
    "description": "null is missing; NaN and the infinities are said as text",
    "anyOf": [{"type": ["number", "null"]}, {"enum": [*NON_FINITE]}],
}
TEXT: Schema = {"type": ["string", "null"]}

_FORMS, _DEFINITIONS = msgspec.json.schema_components([RowLine, ScalarLine, WideLine])
_HAS_METRICS: Schema = {"required": ["metrics"]}
_HAS_VALUE: Schema = {"required": ["name", "value"]}
EVENT: Schema = {
    "$schema": DRAFT,
    "title": "rldk event",
    "description": "one line of a JSONL log; null is missing, numbers that are not finite are text",
    "type": "object",
    "if": _HAS_METRICS,
    "then": _FORMS[0],
    "else": {"if": _HAS_VALUE, "then": _FORMS[1], "else": _FORMS[2]},
    "$defs": _DEFINITIONS,
}
TRAINING_METRICS: Schema = {
    "$schema": DRAFT,
    "title": "rldk training metrics",
    "description": "one row of a run after normalisation: identity columns, then one number per metric",
    "type": "object",
    "properties": {
        "step": STEP,
        "phase": {"enum": [*PHASES]},
        "wall_time": {"type": ["number", "null"]},
        "run_id": TEXT,
        "seed": {"type": ["integer", "null"]},
        "git_sha": TEXT,
    },
    "required": ["step"],
    "additionalProperties": NUMBER,
}
TABLE: Schema = {
    "title": "MetricTable",
    "description": "columns of equal length; in a column null is missing and NaN was stated by the source",
    "type": "object",
    "properties": {
        "step": {"type": "array", "items": STEP},
        "phase": {"type": "array", "items": {"enum": [*PHASES]}},
        "segment": {"type": "array", "items": {"type": "integer", "minimum": 0}},
        "time": {"type": "array", "items": NUMBER},
        "columns": {"type": "object", "additionalProperties": {"type": "array", "items": NUMBER}},
    },
    "required": ["step", "phase", "segment", "time", "columns"],
}


def schema_of(cls: type[Any]) -> Schema:
    """The JSON Schema of the output of `codec.to_builtins` for a `cls`, one of the types of `core.model`."""
    if cls is MetricTable:
        return {"$schema": DRAFT, **TABLE}
    if cls is not Run:
        schema: Schema = _wired(msgspec.json.schema(cls))
        return {"$schema": DRAFT, **schema}
    # msgspec cannot describe arrays, so the one type that holds a table is put together from its parts
    (samples, meta, rejected), definitions = msgspec.json.schema_components([SampleTable, RunMeta, Rejected])
    return {
        "$schema": DRAFT,
        "title": "Run",
        "type": "object",
        "properties": {
            "id": {"type": "string"},
            "source": {"type": "string"},
            "metrics": TABLE,
            "samples": {"anyOf": [{"type": "null"}, samples]},
            "meta": meta,
            "lines": {"type": "integer", "minimum": 0},
            "rejected_count": {"type": "integer", "minimum": 0},
            "rejected": {"type": "array", "items": rejected},
        },
        "required": ["id", "source", "metrics"],
        "$defs": _wired(definitions),
    }


def _wired(schema: Any) -> Any:
    """Adapts a schema to JSON values as written: floats that are not finite are text, tuples are lists."""
    if isinstance(schema, dict):
        if schema.get("type") == "number":
            return {**NON_FINITE_OR_NUMBER, **{k: v for k, v in schema.items() if k != "type"}}
        return {key: _wired(value) for key, value in schema.items()}
    return [_wired(item) for item in schema] if isinstance(schema, list | tuple) else schema
