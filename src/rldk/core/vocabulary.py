"""Names: from the key a log uses to the canonical metric, its unit, range and sign."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Iterator
from fnmatch import fnmatchcase
from functools import cache, cached_property, lru_cache
from typing import TypeVar, cast

from msgspec import Struct
from msgspec.structs import replace

from rldk.core.glossary import PLACEHOLDER, Alias, Dialect, Glossary, Metric, affine, read_glossary
from rldk.core.spelling import readings
from rldk.errors import UnknownName

N = TypeVar("N")
MAX_KEY = 512  # a longer key is nobody's alias; bounds the work of the patterns
# Every sink may add these before a canonical name, whatever the dialect.
_SINKS = Dialect(train={"train/": ""}, eval={"eval/": "", "eval_": ""}, test={"test/": "", "test_": ""})
_FINE = frozenset({"nats", "fraction", "probability", "ratio", "ratio^2", "loss", "1"})  # units of fractional values
_LOOSE = 1000  # added to the rank of a name that is not one of the log's own trainer: its own names come first
_PATH = re.compile(r"[/.:|\\>]")
_TEXT = {"{name}": "(?P<name>.+)", "<source>": ".+", "<k>": r"\d+", "<i>": r"\d+", "<reward>": ".+"}


class Match(Struct, frozen=True, kw_only=True):
    """What a key means. `transform`: how to get the canonical value, "" when it is logged as is; see `apply`.

    `sign`: counts only when the first value logged that is not 0 has it. `sure`: False for a home-made name, or one in
    another spelling: good when the metric admits its values, see `Vocabulary.admits`."""

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
        """The canonical value of a logged one (a float or an array); the sentinel of "none" is not handled here."""
        scale, offset = affine(self.transform)
        number = cast(float, value)
        return cast(N, number * scale + offset if offset else number * scale)


_Prefix = tuple[str, str, str]  # stage, what a sink puts before a key, what stands in its place
_Use = tuple[Metric, Alias, int]  # what a key stands for in one dialect, and its place among the metric's keys there


class Vocabulary:
    """The canonical metrics and every spelling of them. Cheap to ask; build it through `vocabulary()`."""

    def __init__(self, glossary: Glossary) -> None:
        self.metrics = glossary.metrics
        self.dialects = glossary.dialects
        self.estimators = glossary.estimators
        self._shared = {name for metric in self.metrics.values() for name in metric.in_company}
        self._forms = glossary.forms
        self._known = {
            alias: name
            for name, metric in self.metrics.items()
            for alias in (*metric.also_known_as, *metric.in_company)
        }
        self._known |= {name: name for name in self.metrics if not PLACEHOLDER.search(name)}
        self._templates = [(_pattern(name), name) for name in self.metrics if PLACEHOLDER.search(name)]
        self._exact: dict[str, dict[str, list[_Use]]] = {}  # key -> dialect -> uses
        self._patterns: dict[str, list[tuple[str, re.Pattern[str], _Use]]] = {d: [] for d in self.dialects}
        for metric, dialect, alias, rank in self._aliases():
            if "<" in alias.key or "{" in alias.key:
                head = PLACEHOLDER.split(alias.key)[0]
                self._patterns[dialect].append((head, _pattern(alias.key), (metric, alias, rank)))
            else:
                self._exact.setdefault(alias.key, {}).setdefault(dialect, []).append((metric, alias, rank))
        for patterns in self._patterns.values():  # the more literal a pattern, the earlier it is tried
            patterns.sort(key=lambda p: -len(PLACEHOLDER.sub("", p[2][1].key)))
        self._heads = tuple({head for patterns in self._patterns.values() for head, _, _ in patterns})

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

    def admits(self, name: str, low: float, high: float) -> bool:
        """Whether no value from `low` to `high` is impossible for the metric. Raises `UnknownName`."""
        least, most = self.bounds(name)
        return least <= low and high <= most

    def fits(self, name: str, low: float, high: float, *, whole: bool) -> bool:
        """Whether values from `low` to `high` are usual for the metric, so that a name that only resembles it can be
        proposed.

        `whole`: none of them has a fraction. Counters are whole; nats, losses, probabilities and ratios are not all
        whole numbers beyond 0 and 1. Raises `UnknownName`."""
        metric = self.metric(name)
        least, most = (x if x is not None else end for x, end in zip(metric.likely, (-math.inf, math.inf), strict=True))
        if not self.admits(name, low, high) or low < least or high > most:
            return False
        if metric.direction == "counter" and metric.unit == "count":
            return whole
        return not (whole and metric.unit in _FINE and high - low > 1)

    def resolve(self, key: str, dialect: str | None = None, columns: Collection[str] = frozenset()) -> Match | None:
        """What `key` means in a log of `dialect` that has `columns`, or None when nothing is sure.

        Without a dialect the columns decide; when several remain and disagree on the metric or the sign, None."""
        return next((match for match in self.matches(key, dialect, columns) if not match.sign), None)

    def matches(
        self, key: str, dialect: str | None = None, columns: Collection[str] = frozenset()
    ) -> tuple[Match, ...]:
        """Every metric that `key` carries in this dialect, the likeliest first (SB3's total_timesteps is two)."""
        return self.among(key, self.guess(frozenset(columns)) if dialect is None else (dialect,), columns)

    def among(self, key: str, dialects: Collection[str], columns: Collection[str]) -> tuple[Match, ...]:
        """Every metric that `key` carries in a log of one of these dialects; without any, where nothing is guessed.

        The spelling as it stands decides; only when it is nobody's does its form, see `spelling.readings`."""
        if len(key) > MAX_KEY or any(key in self.dialects[d].foreign for c in dialects for d in self.chain(c)):
            return ()
        found = self._spelled(key, dialects, columns)
        return self._reread(key, dialects, columns) if found is None else found

    def _spelled(self, key: str, dialects: Collection[str], columns: Collection[str]) -> tuple[Match, ...] | None:
        """None when nobody spells it so, nothing when those who do mean different things."""
        said = [self._matches(key, d, columns) for d in dialects]
        homemade = _loose(self._matches(key, "generic", columns))
        if any(said):
            return _agreed(said) or tuple(match for match in homemade if match.sign)
        if homemade or dialects:
            return homemade or None
        return self._anywhere(key, columns) or (() if key in self._exact else None)

    def _reread(self, key: str, dialects: Collection[str], columns: Collection[str]) -> tuple[Match, ...]:
        for stage, spelled in readings(key):
            names = self._alike(key, spelled)
            said = [found for name in names if (found := self._spelled(name, dialects, columns))]
            if said:
                return _loose(replace(m, canonical=self.staged(m.canonical, stage)) for m in _agreed(said))
        return ()

    def _alike(self, key: str, spelled: str) -> list[str]:
        """The names and keys with this form; a key that is a path stands only for what is written as one."""
        return [name for name in self._forms.get(spelled, ()) if "/" not in name or _PATH.search(key)]

    def has_company(self, columns: Collection[str]) -> bool:
        """Whether one of the columns is a metric that only policy and preference training have, under a name that needs
        no company itself: beside it "score" is a reward, elsewhere it may be anything."""
        return any(self._tells(column) for column in columns)

    @lru_cache(maxsize=4096)  # noqa: B019 - one vocabulary lives as long as the process
    def _tells(self, column: str) -> bool:
        if len(column) > MAX_KEY:
            return False
        names = {name for _, spelled in readings(column) for name in self._alike(column, spelled)}
        known = {self._known[name] for name in names if name in self._known and name not in self._shared}
        uses = [use for name in names for uses in self._exact.get(name, {}).values() for use in uses]
        known |= {metric.name for metric, alias, _ in uses if not (alias.within or alias.when or alias.unless)}
        return any(not self.metrics[name].common for name in known)

    @lru_cache(maxsize=64)  # noqa: B019 - one vocabulary lives as long as the process
    def guess(self, columns: frozenset[str], among: tuple[str, ...] = ()) -> tuple[str, ...]:
        """The dialects that explain most of the columns: one, several that cannot be told apart, or none.

        Canonical names are no evidence; a single bare word is not enough. `among`: it is one of these for sure."""
        scores = {d: 0.0 for d in among or self.dialects if d != "generic"}
        for key in columns:
            if len(key) <= MAX_KEY and not self._is_plain(key):
                for dialect in self._speakers(key, columns) & scores.keys():
                    scores[dialect] += 2.0 if "/" in key else 1.0
        bare = {key.split("/", 1)[1] if key.startswith("train/") else key for key in columns if len(key) <= MAX_KEY}
        owners = {dialect for key in bare for dialect in self._owners(key, columns)}
        for dialect in scores:
            spec = self.dialects[dialect]
            lacking = any(fnmatchcase(c, pattern) for pattern in spec.lacks for c in bare)
            if lacking or (spec.parents and dialect not in owners):
                scores[dialect] = 0.0
        best = max(scores.values(), default=0.0)
        return tuple(d for d, score in scores.items() if score == best) if among or best >= 2 else ()

    def _is_plain(self, key: str) -> bool:
        """A canonical name, as it is or behind the prefix of a sink: it could be anybody's."""
        return any(rest in self._known for rest in (key, *(rest for _, rest in _unprefixed(key, _EVERY_SINK))))

    def _speakers(self, key: str, columns: frozenset[str]) -> set[str]:
        """The dialects in which `key` means something, by an alias of their own or of one they build on."""
        told = {heir for owner in self._owners(key, columns) for heir in self._heirs[owner]}
        for prefix, put, users in self._prefixes:
            if key.startswith(prefix) and len(key) > len(prefix):
                owners = self._owners(put + key[len(prefix) :], columns)
                told |= users & {heir for owner in owners for heir in self._heirs[owner]}
        return told

    def _owners(self, key: str, columns: Collection[str]) -> set[str]:
        """The dialects that have an alias of their own for `key`."""
        owners = {d for d in self._exact.get(key, ()) if self._lookup(key, (d,), columns)}
        if key.startswith(self._heads):
            owners |= {d for d, patterns in self._patterns.items() if patterns and self._lookup(key, (d,), columns)}
        return owners

    @cached_property
    def _heirs(self) -> dict[str, frozenset[str]]:
        return {d: frozenset(heir for heir in self.dialects if d in self.chain(heir)) for d in self.dialects}

    @cached_property
    def _prefixes(self) -> tuple[tuple[str, str, frozenset[str]], ...]:
        """(prefix, what stands in its place, the dialects whose sinks use it)."""
        users: dict[tuple[str, str], set[str]] = {}
        for owner, dialect in self.dialects.items():
            for prefix, put in (pair for sink in (dialect.train, dialect.eval, dialect.test) for pair in sink.items()):
                users.setdefault((prefix, put), set()).update(self._heirs[owner])
        return tuple((prefix, put, frozenset(dialects)) for (prefix, put), dialects in users.items())

    @cache  # noqa: B019 - bounded by the number of dialects
    def chain(self, dialect: str) -> tuple[str, ...]:
        """The dialect and those it builds on, nearest first. Raises `UnknownName`."""
        if dialect not in self.dialects:
            raise UnknownName("dialect", dialect, self.dialects)
        parents = [d for parent in self.dialects[dialect].parents for d in self.chain(parent)]
        return tuple(dict.fromkeys([dialect, *parents]))

    @cache  # noqa: B019 - bounded by the number of dialects
    def _sinks(self, chain: tuple[str, ...]) -> tuple[_Prefix, ...]:
        return _prefixes(self.dialects[d] for d in chain)

    def _matches(self, key: str, dialect: str, columns: Collection[str]) -> tuple[Match, ...]:
        chain = self.chain(dialect)
        found = self._meanings(key, "train", chain, columns)
        if not found:
            for stage, rest in _unprefixed(key, self._sinks(chain)):
                hits = self._meanings(rest, "train", chain, columns)
                found = [replace(m, canonical=self.staged(m.canonical, stage)) for m in hits]
                if found:
                    break
        if not found:
            for stage, rest in _unprefixed(key, _EVERY_SINK):
                found = found or self._by_name(rest, stage, chain, columns)
        return tuple({(m.canonical, m.sign): m for m in reversed(found)}.values())[::-1]

    def _meanings(self, key: str, stage: str, chain: tuple[str, ...], columns: Collection[str]) -> list[Match]:
        return self._lookup(key, chain, columns) or self._by_name(key, stage, chain, columns)

    def _lookup(self, key: str, chain: Iterable[str], columns: Collection[str]) -> list[Match]:
        found = []
        exact = self._exact.get(key, {})
        for dialect in chain:
            hits = [(use[0].name, use) for use in exact.get(dialect, ())]
            if not hits and key.startswith(self._heads):
                tried = ((p.fullmatch(key), u) for head, p, u in self._patterns[dialect] if key.startswith(head))
                hits = [(_filled(use[0].name, hit), use) for hit, use in tried if hit][:1]
            for name, use in hits:
                if self._counts(use[1], dialect, columns):
                    found.append(self._match(name, use, dialect))
        return found

    def _counts(self, alias: Alias, dialect: str, columns: Collection[str]) -> bool:
        """Whether the company the alias needs is there, and none that it must not have."""
        if alias.when and not _beside(alias.when, columns):
            return False
        if alias.unless and _beside(alias.unless, columns):
            return False
        return not (alias.within and dialect == "generic") or self.has_company(columns)

    def _match(self, name: str, use: _Use, dialect: str) -> Match:
        metric, alias, rank = use
        return Match(
            canonical=self.staged(name, alias.phase),
            transform=alias.transform,
            estimator=alias.est,
            note=alias.note or metric.note,
            missing=alias.missing,
            dialect=dialect,
            rank=rank,
            sign=alias.sign,
        )

    def _by_name(self, key: str, stage: str, chain: tuple[str, ...], columns: Collection[str]) -> list[Match]:
        name = self.canonical(key)
        if name is None or (chain == ("generic",) and key in self._shared and not self.has_company(columns)):
            return []
        return [Match(canonical=self.staged(name, stage))]

    def _anywhere(self, key: str, columns: Collection[str]) -> tuple[Match, ...]:
        everywhere = [(d, self._lookup(key, (d,), columns)) for d in self.dialects]
        return _agreed([[m] for d, found in everywhere for m in found if not self._only_within(key, d)])

    def _only_within(self, key: str, dialect: str) -> bool:
        exact = self._exact.get(key, {}).get(dialect)
        if exact:
            return all(alias.within for _, alias, _ in exact)
        return all(use[1].within for _, p, use in self._patterns[dialect] if p.fullmatch(key))

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


def _loose(found: Iterable[Match]) -> tuple[Match, ...]:
    """The matches as those of a home-made name, behind the names that the log's own trainer gives; a metric's own name
    stays what it is."""
    return tuple(m if m.dialect is None else replace(m, sure=False, rank=m.rank % _LOOSE + _LOOSE) for m in found)


def _beside(patterns: Iterable[str], columns: Collection[str]) -> bool:
    return any(fnmatchcase(column, pattern) for pattern in patterns for column in columns)


def _prefixes(dialects: Iterable[Dialect]) -> tuple[_Prefix, ...]:
    """The prefixes of the dialects' sinks, the longest first."""
    found = [
        (stage, prefix, put)
        for d in dialects
        for stage, sink in (("train", d.train), ("eval", d.eval), ("test", d.test))
        for prefix, put in sink.items()
    ]
    return tuple(sorted(found, key=lambda p: -len(p[1])))


def _unprefixed(key: str, prefixes: Iterable[_Prefix]) -> Iterator[tuple[str, str]]:
    """(stage, key without its prefix) for every prefix it has."""
    for stage, prefix, put in prefixes:
        if key.startswith(prefix) and len(key) > len(prefix):
            yield stage, put + key[len(prefix) :]


_EVERY_SINK = _prefixes([_SINKS])


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
