"""Which rules a user asked for: `--select KL,REW001 --ignore LEN`."""

from __future__ import annotations

from collections.abc import Iterable

from rldk.errors import UnknownName
from rldk.rules.rule import Rule, rules


def select_rules(select: Iterable[str] | None = None, ignore: Iterable[str] | None = None) -> tuple[Rule, ...]:
    """The registered rules whose code, family or name is selected (default: all) and not ignored, by code."""
    chosen = set(_codes(select)) if select else set(rules.names())
    chosen -= set(_codes(ignore or ()))
    return tuple(r for r in rules if r.code in chosen)


def _codes(words: Iterable[str]) -> list[str]:
    found: list[str] = []
    for word in words:
        key = word.strip()
        hits = [r.code for r in rules if key in {r.code, r.name} or key.upper() in {r.code, r.family}]
        if not hits:
            raise UnknownName(
                "rule", key, [r.code for r in rules] + [r.family for r in rules] + [r.name for r in rules]
            )
        found += hits
    return found
