"""Fixed limits that a user gives a callback, as rules of the one engine."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from rldk.errors import UnknownName, UsageError
from rldk.rules.chosen import chosen_rules
from rldk.rules.files.action import Action
from rldk.rules.files.document import Document, Entry
from rldk.rules.files.load import load_rules, rules_in
from rldk.rules.rule import Rule, rules

# the documented names of limits -> the metrics they are about, and the words of their alerts
LIMITS: dict[str, tuple[tuple[str, ...], str]] = {
    "kl_divergence": (("kl",), "High KL divergence detected"),
    "clip_fraction": (("clip_frac",), "High clipping fraction detected"),
    "gradient_norm": (("grad_norm", "grad_norm_policy", "grad_norm_value"), "Large gradient norm detected"),
    "memory_usage": (("memory_share",), "High memory usage detected"),
}
MEMORY_GB = ("memory_peak_gb", "memory_cpu_gb")  # what a memory limit above 1 is about

DEFAULT = "default"
RuleChoice = str | os.PathLike[str] | Iterable[Rule | str]


class RuleSet(Struct, frozen=True):
    """The rules of a training. `stops`: the codes of rules whose file asks for a stop. `unmet`: kinds of actions that a
    rule file asks for and that only `rldk monitor` carries out."""

    rules: tuple[Rule, ...]
    stops: frozenset[str] = frozenset()
    unmet: frozenset[str] = frozenset()

    @property
    def codes(self) -> frozenset[str]:
        return frozenset(rule.code for rule in self.rules)


def rule_set(choice: RuleChoice, thresholds: Mapping[str, Any] | None = None) -> RuleSet:
    """The rules of a training: a preset, a rule file, or a list of rules and codes, with the user's limits.

    Raises `UnknownName` and the errors of rule files."""
    actions: Mapping[str, Sequence[Action]] = {}
    if isinstance(choice, str | os.PathLike) and choice != DEFAULT:
        file = load_rules(choice)
        chosen, actions = file.rules, file.actions
    elif isinstance(choice, str):
        chosen = chosen_rules(choice)
    else:
        listed = tuple(choice)
        codes = [item for item in listed if isinstance(item, str)]
        chosen = (*(chosen_rules(select=codes) if codes else ()), *(x for x in listed if isinstance(x, Rule)))
    own = threshold_rules(thresholds or {})
    replaced = {rule.code for rule in own}
    return RuleSet(
        (*(rule for rule in chosen if rule.code not in replaced), *own),
        frozenset(code for code, listed in actions.items() if any(action.kind == "stop" for action in listed)),
        frozenset(action.kind for listed in actions.values() for action in listed) - {"stop", "warn"},
    )


def threshold_rules(thresholds: Mapping[str, Any]) -> tuple[Rule, ...]:
    """The rules for limits by the names in `LIMITS`, or by the code of a rule (its warning limit, or its settings).

    Raises `UnknownName` for another name and `UsageError` for a value that is no limit."""
    entries: list[Entry] = []
    for name, value in thresholds.items():
        known = [rule.code for rule in rules] if name not in LIMITS else []
        if known and name not in known:
            raise UnknownName("threshold", name, [*LIMITS, *known])
        data = _entry(name, value) if name in LIMITS else {"use": name, **_settings(value)}
        entries.append(Entry(file="alert_thresholds", line=len(entries) + 1, data=data))
    if not entries:
        return ()
    return rules_in(Document(file="alert_thresholds", description="", entries=tuple(entries))).rules


def limit_rule(code: str, condition: str, *, metrics: tuple[str, ...], message: str, rows: int = 1) -> Rule:
    """A rule with a condition in the language of rule files, for a limit that a callback documents. The condition must
    hold on so many rows in a row."""
    data = _expression(code, metrics, condition, message)
    if rows > 1:
        data["window"] = {"size": rows, "kind": "consecutive"}
    return rules_in(Document(file=code, description="", entries=(Entry(file=code, line=1, data=data),))).rules[0]


def _entry(name: str, value: Any) -> dict[str, Any]:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        raise UsageError(f"the threshold {name} is {value!r}", hint="it must be a number of at least 0")
    metrics, said = LIMITS[name]
    unit = ""
    if name == "memory_usage" and value > 1:
        metrics, unit = MEMORY_GB, " GB"
    message = f"{said}: {{name}} is {{value:.3g}}{unit}, the limit is {value:g}{unit}"
    return _expression(f"threshold_{name}", metrics, f"abs(value) > {float(value)!r}", message)


def _expression(code: str, metrics: tuple[str, ...], condition: str, message: str) -> dict[str, Any]:
    where = {"metric": metrics[0]} if len(metrics) == 1 else {"where": f"name in {metrics!r}"}
    return {"id": code, **where, "condition": condition, "severity": "warn", "message": message}


def _settings(value: Any) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else {"warn": value}
