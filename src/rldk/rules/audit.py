"""What an audit of source code and environment has seen: the view of rules over the subject "code"."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from msgspec import Struct, field

from rldk.core.audit.lock import LockDifference
from rldk.core.audit.sites import CodeFacts, Site
from rldk.core.model import Severity
from rldk.core.text import first_few
from rldk.rules.rule import Signal, rule
from rldk.rules.subject import EnvView

# registers a rule over the places in code that an audit looks at
code_rule = partial(rule, tier=0, data="C", subject="code", needs=("code",))
MAX_NAMED = 5  # differences that a message names
MAX_PLACES = 1000  # places of one finding in a report


class AuditView(Struct, frozen=True, kw_only=True):
    """The code, the environment that it would be started in, and how that differs from a lock; None without one."""

    code: CodeFacts
    env: EnvView = field(default_factory=EnvView)
    lock: tuple[LockDifference, ...] | None = None

    def has(self, need: str) -> bool:
        """Whether the audit had it: "code", "program", "lock" or "variables"."""
        match need:
            case "code":
                return self.code.files > 0
            case "program":
                return bool(self.code.programs)
            case "lock":
                return self.lock is not None
            case _:
                return self.env.has(need)

    def sites(self, *kinds: str) -> tuple[Site, ...]:
        """The places of these kinds, in the order of files and lines."""
        return tuple(site for site in self.code.sites if site.kind in kinds)

    def sees(self, *kinds: str) -> bool:
        """Whether there is a place of one of these kinds."""
        return any(site.kind in kinds for site in self.code.sites)

    def imports(self, *packages: str) -> bool:
        """Whether the code imports one of these packages."""
        return not self.code.imports.isdisjoint(packages)

    def variable(self, name: str) -> str | None:
        """The value that the environment has for a variable, or else the one that the code sets; None without one."""
        said = self.env.variable(name)
        if said is not None:
            return said
        set_here = (site.detail.partition("=")[2] for site in self.sites("sets-variable") if _name(site) == name)
        return next(set_here, None)

    def asks(self) -> bool:
        """Whether the code asks for deterministic algorithms."""
        return self.sees("asks-determinism", "asks-cudnn")


def _name(site: Site) -> str:
    return site.detail.partition("=")[0]


def signal_of(
    view: AuditView, sites: Iterable[Site], one: str, many: str, *, severity: Severity | None = None
) -> Signal | None:
    """The signal of a rule about places in code; None where there are none.

    `one`, `many`: what one place does, and what several do ("walks a set", "walk a set"). The message names the first
    place, and the evidence has them all."""
    found = tuple(sites)
    if not found:
        return None
    count = len(found) + sum(view.code.dropped.get(kind, 0) for kind in {site.kind for site in found})
    first = found[0]
    more = f" and {count - 1:,} more place{'s' if count > 2 else ''}" if count > 1 else ""
    message = f"{first.place}{more} {many if count > 1 else one}"
    places = [
        {"file": s.file, "line": s.line, "cell": s.cell, "text": s.text, "detail": s.detail}
        for s in found[:MAX_PLACES]
    ]  # fmt: skip
    return Signal(
        value=float(count),
        limit=0.0,
        metric=first.kind,
        message=message,
        severity=severity,
        evidence={"places": places},
    )


def difference_words(found: Iterable[LockDifference]) -> str:
    """The differences in words: `torch 2.9 -> 2.8, numpy is new and 3 more`."""
    all_of = tuple(found)
    return first_few([_difference(each) for each in all_of[:MAX_NAMED]], MAX_NAMED, count=len(all_of))


def _difference(each: LockDifference) -> str:
    if each.locked is None:
        return f"{each.name} {each.now} is new"
    if each.now is None:
        return f"{each.name} {each.locked} is gone"
    return f"{each.name} {each.locked} -> {each.now}"
