"""The rules that a user asked for: `--select KL,REW001 --ignore LEN`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rldk.errors import UnknownName
from rldk.rules.rule import Rule, rules


def select_rules(
    select: Iterable[str] | None = None, ignore: Iterable[str] | None = None, *, among: Sequence[Rule] | None = None
) -> tuple[Rule, ...]:
    """The rules whose code, family or name is selected (default: all) and not ignored.

    `among`: the rules to choose from, in their order; by default all rules, ordered by code.
    Raises `UnknownName`."""
    known = tuple(rules) if among is None else tuple(among)
    chosen = set(_codes(select, known)) if select else {r.code for r in known}
    chosen -= set(_codes(ignore or (), known))
    return tuple(r for r in known if r.code in chosen)


def _codes(words: Iterable[str], known: Sequence[Rule]) -> list[str]:
    found: list[str] = []
    for word in words:
        key = word.strip()
        upper = key.upper()
        hits = [r.code for r in known if r.name == key or r.family == upper or r.code in (key, upper)]
        if not hits:
            raise UnknownName("rule", key, {name for r in known for name in (r.code, r.family, r.name)})
        found += hits
    return found
