"""Decides which metric each key of a log is: first for the opening, then for each new key. No decision changes later.

A finished log and a growing one ask the same object in the same order, so both get the same names.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from rldk.adapters.naming.first_rows import Opening
from rldk.adapters.naming.guess import proposed_map
from rldk.core.aliases import Match
from rldk.core.table import MAX_METRICS
from rldk.core.vocabulary import vocabulary

# What the metrics say about the algorithm: the first row counts whose `has` are all there and whose `lacks` are not.
_ALGORITHMS: tuple[tuple[str, frozenset[str], frozenset[str]], ...] = (
    ("ppo", frozenset({"value_loss", "clip_frac"}), frozenset()),
    ("ppo", frozenset({"value_explained_variance", "kl_policy_update"}), frozenset()),
    ("ppo", frozenset({"policy_loss", "clip_range"}), frozenset()),
    ("grpo", frozenset({"zero_std_group_frac"}), frozenset({"value_loss"})),
    ("kto", frozenset({"pref_margin", "logp_chosen", "kl"}), frozenset({"pref_accuracy"})),
    ("orpo", frozenset({"odds_ratio_loss"}), frozenset()),
    ("dpo", frozenset({"pref_margin", "logp_chosen"}), frozenset()),
    ("reward_model", frozenset({"pref_accuracy", "loss"}), frozenset({"logp_chosen", "policy_loss"})),
    ("dqn", frozenset({"exploration_rate", "loss"}), frozenset({"policy_loss"})),
    ("sac", frozenset({"entropy_coef", "policy_loss", "value_loss"}), frozenset({"value_explained_variance"})),
    ("a2c", frozenset({"policy_loss", "value_loss", "value_explained_variance"}), frozenset({"clip_frac", "kl"})),
    ("sft", frozenset({"token_accuracy", "loss"}), frozenset({"reward_mean", "pref_margin"})),
)
# The names that a user may give for a framework, and the dialects among which the keys then decide.
PRESETS: dict[str, tuple[str, ...]] = {
    "trl": ("trl_grpo", "trl_rloo", "trl_ppo", "trl_dpo", "trl_kto", "trl_reward", "trl_sft"),
    "grpo": ("trl_grpo", "trl_rloo"),
    "accelerate": ("transformers",),
    "openrlhf": ("openrlhf",),
    "verl": ("verl", "verl_sft"),
    "sb3": ("sb3",),
    "cleanrl": ("cleanrl",),
    "rllib": ("rllib",),
}


class Hints(Struct, frozen=True, kw_only=True):
    """What a format knows about its writer and what the user says: the possible `dialects`, and `field_map` as
    given."""

    framework: str | None = None
    dialect: str | None = None
    algorithm: str | None = None
    dialects: tuple[str, ...] = ()
    field_map: Mapping[str, str] | None = None


class Naming:
    """The names of one log.

    `names`: canonical metric -> the key it is read from ("a + b" for a sum). `estimators`: the estimators of canonical
    metrics. `routes`: key -> the matches it is read by; a key without matches keeps its own name, unless that name is
    in `names`. `sums`: metric -> the metrics it is the sum of. `staged`: metric -> its name on evaluation rows; None
    when that name has its own key, and values under the training name are dropped. `clocks`: the keys that the user
    named for "step" and "wall_time". `guess`: the guessed map when no key has a known name. `valued`: whether more rows
    with the same keys may lead to other names.
    """

    def __init__(self, opening: Opening, hints: Hints) -> None:
        words = self._words = vocabulary()
        self.names: dict[str, str] = {}
        self.estimators: dict[str, str] = {}
        self.routes: dict[str, tuple[Match, ...]] = {}
        self.sums: dict[str, tuple[str, ...]] = {}
        self.staged: dict[str, str | None] = {}
        self.guess: dict[str, str] = {}
        self._opening = opening
        self.valued = False
        self._user = dict(hints.field_map or {})
        self._swapped = {name: key for key, name in self._user.items()}
        self._seen: set[str] = set(opening.cover)
        self._evaluated: set[str] = set()
        self._spoken: set[str] = set()  # metrics that evaluation rows have given
        dialect = hints.dialect if hints.dialect in words.dialects else None
        self.dialects = (dialect,) if dialect else words.guess(opening.keys, hints.dialects)
        self.clocks = {
            name: key for key, name in reversed(self.user_metrics().items()) if name in ("step", "wall_time")
        }
        self._place(opening.cover)
        for row in opening.rows:
            if row.phase == "eval":
                self._stage(row.values)
        told = words.dialects[dialect].framework if dialect else hints.framework
        self.framework = told or hints.framework or _only(words.dialects[d].framework for d in self.dialects)
        spoken = _only(words.dialects[d].algorithm for d in self.dialects)
        self.algorithm = hints.algorithm or spoken or infer_algorithm(self.names)

    def meet(self, keys: Iterable[str], *, evaluation: bool) -> None:
        """Adds the keys of the next row, some of which may be new. Beyond `MAX_METRICS`, new keys and their values are
        left out."""
        new = [key for key in keys if key not in self._seen][: max(0, MAX_METRICS - len(self._seen))]
        if new:
            self._seen.update(new)
            self._place(dict.fromkeys(new, 1))
        if evaluation:
            self._stage(keys)

    def knows(self, keys: Collection[str], *, evaluation: bool) -> bool:
        """Whether `meet` would change nothing."""
        return self._seen.issuperset(keys) and (not evaluation or self._evaluated.issuperset(keys))

    def own(self, key: str) -> bool:
        """Whether the key is shown under its own name beside the canonical metrics."""
        return self.routes.get(key) == () and key not in self.names

    def unused_entries(self) -> tuple[str, ...]:
        """The entries of the user's map whose key the log does not have."""
        return tuple(key for key, name in self._user.items() if not {key, name} & self._seen)

    def user_metrics(self) -> dict[str, str]:
        """The user's map as {key of the log: metric}; users write it in both directions."""
        keys = sorted(self._seen) if self._user else ()
        return {key: name for key in keys if (name := self._named(key)) is not None}

    def _named(self, key: str) -> str | None:
        """The metric that the user assigned to this key."""
        name = self._user.get(key)
        other = self._swapped.get(key)
        if name is None and other is not None and other not in self._seen:
            name = other
        return name if name is None else self._words.canonical(name) or name

    def _place(self, cover: Mapping[str, int]) -> None:
        """Gives each new key its metrics. When several keys mean one metric, the first in metrics.yaml wins that covers
        at least half as many rows as the best one. A metric keeps its key, and rows are never mixed."""
        found: dict[str, list[tuple[str, Match]]] = {}
        chosen: dict[str, list[Match]] = {}
        for key in sorted(cover):
            for match in self._matches(key):
                found.setdefault(match.canonical, []).append((key, match))
        for name, pairs in found.items():
            if name in self.names or self.routes.get(name) == ():
                continue  # it has its key, or a key of the user's own is shown under this name already
            enough = max(cover[key] for key, _ in pairs) / 2
            pairs.sort(key=lambda pair: pair[1].rank)
            key, match = next(p for p in pairs if p[1].rank < 0 or cover[p[0]] >= enough)
            chosen.setdefault(key, []).append(match)
            self._name(name, key, match.estimator)
        self.routes |= {key: tuple(chosen.get(key, ())) for key in cover}
        for name, metric in self._words.metrics.items():
            if metric.sum_of and name not in self.names and all(part in self.names for part in metric.sum_of):
                self.sums[name] = metric.sum_of
                self._name(name, " + ".join(self.names[part] for part in metric.sum_of), "")

    def _matches(self, key: str) -> Iterable[Match]:
        matches = self._words.among(key, self.dialects, self._seen)
        name = self._named(key)
        if name is None:
            return [match for match in matches if match.canonical != "step" and self._believed(key, match)]
        if name == "step":
            return []
        known = next((match for match in matches if match.canonical == name), Match(canonical=name))
        return [replace(known, rank=-1)]

    def _believed(self, key: str, match: Match) -> bool:
        """Whether the values under a home-made name may be that metric. A key that comes late has no known values."""
        if match.sure and not match.sign:
            return True
        self.valued = True
        span = self._opening.span(key)
        if span is None:
            return not match.sign
        signed = not match.sign or (span.first > 0) == (match.sign == "+")
        low, high = sorted((match.apply(span.low), match.apply(span.high)))
        return signed and self._words.admits(match.canonical, low, high)

    def _name(self, name: str, key: str, estimator: str) -> None:
        self.names[name] = key
        if estimator:
            self.estimators[name] = estimator

    def _stage(self, keys: Iterable[str]) -> None:
        """Assigns values that evaluation rows give under a training name to the evaluation's own name; counters
        stay."""
        told = [match.canonical for key in sorted(keys) for match in self.routes.get(key, ())]
        self._evaluated.update(self._seen.intersection(keys))
        self._spoken.update(told)
        sums = [name for name, parts in self.sums.items() if self._spoken.issuperset(parts)]
        for name in (*told, *sums):
            known = self._words.canonical(name)
            counter = known is not None and self._words.metric(known).direction == "counter"
            if name in self.staged or counter or name.startswith(("eval_", "test_")):
                continue
            other = self._words.stage_name(name, "eval")
            free = other not in self.names and other not in self.routes
            self.staged[name] = other if free else None
            if free:
                self.names[other] = self.names[name]
            if name in self.estimators:
                self.estimators.setdefault(other, self.estimators[name])


