"""JSON Schema (draft 2020-12) of the monitor's output: one alert, and its report."""

from __future__ import annotations

from typing import Any, get_args

from rldk.core.model import SEVERITIES, AlertEvent, Check, Finding, Incident, Note, Understanding
from rldk.core.schema import DRAFT, NON_FINITE_OR_NUMBER, NUMBER, Schema, schema_of
from rldk.engine.actions.dispatch import Outcome
from rldk.monitor.alert_json import SCHEMA_VERSION as ALERT_VERSION
from rldk.monitor.summary import HEALTHS, SourceStats
from rldk.monitor.summary import SCHEMA_VERSION as REPORT_VERSION

_TEXT: Schema = {"type": "string"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_STEP: Schema = {"type": ["integer", "null"]}
_SEVERITY: Schema = {"enum": [*SEVERITIES]}
_HEALTH: Schema = {"enum": [*HEALTHS]}


def alert_schema() -> Schema:
    """The schema of one line of `--alerts`."""
    definitions: dict[str, Any] = {}
    finding = _defined(Finding, definitions)
    ratio = {**NON_FINITE_OR_NUMBER, "description": "ratio of the newest gradient norms, where both are known"}
    return {
        "$schema": DRAFT,
        "title": "rldk alert",
        **_object(
            {
                "schema_version": {"const": ALERT_VERSION},
                "kind": {"const": "alert"},
                "monitor": {**_TEXT, "description": "the monitor that sent it, and the log it read"},
                "written": {"type": "number", "description": "unix seconds"},
                "late": {"type": "boolean", "description": "the alert was due while nobody watched"},
                "event": {"enum": [*get_args(AlertEvent)]},
                "rule": _TEXT,
                "severity": _SEVERITY,
                "step": {"type": "integer"},
                "name": {**_TEXT, "description": "the metric as the log spells it"},
                "value": NUMBER,
                "message": _TEXT,
                "run": {**_TEXT, "description": "the log among several; empty when there is only one"},
                "time": {"type": ["number", "null"], "description": "the row's own time"},
                "evidence": {"type": "object"},
                "finding": finding,
            },
            policy_over_value=ratio,
            value_over_policy=ratio,
        ),
        "$defs": definitions,
    }


def report_schema() -> Schema:
    """The schema of `--report`."""
    definitions: dict[str, Any] = {}
    parts = {
        "findings": _listed(_defined(Finding, definitions)),
        "incidents": _listed(_defined(Incident, definitions)),
        "checked": _listed(_TEXT),
        "skipped": _listed(_defined(Check, definitions)),
        "notes": _listed(_defined(Note, definitions)),
        "understanding": {
            "anyOf": [{"type": "null"}, _defined(Understanding, definitions)],
            "description": "how much of the log was understood; null where no row was read",
        },
    }
    _defined(SourceStats, definitions)
    source = definitions["SourceStats"]
    source["properties"] |= {"out_of_order": _COUNT, "gaps": _COUNT}
    source["required"] = list(source["properties"])
    run = {"run": _TEXT, "health": _HEALTH, "verdict": _TEXT, "rows": _COUNT, "first_step": _STEP, "last_step": _STEP}
    definitions["Run"] = _object({**run, **parts, "reward": _reward(), "source": {"$ref": "#/$defs/SourceStats"}})
    rule = {"name": _TEXT, "count": _COUNT, "severity": _SEVERITY, "first_step": _STEP, "last_step": _STEP}
    return {
        "$schema": DRAFT,
        "title": "rldk monitor report",
        **_object(
            {
                "schema_version": {"const": REPORT_VERSION},
                "kind": {"const": "monitor"},
                "health": _HEALTH,
                "verdict": _TEXT,
                "ended": {**_TEXT, "description": "why watching ended"},
                "seconds": {"type": "number", "minimum": 0},
                "rules": _TEXT,
                "first_step": _STEP,
                "last_step": _STEP,
                "alerts": _object(dict.fromkeys(get_args(AlertEvent), _COUNT)),
                "by_rule": {"type": "object", "additionalProperties": _object(rule)},
                "source": _object(dict.fromkeys(("lines", "rejected", "out_of_order", "gaps"), _COUNT)),
                "actions": _listed(_defined(Outcome, definitions)),
                "runs": _listed({"$ref": "#/$defs/Run"}),
            },
            hooks=_hooks(),
        ),
        "$defs": definitions,
    }


def _hooks() -> Schema:
    failed = {"type": "object", "additionalProperties": _TEXT}
    found = _object({"hooked": _listed(_TEXT), "failed": failed, "rows": _COUNT})
    return {**found, "description": "what `rldk run --hooks` hooked, what it could not hook and why, rows recorded"}


def _reward() -> Schema:
    numbers = dict.fromkeys(("mean", "std", "trend", "saturation"), NUMBER)
    reward = _object({"window": _COUNT, "rows": _COUNT, **numbers})
    return {"anyOf": [{"type": "null"}, reward], "description": "statistics of `reward_mean` over the newest rows"}


def _object(properties: dict[str, Any], **optional: Schema) -> Schema:
    return {
        "type": "object",
        "properties": {**properties, **optional},
        "required": list(properties),
        "additionalProperties": False,
    }


def _listed(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _defined(cls: type[Any], definitions: dict[str, Any]) -> Schema:
    """A reference to the schema of the class. The schema itself goes into `definitions`."""
    schema = schema_of(cls)
    definitions.update(schema["$defs"])
    return {"$ref": schema["$ref"]}
