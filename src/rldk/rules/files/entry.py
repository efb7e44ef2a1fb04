"""One entry of a rule file as a `Rule`: the user's own expression, or a rule of the catalogue with overrides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec.structs import replace

from rldk.core.model import SEVERITIES, Severity
from rldk.errors import ConfigError
from rldk.rules.files.document import Entry
from rldk.rules.files.expression import Condition, compile_condition
from rldk.rules.files.fields import WINDOW, FieldError, check, check_fixes, check_message
from rldk.rules.files.where import Selection, select_metric, select_where, unfamiliar_note
from rldk.rules.page import Page
from rldk.rules.rule import Body, Frame, Rule, Signal

# the family of a rule, by the longest beginning of the watched metric's name: it says which findings are of one kind
_FAMILIES = {
    "advantage": "ADV", "zero_std_group": "ADV", "solved_group": "ADV", "unsolved": "ADV",
    "clip_": "CLIP", "ratio_": "CLIP", "kl_policy_update": "CLIP", "kl": "KL", "entropy": "ENT", "diversity": "ENT",
    "repetition": "ENT", "reward": "REW", "pass_at": "REW", "acceptance": "REW", "response_length": "LEN",
    "truncation": "LEN", "eos": "LEN", "value_": "VAL", "return": "VAL", "grad_norm": "GRAD", "loss": "OPT",
    "policy_loss": "OPT", "lr": "OPT", "rollout_": "OFF", "staleness": "OFF", "pref_": "PREF", "logp_": "PREF",
    "epoch": "DATA", "memory": "SYS", "step_time": "SYS", "tokens": "SYS", "samples": "SYS", "mfu": "SYS",
}  # fmt: skip


def written_rule(data: Mapping[str, Any], *, file: str) -> Rule:
    """The rule that an expression defines. Raises `FieldError`."""
    window = data.get("window", {})
    check(window, WINDOW, within="window")
    size, kind = window.get("size", 1), window.get("kind", "consecutive")
    watched = _selection(data)
    condition = _condition(data, size)
    for key, checked in (("message", check_message), ("fixes", check_fixes)):
        if key in data:
            checked(data[key])
    severity: Severity = data.get("severity", "warn")
    several = len(watched.names) > 1 or any(c in watched.names[0] for c in "*?")
    patterns = tuple(name.replace("[", "[[]") for name in watched.names) if several else ()
    return Rule(
        code=data["id"],
        name=data["id"].replace("_", "-").lower(),
        severity=severity,
        # what a person calls critical must hold in that run, so no second witness is needed
        tier=0 if severity == "critical" else 2 if condition.relative else 1,
        body=_body(condition, data),
        page=_page(data, condition, file),
        metric="" if several else watched.names[0],
        needs=condition.metrics if several else (watched.names[0], *condition.metrics),
        each=patterns,
        phase=watched.phase,
        algorithms=frozenset(data["algorithms"]) if "algorithms" in data else None,
        rows=size if kind == "consecutive" and not condition.windowed else 1,
        cooldown=1 if "cooldown_steps" in data else 20,
        cooldown_steps=data.get("cooldown_steps", 0),
        causes=tuple(data.get("causes", ())),
        fixes=tuple(data.get("fixes", ())),
        kin=data.get("family") or _family(watched.names[0]),
    )


def chosen_rule(rule: Rule, data: Mapping[str, Any]) -> Rule:
    """The rule of the catalogue with the settings of an entry with `use`. Raises `FieldError`."""
    graded = "warn" in data or "critical" in data
    if graded and rule.tier == 0:
        hint = "severity, rows and cooldown can be set"
        raise FieldError(
            "warn" if "warn" in data else "critical", f"{rule.code} is exact, so it has no limit to move", hint=hint
        )
    rows, within = data.get("rows", rule.rows), data.get("within", rule.within)
    if within and within < rows:
        raise FieldError(
            "within", f"{rows} of {within} rows can never fire", hint="within must not be smaller than rows"
        )
    severity: Severity = data.get("severity", rule.severity)
    if "critical" in data:
        severity = "critical"
    wrapped = graded or "grace_steps" in data
    cooldown = 1 if "cooldown_steps" in data else rule.cooldown
    return replace(
        rule,
        severity=severity,
        body=_graded(rule.body, data) if wrapped else rule.body,
        rows=rows,
        within=within,
        cooldown=data.get("cooldown", cooldown),
        cooldown_steps=data.get("cooldown_steps", rule.cooldown_steps),
    )


def unfamiliar_names(entry: Entry) -> Iterator[str]:
    """Notes for the author about metric names that are not canonical."""
    data = entry.data
    if "use" in data:
        return
    watched = _selection(data)
    condition = _condition(data, data.get("window", {}).get("size", 1))
    for name in (*watched.names, *condition.metrics, *condition.elsewhere):
        note = unfamiliar_note(name)
        if note:
            yield note


def _selection(data: Mapping[str, Any]) -> Selection:
    if ("metric" in data) == ("where" in data):
        hint = 'such as `metric: kl`, or `where: name in ("kl", "entropy")`'
        raise FieldError(
            "where" if "where" in data else "id", "an expression needs either `metric` or `where`", hint=hint
        )
    key = "metric" if "metric" in data else "where"
    try:
        return select_metric(data[key]) if key == "metric" else select_where(data[key])
    except ConfigError as error:
        raise FieldError(key, f"{key}: {error.message}", hint=error.hint, expression=str(data[key])) from None


def _condition(data: Mapping[str, Any], window: int) -> Condition:
    if "condition" not in data:
        raise FieldError("id", "there is no condition", hint="such as `condition: value > 0.3`")
    try:
        return compile_condition(data["condition"], window=window)
    except ConfigError as error:
        raise FieldError(
            "condition", f"condition: {error.message}", hint=error.hint, expression=str(data["condition"])
        ) from None


def _body(condition: Condition, data: Mapping[str, Any]) -> Body:
    holds, measured, limit = condition.holds, condition.measured, condition.limit
    grace = data.get("grace_steps", 0)
    template = data.get("message") or "{name} is {value:.4g}" + (" (limit {limit:.4g})" if limit else "")
    shown = f" ({condition.text})" if "message" not in data else ""

    def body(f: Frame) -> Signal | None:
        start = f.first("step") if grace else 0.0
        if not holds(f) or (grace and f["step"] - start < grace):
            return None
        value = measured(f) if measured else f[f.metric]
        bound = limit(f) if limit else None
        text = template.format(name=f.metric, value=value, limit=bound or 0.0, step=f.step)
        return Signal(value=value, limit=bound, message=text + shown)

    return body


def _graded(inner: Body, data: Mapping[str, Any]) -> Body:
    """The rule's own verdict after the grace period; its severity follows the measured value."""
    grace, warn, critical = data.get("grace_steps", 0), data.get("warn"), data.get("critical")

    def body(f: Frame) -> Signal | None:
        start = f.first("step") if grace else 0.0
        signal = inner(f)
        if signal is None or (grace and f["step"] - start < grace):
            return None
        if (warn is None and critical is None) or signal.value != signal.value:
            return signal
        severity: Severity = "info"
        for least, word in ((warn, "warn"), (critical, "critical")):
            if least is not None and _reached(signal, least):
                severity = "critical" if word == "critical" else "warn"
        own = signal.severity
        if warn is None and severity == "info":
            severity = "warn"
        return replace(signal, severity=severity if own is None else min(own, severity, key=SEVERITIES.index))

    return body


def _reached(signal: Signal, least: float) -> bool:
    """Whether the value has reached `least`: above it, or below it for a rule whose value fell below its limit."""
    fell = signal.limit is not None and signal.value < signal.limit
    return signal.value <= least if fell else signal.value >= least


def _family(name: str) -> str:
    bare = name.removeprefix("eval_")
    fitting = [prefix for prefix in _FAMILIES if bare.startswith(prefix)]
    return _FAMILIES[max(fitting, key=len)] if fitting else "MET"


def _page(data: Mapping[str, Any], condition: Condition, file: str) -> Page:
    window = data.get("window", {})
    size = f" over {window['size']} rows ({window.get('kind', 'consecutive')})" if "size" in window else ""
    return Page(
        what=f"Fires when {condition.text}{size}.",
        sections={
            "Why it matters": data.get("why", f"Its author asked for it in {file}."),
            "How it is computed": f"`{condition.text}`{size}, as written in {file}.",
            "When it is wrong": "When its limits do not fit the run.",
            "Source": data.get("source", file),
        },
    )
