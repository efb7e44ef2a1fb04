"""The rules of one call: a preset or a rule file, narrowed by codes, families and names."""

from __future__ import annotations

from collections.abc import Iterable

from rldk.rules.files.load import RuleFile, load_rules
from rldk.rules.rule import Rule
from rldk.rules.select import select_rules

Words = str | Iterable[str] | None  # codes, families or names; a string separates them by commas


def chosen_rules(preset: str | RuleFile = "default", select: Words = None, ignore: Words = None) -> tuple[Rule, ...]:
    """The rules of `preset` that are selected and not ignored. Without a selection, all rules are selected.

    Raises `UnknownName`, and the errors of `load_rules`."""
    file = load_rules(preset) if isinstance(preset, str) and preset != "default" else preset
    return select_rules(_words(select), _words(ignore), among=None if isinstance(file, str) else file.rules)


def _words(codes: Words) -> list[str] | None:
    if codes is None:
        return None
    words = codes.split(",") if isinstance(codes, str) else list(codes)
    return [w for w in words if w.strip()] or None
