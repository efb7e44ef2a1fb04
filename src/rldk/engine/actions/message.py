"""An alert in words and as plain data. Metric names and messages come from the log and may contain anything."""

from __future__ import annotations

import math
import string
from collections.abc import Mapping
from typing import Any

from rldk.core.model import Alert
from rldk.core.text import later
from rldk.rules.files.action import MAX_DEPTH

LONGEST_TEXT = 2000
LONGEST_WORD = 200
MOST_ITEMS = 100
RATIOS = ("policy_over_value", "value_over_policy")
# at most two digits of width and precision: a width of a thousand million would fill the memory
_SPEC = later(r"[<>^=]?[-+ ]?0?\d{0,2},?(?:\.\d{1,2})?[deEfFgGs%]?")
_PREFIX = {"begin": "", "recovered": "recovered: "}


def one_line(text: object, limit: int = LONGEST_TEXT) -> str:
    """`text` without control, escape, line-end and direction characters, cut to `limit` characters."""
    cut = str(text)[:limit]
    return cut if cut.isprintable() else "".join(c if c.isprintable() else " " for c in cut)


def words(alert: Alert) -> dict[str, str | float | None]:
    """The values for the placeholders of a template (`rules.action.FIELDS`)."""
    return {
        "name": one_line(alert.name, LONGEST_WORD),
        "value": alert.value,
        "step": alert.step,
        "rule": one_line(alert.rule, LONGEST_WORD),
        "severity": alert.severity,
        "message": one_line(alert.message),
        "event": alert.event,
        "run": one_line(alert.run, LONGEST_WORD),
    }


def fill(template: str, values: Mapping[str, str | float | None]) -> str:
    """Fills the placeholders of `template`. It never raises.

    An unknown placeholder stays as it is written, and a format that does not fit gives the plain value. Attributes,
    indices, conversions and nested formats are not followed."""
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError:
        return template[:LONGEST_TEXT]
    filled = []
    for literal, name, spec, _ in parts:
        filled.append(literal)
        if name is not None:
            filled.append(_shown(values[name], spec or "") if name in values else f"{{{name}}}")
    return "".join(filled)[:LONGEST_TEXT]


def sentence(alert: Alert, template: str | None = None) -> str:
    """The alert as one line, by `template` or as severity, rule, step and message. It says when the alert worsens or is
    over."""
    where = "before the first step" if alert.finding.first_step is None else "at step {step}"
    plain = f"{{severity}} {{rule}} {where}: {{message}}"
    prefix = _PREFIX.get(alert.event, f"now {alert.severity}: ")
    return one_line(prefix + fill(plain if template is None else template, words(alert)))


def facts(alert: Alert) -> dict[str, Any]:
    """The alert as JSON types. A number that is not finite becomes the text "NaN", "Infinity" or "-Infinity"."""
    known = {name: getattr(alert, name) for name in alert.__struct_fields__ if name != "finding"}
    known["time"] = None if math.isnan(alert.time) else alert.time
    ratios = {name: alert.evidence[name] for name in RATIOS if name in alert.evidence}
    plain: dict[str, Any] = _plain({**known, **ratios}, MAX_DEPTH)
    return plain


def _shown(value: str | float | None, spec: str) -> str:
    if value is None:
        return "n/a"
    try:
        return format(value, spec if spec and _SPEC.fullmatch(spec) else ".6g" if isinstance(value, float) else "")
    except (ValueError, TypeError):
        return str(value)


def _plain(value: Any, depth: int) -> Any:
    match value:
        case None | bool() | int():
            return value
        case float():
            return value if math.isfinite(value) else str(value).replace("nan", "NaN").replace("inf", "Infinity")
        case Mapping() if depth:
            return {str(k)[:LONGEST_WORD]: _plain(v, depth - 1) for k, v in list(value.items())[:MOST_ITEMS]}
        case list() | tuple() if depth:
            return [_plain(item, depth - 1) for item in value[:MOST_ITEMS]]
    return one_line(value)