def infer_algorithm(metrics: Iterable[str]) -> str | None:
    """The algorithm that logs these canonical metrics; None when several algorithms could."""
    present = frozenset(metrics)
    return next((name for name, has, lacks in _ALGORITHMS if has <= present and not lacks & present), None)


def decide_naming(opening: Opening, hints: Hints, *, propose: bool = False) -> Naming:
    """The naming that an opening decides. `propose`: when no key has a known name, take the names that mean a metric in
    other words. A name that only looks like a metric is not enough to judge a run."""
    naming = Naming(opening, hints)
    if not propose or naming.names or hints.field_map:
        return naming
    guess = proposed_map(opening, close=False)
    naming = Naming(opening, replace(hints, field_map=guess))
    naming.guess = guess
    naming.valued = True
    return naming


def says_metric(columns: Collection[str]) -> bool:
    """Whether one of these columns names a metric, directly or in other words."""
    return bool(Naming(Opening.of(columns), Hints()).names or proposed_map(Opening.of(columns), close=False))


def guess_metrics(opening: Opening, given: Mapping[str, str]) -> dict[str, str]:
    """A map {key: metric} for keys that name a metric in other words. It leaves out metrics that have a key already,
    and keys that the user mapped."""
    named = Naming(opening, Hints(field_map=given)).names
    known = {*named.values(), *given, *given.values()}
    sure = proposed_map(opening, close=False)
    return {key: name for key, name in sure.items() if key not in known and name not in named}


def clock_label(clock: str) -> str:
    """The name of the clock for `RunMeta`; "" for a column called step."""
    return "" if clock.lower() == "step" else clock


def _only(values: Iterable[str | None]) -> str | None:
    distinct = set(values)
    return distinct.pop() if len(distinct) == 1 else None
