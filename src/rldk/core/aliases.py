"""The keys of every trainer: what each key means in a log of a dialect, and which dialects have it."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from functools import cache, cached_property
from typing import TypeVar, cast

from msgspec import Struct

from rldk.core.glossary import PLACEHOLDER, Alias, Dialect, Glossary, Metric, affine
from rldk.core.text import later
from rldk.errors import UnknownName

N = TypeVar("N")
_TEXT = {"{name}": "(?P<name>.+)", "<source>": ".+", "<k>": r"\d+", "<i>": r"\d+", "<reward>": ".+"}


class Match(Struct, frozen=True, kw_only=True):
    """The meaning of a key. `transform`: how to get the canonical value, "" when it is logged as is; see `apply`.

    `sign`: the match counts only when the first logged value that is not 0 has this sign. `sure`: False for a home-made
    name or another spelling. Such a match is good when the metric admits its values, see `Vocabulary.admits`."""

    canonical: str
    transform: str = ""
    estimator: str = ""
    note: str = ""
    missing: float | None = None
    dialect: str | None = None
    rank: int = 0
    sign: str = ""
    sure: bool = True

    def apply(self, value: N) -> N:
        """The canonical value of a logged one (a float or an array). The sentinel for "none" is not handled here."""
        scale, offset = affine(self.transform)
        number = cast(float, value)
        return cast(N, number * scale + offset if offset else number * scale)


Prefix = tuple[str, str, str]  # stage, the text a sink puts before a key, the text that replaces it
Use = tuple[Metric, Alias, int]  # the meaning of a key in one dialect, and its position among the metric's keys there


class Aliases:
    """The aliases of a glossary. `company`: decides from the columns of a log whether a bare home-made word is a metric
    there."""

    def __init__(self, glossary: Glossary, company: Callable[[Collection[str]], bool]) -> None:
        self._metrics = glossary.metrics
        self._dialects = glossary.dialects
        self._company = company
        self._exact: dict[str, dict[str, list[Use]]] = {}  # key -> dialect -> uses
        self._patterns: dict[str, list[tuple[str, re.Pattern[str], Use]]] = {d: [] for d in self._dialects}
        for metric, dialect, alias, rank in self._all():
            if "<" in alias.key or "{" in alias.key:
                head = PLACEHOLDER.split(alias.key)[0]
                self._patterns[dialect].append((head, pattern(alias.key), (metric, alias, rank)))
            else:
                self._exact.setdefault(alias.key, {}).setdefault(dialect, []).append((metric, alias, rank))
        for patterns in self._patterns.values():  # the more literal a pattern is, the earlier it is tried
            patterns.sort(key=lambda p: -len(PLACEHOLDER.sub("", p[2][1].key)))
        self._heads = tuple({head for patterns in self._patterns.values() for head, _, _ in patterns})

    def _all(self) -> Iterator[tuple[Metric, str, Alias, int]]:
        for metric in self._metrics.values():
            for dialect, aliases in metric.aliases.items():
                for rank, alias in enumerate(aliases):
                    yield metric, dialect, alias, rank + 1

    def __contains__(self, key: str) -> bool:
        return key in self._exact

    def uses(self, key: str) -> list[Use]:
        """The meanings of the key in all dialects."""
        return [use for uses in self._exact.get(key, {}).values() for use in uses]

    def lookup(self, key: str, chain: Iterable[str], columns: Collection[str]) -> list[Match]:
        """The meaning of the key as it is spelled. The nearest dialect is asked first."""
        found = []
        exact = self._exact.get(key, {})
        for dialect in chain:
            hits = [(use[0].name, use) for use in exact.get(dialect, ())]
            if not hits and key.startswith(self._heads):
                tried = ((p.fullmatch(key), u) for head, p, u in self._patterns[dialect] if key.startswith(head))
                hits = [(fill_name(use[0].name, hit), use) for hit, use in tried if hit][:1]
            for name, use in hits:
                if self._counts(use[1], dialect, columns):
                    found.append(self._match(name, use, dialect))
        return found

    def _counts(self, alias: Alias, dialect: str, columns: Collection[str]) -> bool:
        """Whether the columns that the alias needs are there, and none that rule it out."""
        if alias.when and not beside(alias.when, columns):
            return False
        if alias.unless and beside(alias.unless, columns):
            return False
        return not (alias.within and dialect == "generic") or self._company(columns)

    def _match(self, name: str, use: Use, dialect: str) -> Match:
        metric, alias, rank = use
        return Match(
            canonical=stage_name(self._metrics, name, alias.phase),
            transform=alias.transform,
            estimator=alias.est,
            note=alias.note or metric.note,
            missing=alias.missing,
            dialect=dialect,
            rank=rank,
            sign=alias.sign,
        )

    def means_only_in(self, key: str, dialect: str) -> bool:
        """Whether the key means something only in a log known to be of the dialect."""
        exact = self._exact.get(key, {}).get(dialect)
        if exact:
            return all(alias.within for _, alias, _ in exact)
        return all(use[1].within for _, p, use in self._patterns[dialect] if p.fullmatch(key))

    def speakers(self, key: str, columns: frozenset[str]) -> set[str]:
        """The dialects in which `key` means something, by their own alias or by one of a dialect they build on."""
        told = {heir for owner in self.owners(key, columns) for heir in self._heirs[owner]}
        for prefix, put, users in self._prefixes:
            if key.startswith(prefix) and len(key) > len(prefix):
                owners = self.owners(put + key[len(prefix) :], columns)
                told |= users & {heir for owner in owners for heir in self._heirs[owner]}
        return told

    def owners(self, key: str, columns: Collection[str]) -> set[str]:
        """The dialects that have an alias of their own for `key`."""
        owners = {d for d in self._exact.get(key, ()) if self.lookup(key, (d,), columns)}
        if key.startswith(self._heads):
            owners |= {d for d, patterns in self._patterns.items() if patterns and self.lookup(key, (d,), columns)}
        return owners

    @cached_property
    def _heirs(self) -> dict[str, frozenset[str]]:
        return {d: frozenset(heir for heir in self._dialects if d in self.chain(heir)) for d in self._dialects}

    @cached_property
    def _prefixes(self) -> tuple[tuple[str, str, frozenset[str]], ...]:
        """(prefix, the text that replaces it, the dialects whose sinks use it)."""
        users: dict[tuple[str, str], set[str]] = {}
        for owner, dialect in self._dialects.items():
            for prefix, put in (pair for sink in (dialect.train, dialect.eval, dialect.test) for pair in sink.items()):
                users.setdefault((prefix, put), set()).update(self._heirs[owner])
        return tuple((prefix, put, frozenset(dialects)) for (prefix, put), dialects in users.items())

    @cache  # noqa: B019 - bounded by the number of dialects
    def chain(self, dialect: str) -> tuple[str, ...]:
        """The dialect and those it builds on, nearest first. Raises `UnknownName`."""
        if dialect not in self._dialects:
            raise UnknownName("dialect", dialect, self._dialects)
        parents = [d for parent in self._dialects[dialect].parents for d in self.chain(parent)]
        return tuple(dict.fromkeys([dialect, *parents]))

    @cache  # noqa: B019 - bounded by the number of dialects
    def sinks(self, chain: tuple[str, ...]) -> tuple[Prefix, ...]:
        """The prefixes that may stand before the keys of these dialects."""
        return prefixes(self._dialects[d] for d in chain)


def stage_name(metrics: Mapping[str, Metric], canonical: str, stage: str) -> str:
    """The name of a metric on rows of the stage."""
    if stage == "train" or canonical.startswith((f"{stage}_", "eval_")):
        return canonical
    metric = metrics.get(canonical)
    return metric.eval_name if metric and metric.eval_name and stage == "eval" else f"{stage}_{canonical}"


def beside(patterns: Iterable[str], columns: Collection[str]) -> bool:
    return any(fnmatchcase(column, pattern) for pattern in patterns for column in columns)


def prefixes(dialects: Iterable[Dialect]) -> tuple[Prefix, ...]:
    """The prefixes of the dialects' sinks, the longest first."""
    found = [
        (stage, prefix, put)
        for d in dialects
        for stage, sink in (("train", d.train), ("eval", d.eval), ("test", d.test))
        for prefix, put in sink.items()
    ]
    return tuple(sorted(found, key=lambda p: -len(p[1])))


def strip_prefixes(key: str, prefixes: Iterable[Prefix]) -> Iterator[tuple[str, str]]:
    """Yields (stage, key without its prefix) for every prefix that the key has."""
    for stage, prefix, put in prefixes:
        if key.startswith(prefix) and len(key) > len(prefix):
            yield stage, put + key[len(prefix) :]


def pattern(key: str) -> re.Pattern[str]:
    parts, texts = PLACEHOLDER.split(key), [*PLACEHOLDER.findall(key), ""]
    body = "".join(
        re.escape(part) + (_TEXT.get(text, "[^/]+") if text else "") for part, text in zip(parts, texts, strict=True)
    )
    return later(body, re.DOTALL)


def fill_name(name: str, hit: re.Match[str] | None) -> str:
    return name.replace("{name}", hit["name"]) if hit and "{name}" in name else name
