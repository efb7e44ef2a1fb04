"""Names: from the key a log uses to the canonical metric, its unit, range and sign."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Iterator
from fnmatch import fnmatchcase
from functools import cache, lru_cache
from typing import TypeVar, cast

from msgspec import Struct
from msgspec.structs import replace

from rldk.core.glossary import PLACEHOLDER, Alias, Dialect, Glossary, Metric, affine, read_glossary
from rldk.errors import UnknownName

N = TypeVar("N")
MAX_KEY = 512  # a longer key is nobody's alias; bounds the work of the patterns
# Every sink may add these before a canonical name, whatever the dialect.
_SINKS = Dialect(train={"train/": ""}, eval={"eval/": "", "eval_": ""}, test={"test/": "", "test_": ""})
_TEXT = {"{name}": "(?P<name>.+)", "<source>": ".+", "<k>": r"\d+", "<i>": r"\d+", "<reward>": ".+"}


class Match(Struct, frozen=True, kw_only=True):
    """What a key means. `transform`: how to get the canonical value, "" when it is logged as is; see `apply`."""

    canonical: str
    transform: str = ""
    estimator: str = ""
    note: str = ""
    missing: float | None = None
    dialect: str | None = None
    rank: int = 0

    def apply(self, value: N) -> N:
        """The canonical value of a logged one (a float or an array); the sentinel of "none" is not handled here."""
        scale, offset = affine(self.transform)
        number = cast(float, value)
        return cast(N, number * scale + offset if offset else number * scale)


class Vocabulary:
    """The canonical metrics and every spelling of them. Cheap to ask; build it through `vocabulary()`."""

    def __init__(self, glossary: Glossary) -> None:
        self.metrics = glossary.metrics
        self.dialects = glossary.dialects
        self.estimators = glossary.estimators
        self._known = {alias: name for name, metric in self.metrics.items() for alias in metric.also_known_as}
        self._known |= {name: name for name in self.metrics if not PLACEHOLDER.search(name)}
        self._templates = [(_pattern(name), name) for name in self.metrics if PLACEHOLDER.search(name)]
        self._exact: dict[str, dict[str, list[tuple[Metric, Alias, int]]]] = {d: {} for d in self.dialects}
        self._patterns: dict[str, list[tuple[re.Pattern[str], Metric, Alias, int]]] = {d: [] for d in self.dialects}
        for metric, dialect, alias, rank in self._aliases():
            if PLACEHOLDER.search(alias.key):
                self._patterns[dialect].append((_pattern(alias.key), metric, alias, rank))
            else:
                self._exact[dialect].setdefault(alias.key, []).append((metric, alias, rank))
        self._guessed: tuple[frozenset[str], tuple[str, ...]] = frozenset(), ()
        for patterns in self._patterns.values():  # the more literal a pattern, the earlier it is tried
            patterns.sort(key=lambda p: -len(PLACEHOLDER.sub("", p[2].key)))

    def _aliases(self) -> Iterator[tuple[Metric, str, Alias, int]]:
        for metric in self.metrics.values():
            for dialect, aliases in metric.aliases.items():
                for rank, alias in enumerate(aliases):
                    yield metric, dialect, alias, rank + 1

    def names(self) -> tuple[str, ...]:
        """The canonical names, in the order of metrics.yaml."""
        return tuple(self.metrics)

    def metric(self, name: str) -> Metric:
        """The metric of a canonical name, of another name of it, of `eval_<name>` or of a reward component.

        Raises `UnknownName` with the nearest names."""
        canonical = self.canonical(name)
        if canonical is None:
            raise UnknownName("metric", name, self._known)
        if canonical in self.metrics:
            return self.metrics[canonical]
        for stage in ("eval_", "test_"):
            if canonical.startswith(stage):
                return replace(
                    self.metric(canonical.removeprefix(stage)),
                    name=canonical,
                    eval_name="",
                    also_known_as=(),
                    aliases={},
                )
        template = next(t for pattern, t in self._templates if pattern.fullmatch(canonical))
        return replace(self.metrics[template], name=canonical)

    def canonical(self, name: str) -> str | None:
        """The canonical name when `name` is one, is another name of one, or is either behind `eval_` or `test_`."""
        if name in self._known:
            return self._known[name]
        if len(name) <= MAX_KEY and any(pattern.fullmatch(name) for pattern, _ in self._templates):
            return name
        for stage in ("eval", "test"):
            if name.startswith(f"{stage}_"):
                base = self.canonical(name.removeprefix(f"{stage}_"))
                return None if base is None else self.staged(base, stage)
        return None

    def bounds(self, name: str, *, estimator: str = "", discrete: bool = False) -> tuple[float, float]:
        """The interval outside of which a value of the metric is impossible; infinite where open.

        `estimator`: as in `RunMeta.estimators`; `discrete`: actions are known to be discrete."""
        metric = self.metric(name)
        low, high = metric.range if discrete or metric.range_when != "discrete actions" else (None, None)
        lows = [low, *(self.estimators[word].low for word in estimator.split() if word in self.estimators)]
        return max((x for x in lows if x is not None), default=-math.inf), math.inf if high is None else high

    def resolve(self, key: str, dialect: str | None = None, columns: Collection[str] = frozenset()) -> Match | None:
        """What `key` means in a log of `dialect` that has `columns`, or None when nothing is sure.

        Without a dialect the columns decide; when several remain and disagree on the metric or the sign, None."""
        found = self.matches(key, dialect, columns)
        return found[0] if found else None

    def matches(
        self, key: str, dialect: str | None = None, columns: Collection[str] = frozenset()
    ) -> tuple[Match, ...]:
        """Every metric that `key` carries in this dialect, the likeliest first (SB3's total_timesteps is two)."""
        return self.among(key, self.guess(frozenset(columns)) if dialect is None else (dialect,), columns)

    def among(self, key: str, dialects: Collection[str], columns: Collection[str]) -> tuple[Match, ...]:
        """Every metric that `key` carries in a log of one of these dialects; without any, where nothing is guessed."""
        if len(dialects) == 1:
            return self._matches(key, next(iter(dialects)), columns)
        if dialects:
            return _agreed([self._matches(key, d, columns) for d in dialects])
        return self._matches(key, "generic", columns) or self._anywhere(key, columns)

    @lru_cache(maxsize=64)  # noqa: B019 - one vocabulary lives as long as the process
    def guess(self, columns: frozenset[str], among: tuple[str, ...] = ()) -> tuple[str, ...]:
        """The dialects that explain most of the columns: one, several that cannot be told apart, or none.

        Canonical names are no evidence; a single bare word is not enough. `among`: it is one of these for sure."""
        keys = [c for c in columns if len(c) <= MAX_KEY and not self._is_plain(c)]
        scores = {d: self._evidence(d, keys, columns) for d in among or self.dialects if d != "generic"}
        best = max(scores.values(), default=0.0)
        return tuple(d for d, score in scores.items() if score == best) if among or best >= 2 else ()

    def _is_plain(self, key: str) -> bool:
        """A canonical name, as it is or behind the prefix of a sink: it could be anybody's."""
        return any(rest in self._known for rest in (key, *(rest for _, rest in _unprefixed(key, [_SINKS]))))

    def _evidence(self, dialect: str, keys: Iterable[str], columns: frozenset[str]) -> float:
        spec = self.dialects[dialect]
        bare = {key.split("/", 1)[1] if key.startswith("train/") else key for key in columns}
        if any(fnmatchcase(c, pattern) for pattern in spec.lacks for c in bare):
            return 0.0
        if spec.parents and not any(self._lookup(key, (dialect,), columns) for key in bare):
            return 0.0
        return sum(2.0 if "/" in key else 1.0 for key in keys if self._explains(dialect, key, columns))

    def _explains(self, dialect: str, key: str, columns: frozenset[str]) -> bool:
        chain = self.chain(dialect)
        rests = [rest for _, rest in _unprefixed(key, [self.dialects[d] for d in chain])]
        return any(self._lookup(rest, chain, columns) for rest in (key, *rests))

    @cache  # noqa: B019 - bounded by the number of dialects
    def chain(self, dialect: str) -> tuple[str, ...]:
        """The dialect and those it builds on, nearest first. Raises `UnknownName`."""
        if dialect not in self.dialects:
            raise UnknownName("dialect", dialect, self.dialects)
        parents = [d for parent in self.dialects[dialect].parents for d in self.chain(parent)]
        return tuple(dict.fromkeys([dialect, *parents]))

    def _matches(self, key: str, dialect: str, columns: Collection[str]) -> tuple[Match, ...]:
        if len(key) > MAX_KEY:
            return ()
        chain = self.chain(dialect)
        found = self._lookup(key, chain, columns) or self._by_name(key, "train")
        if not found:
            for stage, rest in _unprefixed(key, [self.dialects[d] for d in chain]):
                hits = self._lookup(rest, chain, columns) or self._by_name(rest, "train")
                found = [replace(m, canonical=self.staged(m.canonical, stage)) for m in hits]
                if found:
                    break
        if not found:
            for stage, rest in _unprefixed(key, [_SINKS]):
                found = found or self._by_name(rest, stage)
        return tuple({m.canonical: m for m in reversed(found)}.values())[::-1]

    def _lookup(self, key: str, chain: Iterable[str], columns: Collection[str]) -> list[Match]:
        found = []
        for dialect in chain:
            hits = [(m.name, m, a, r) for m, a, r in self._exact[dialect].get(key, ())]
            if not hits:
                tried = ((p.fullmatch(key), m, a, r) for p, m, a, r in self._patterns[dialect])
                hits = [(_filled(m.name, hit), m, a, r) for hit, m, a, r in tried if hit][:1]
            for name, metric, alias, rank in hits:
                if not alias.when or any(fnmatchcase(c, p) for p in alias.when for c in columns):
                    found.append(self._match(name, metric, alias, dialect, rank))
        return found

    def _match(self, name: str, metric: Metric, alias: Alias, dialect: str, rank: int) -> Match:
        return Match(
            canonical=self.staged(name, alias.phase),
            transform=alias.transform,
            estimator=alias.est,
            note=alias.note or metric.note,
            missing=alias.missing,
            dialect=dialect,
            rank=rank,
        )

    def _by_name(self, key: str, stage: str) -> list[Match]:
        name = self.canonical(key)
        return [] if name is None else [Match(canonical=self.staged(name, stage))]

    def _anywhere(self, key: str, columns: Collection[str]) -> tuple[Match, ...]:
        everywhere = [(d, self._lookup(key, (d,), columns)) for d in self.dialects]
        hits = [[m] for d, found in everywhere for m in found if not self._only_within(key, d)]
        return _agreed(hits)

    def _only_within(self, key: str, dialect: str) -> bool:
        exact = self._exact[dialect].get(key)
        if exact:
            return all(alias.within for _, alias, _ in exact)
        return all(alias.within for p, _, alias, _ in self._patterns[dialect] if p.fullmatch(key))

    def staged(self, canonical: str, stage: str) -> str:
        if stage == "train" or canonical.startswith((f"{stage}_", "eval_")):
            return canonical
        metric = self.metrics.get(canonical)
        return metric.eval_name if metric and metric.eval_name and stage == "eval" else f"{stage}_{canonical}"

    def locate(self, name: str, columns: Collection[str]) -> str:
        """The column a person means by `name`: the very column, or the one of that metric. Raises `UnknownName`."""
        match = self.resolve(name, None, columns)
        for candidate in (name, self.canonical(name), match.canonical if match else None):
            if candidate in columns and candidate is not None:
                return candidate
        raise UnknownName("metric", name, columns)


def _agreed(found: Collection[Iterable[Match]]) -> tuple[Match, ...]:
    """The first matches when all dialects agree on metric and value; the estimator only where all say the same."""
    lists = [tuple(matches) for matches in found]
    heads = [matches[0] for matches in lists if matches]
    if len({(m.canonical, m.transform, m.missing) for m in heads}) != 1:
        return ()
    estimator = heads[0].estimator if len({m.estimator for m in heads}) == 1 else ""
    longest = max(lists, key=len)
    return (replace(heads[0], estimator=estimator), *longest[1:])


def _unprefixed(key: str, dialects: Iterable[Dialect]) -> Iterator[tuple[str, str]]:
    """(stage, key without its prefix) for every prefix it has, the longest first."""
    prefixes = [
        (stage, prefix, put)
        for d in dialects
        for stage in ("train", "eval", "test")
        for prefix, put in getattr(d, stage).items()
    ]
    for stage, prefix, put in sorted(prefixes, key=lambda p: -len(p[1])):
        if key.startswith(prefix) and len(key) > len(prefix):
            yield stage, put + key[len(prefix) :]


def _pattern(key: str) -> re.Pattern[str]:
    parts, texts = PLACEHOLDER.split(key), [*PLACEHOLDER.findall(key), ""]
    body = "".join(
        re.escape(part) + (_TEXT.get(text, "[^/]+") if text else "") for part, text in zip(parts, texts, strict=True)
    )
    return re.compile(body, re.DOTALL)


def _filled(name: str, hit: re.Match[str] | None) -> str:
    return name.replace("{name}", hit["name"]) if hit and "{name}" in name else name


@cache
def vocabulary() -> Vocabulary:
    """The vocabulary shipped with rldk, read once."""
    return Vocabulary(read_glossary())
