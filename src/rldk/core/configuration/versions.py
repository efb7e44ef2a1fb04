"""Versions of packages, compared by their release numbers; and the names of packages, as every tool compares them."""

from __future__ import annotations

import re
from itertools import zip_longest

from rldk.core.text import later

_RELEASE = later(r"(?:\d+!)?(\d+(?:\.\d+)*)(?P<early>[._-]?(?:a|b|c|rc|alpha|beta|pre|preview|dev))?", re.IGNORECASE)
_CLAUSE = later(r"\s*(>=|<=|==|!=|<|>)\s*([^\s,]+)\s*")


def reaches(version: str, bound: str) -> bool:
    """Whether a version is `bound` or later; a pre-release of a version is before it. False for what is no version."""
    have, want = _RELEASE.match(version), _RELEASE.match(bound)
    if have is None or want is None:
        return False
    pairs = zip_longest(*(map(int, found[1].split(".")) for found in (have, want)), fillvalue=0)
    ours, theirs = zip(*pairs, strict=True)
    return ours > theirs or (ours == theirs and (have["early"] is None or want["early"] is not None))


def canonical(name: str) -> str:
    """The name of a distribution as every tool compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def within(version: str, bounds: str) -> bool:
    """Whether a version meets every clause of `bounds`, as in ">=4.57,<5". A clause that cannot be read is not met."""
    return all(_meets(version, clause) for clause in bounds.split(",") if clause.strip())


def _meets(version: str, clause: str) -> bool:
    found = _CLAUSE.fullmatch(clause)
    if found is None or _RELEASE.match(version) is None:
        return False
    sign, bound = found.groups()
    reached, same = reaches(version, bound), reaches(version, bound) and reaches(bound, version)
    match sign:
        case ">=":
            return reached
        case ">":
            return reached and not same
        case "<":
            return not reached
        case "<=":
            return not reached or same
        case "==":
            return same
        case _:
            return not same
