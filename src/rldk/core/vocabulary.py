"""Names: from the key that a log uses to the canonical metric, its unit, range and sign."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from fnmatch import fnmatchcase
from functools import cache, lru_cache

from msgspec.structs import replace

from rldk.core.aliases import Aliases, Match, pattern, prefixes, stage_name, strip_prefixes
from rldk.core.glossary import PLACEHOLDER, Dialect, Glossary, Metric, read_glossary
from rldk.core.spelling import readings
from rldk.core.text import later
from rldk.errors import UnknownName

MAX_KEY = 512  # a longer key is nobody's alias; this bounds the work of the patterns
# Every sink may add these before a canonical name, whatever the dialect.
_SINKS = Dialect(train={"train/": ""}, eval={"eval/": "", "eval_": ""}, test={"test/": "", "test_": ""})
_EVERY_SINK = prefixes([_SINKS])
_FINE = frozenset({"nats", "fraction", "probability", "ratio", "ratio^2", "loss", "1"})  # units of fractional values
# added to the rank of a name that is not one of the log's own trainer, so that the trainer's names come first
_LOOSE = 1000
_PATH = later(r"[/.:|\\>]")


class Vocabulary:
    """The canonical metrics and every spelling of them. Look-ups are cheap; build it through `vocabulary()`."""

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
        self._templates = [(pattern(name), name) for name in self.metrics if PLACEHOLDER.search(name)]
        self.aliases = Aliases(glossary, self.has_company)

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
        """The canonical name. `name` is one, or another name of one, or either of them behind `eval_` or `test_`."""
        if name in self._known:
            return self._known[name]
        if len(name) <= MAX_KEY and any(pattern.fullmatch(name) for pattern, _ in self._templates):
            return name
        for stage in ("eval", "test"):
            if name.startswith(f"{stage}_"):
                base = self.canonical(name.removeprefix(f"{stage}_"))
                return None if base is None else self.stage_name(base, stage)
        return None

    def bounds(self, name: str, *, estimator: str = "", discrete: bool = False) -> tuple[float, float]:
        """The interval that holds every possible value of the metric. An end without a bound is infinite.

        `estimator`: as in `RunMeta.estimators`. `discrete`: actions are known to be discrete."""
        metric = self.metric(name)
        low, high = metric.range if discrete or metric.range_when != "discrete actions" else (None, None)
        lows = [low, *(self.estimators[word].low for word in estimator.split() if word in self.estimators)]
        return max((x for x in lows if x is not None), default=-math.inf), math.inf if high is None else high

    def admits(self, name: str, low: float, high: float) -> bool:
        """Whether all values from `low` to `high` are possible for the metric. Raises `UnknownName`."""
        least, most = self.bounds(name)
        return least <= low and high <= most

    def fits(self, name: str, low: float, high: float, *, whole: bool) -> bool:
        """Whether values from `low` to `high` are usual for the metric, so that a name that only resembles it can be
        proposed.

        `whole`: none of the values has a fraction. Counters are whole; nats, losses, probabilities and ratios are not
        all whole numbers beyond 0 and 1. Raises `UnknownName`."""
        metric = self.metric(name)
        least, most = (x if x is not None else end for x, end in zip(metric.likely, (-math.inf, math.inf), strict=True))
        if not self.admits(name, low, high) or low < least or high > most:
            return False
        if metric.direction == "counter" and metric.unit == "count":
            return whole
        return not (whole and metric.unit in _FINE and high - low > 1)

    def resolve(self, key: str, dialect: str | None = None, columns: Collection[str] = frozenset()) -> Match | None:
        """The meaning of `key` in a log of `dialect` that has `columns`, or None when nothing is sure.

        Without a dialect the columns decide. When several dialects remain and disagree on the metric or the sign, the
        result is None."""
        return next((match for match in self.matches(key, dialect, columns) if not match.sign), None)

    def matches(
        self, key: str, dialect: str | None = None, columns: Collection[str] = frozenset()
    ) -> tuple[Match, ...]:
        """Every metric that `key` carries in this dialect, the likeliest first (SB3's total_timesteps is two)."""
        return self.among(key, self.guess(frozenset(columns)) if dialect is None else (dialect,), columns)

    def among(self, key: str, dialects: Collection[str], columns: Collection[str]) -> tuple[Match, ...]:
        """Every metric that `key` carries in a log of one of these dialects. Without dialects nothing is guessed.

        The spelling as it stands decides. Only when no trainer uses it does its form decide, see
        `spelling.readings`."""
        if len(key) > MAX_KEY or any(key in self.dialects[d].foreign for c in dialects for d in self.aliases.chain(c)):
            return ()
        found = self._spelled(key, dialects, columns)
        return self._reread(key, dialects, columns) if found is None else found

    def _spelled(self, key: str, dialects: Collection[str], columns: Collection[str]) -> tuple[Match, ...] | None:
        """The matches of the exact spelling. None when no dialect has it; empty when the dialects that have it
        disagree."""
        said = [self._matches(key, d, columns) for d in dialects]
        homemade = _loose(self._matches(key, "generic", columns))
        if any(said):
            return _agreed(said) or tuple(match for match in homemade if match.sign)
        if dialects:
            return homemade or None
        direct = (homemade and homemade[0].dialect is None) or self.aliases.lookup(key, ("generic",), columns)
        found = homemade if direct else self._anywhere(key, columns) or homemade
        return found or (() if key in self.aliases else None)

    def _reread(self, key: str, dialects: Collection[str], columns: Collection[str]) -> tuple[Match, ...]:
        for stage, spelled in readings(key):
            names = self._alike(key, spelled)
            said = [found for name in names if (found := self._spelled(name, dialects, columns))]
            if said:
                return _loose(replace(m, canonical=self.stage_name(m.canonical, stage)) for m in _agreed(said))
        return ()

    def _alike(self, key: str, spelled: str) -> list[str]:
        """The names and keys with this form. A key that is a path matches only a name that is written as a path."""
        return [name for name in self._forms.get(spelled, ()) if "/" not in name or _PATH.search(key)]

    def has_company(self, columns: Collection[str]) -> bool:
        """Whether one of the columns is a metric that only policy and preference training have, under a name that is
        clear by itself.

        Beside such a column "score" is a reward; elsewhere it may be anything."""
        return any(self._tells(column) for column in columns)

    @lru_cache(maxsize=4096)  # noqa: B019 - one vocabulary lives as long as the process
    def _tells(self, column: str) -> bool:
        if len(column) > MAX_KEY:
            return False
        names = {name for _, spelled in readings(column) for name in self._alike(column, spelled)}
        known = {self._known[name] for name in names if name in self._known and name not in self._shared}
        uses = [use for name in names for use in self.aliases.uses(name)]
        known |= {metric.name for metric, alias, _ in uses if not (alias.within or alias.when or alias.unless)}
        return any(not self.metrics[name].common for name in known)

    @lru_cache(maxsize=64)  # noqa: B019 - one vocabulary lives as long as the process
    def guess(self, columns: frozenset[str], among: tuple[str, ...] = ()) -> tuple[str, ...]:
        """The dialects that explain most of the columns: one, several that cannot be told apart, or none.

        Canonical names are no evidence, and a single bare word is not enough. `among`: the dialect is surely one of
        these."""
        scores = {d: 0.0 for d in among or self.dialects if d != "generic"}
        for key in columns:
            if len(key) <= MAX_KEY and not self._is_plain(key):
                for dialect in self.aliases.speakers(key, columns) & scores.keys():
                    scores[dialect] += 2.0 if "/" in key else 1.0
        bare = {key.split("/", 1)[1] if key.startswith("train/") else key for key in columns if len(key) <= MAX_KEY}
        owners = {dialect for key in bare for dialect in self.aliases.owners(key, columns)}
        for dialect in scores:
            spec = self.dialects[dialect]
            lacking = any(fnmatchcase(c, pattern) for pattern in spec.lacks for c in bare)
            if lacking or (spec.parents and dialect not in owners):
                scores[dialect] = 0.0
        best = max(scores.values(), default=0.0)
        return tuple(d for d, score in scores.items() if score == best) if among or best >= 2 else ()

    def _is_plain(self, key: str) -> bool:
        """Whether the key is a canonical name, alone or behind the prefix of a sink. Any trainer could have written
        it."""
        return any(rest in self._known for rest in (key, *(rest for _, rest in strip_prefixes(key, _EVERY_SINK))))

    def _matches(self, key: str, dialect: str, columns: Collection[str]) -> tuple[Match, ...]:
        chain = self.aliases.chain(dialect)
        found = self._meanings(key, "train", chain, columns)
        if not found:
            for stage, rest in strip_prefixes(key, self.aliases.sinks(chain)):
                hits = self._meanings(rest, "train", chain, columns)
                found = [replace(m, canonical=self.stage_name(m.canonical, stage)) for m in hits]
                if found:
                    break
        if not found:
            for stage, rest in strip_prefixes(key, _EVERY_SINK):
                found = found or self._by_name(rest, stage, chain, columns)
        return tuple({(m.canonical, m.sign): m for m in reversed(found)}.values())[::-1]

    def _meanings(self, key: str, stage: str, chain: tuple[str, ...], columns: Collection[str]) -> list[Match]:
        return self.aliases.lookup(key, chain, columns) or self._by_name(key, stage, chain, columns)

    def _by_name(self, key: str, stage: str, chain: tuple[str, ...], columns: Collection[str]) -> list[Match]:
        name = self.canonical(key)
        if name is None or (chain == ("generic",) and key in self._shared and not self.has_company(columns)):
            return []
        return [Match(canonical=self.stage_name(name, stage))]

    def _anywhere(self, key: str, columns: Collection[str]) -> tuple[Match, ...]:
        everywhere = [(d, self.aliases.lookup(key, (d,), columns)) for d in self.dialects]
        return _agreed([[m] for d, found in everywhere for m in found if not self.aliases.means_only_in(key, d)])

    def stage_name(self, canonical: str, stage: str) -> str:
        """The name of a metric on rows of the stage."""
        return stage_name(self.metrics, canonical, stage)

    def locate(self, name: str, columns: Collection[str]) -> str:
        """The column a person means by `name`: that very column, or the one of that metric. Raises `UnknownName`."""
        match = self.resolve(name, None, columns)
        for candidate in (name, self.canonical(name), match.canonical if match else None):
            if candidate in columns and candidate is not None:
                return candidate
        raise UnknownName("metric", name, columns)


def _agreed(found: Collection[Iterable[Match]]) -> tuple[Match, ...]:
    """The first matches when all dialects agree on metric and value. The estimator is kept only where all say the
    same."""
    lists = [tuple(matches) for matches in found]
    heads = [matches[0] for matches in lists if matches]
    if len({(m.canonical, m.transform, m.missing) for m in heads}) != 1:
        return ()
    estimator = heads[0].estimator if len({m.estimator for m in heads}) == 1 else ""
    longest = max(lists, key=len)
    return (replace(heads[0], estimator=estimator), *longest[1:])


def _loose(found: Iterable[Match]) -> tuple[Match, ...]:
    """The matches ranked as those of a home-made name, behind the names of the log's own trainer. A metric's own name
    keeps its rank."""
    return tuple(m if m.dialect is None else replace(m, sure=False, rank=m.rank % _LOOSE + _LOOSE) for m in found)


@cache
def vocabulary() -> Vocabulary:
    """The vocabulary shipped with rldk. It is read once."""
    return Vocabulary(read_glossary())
