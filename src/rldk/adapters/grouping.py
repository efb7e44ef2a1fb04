"""Decides which sources are the same run: a directory with one log of the best format is one run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from msgspec import Struct, field

from rldk.adapters.explore import GENERIC, Source

WHOLE = 70  # a format below this quality (and above the generic ones) holds only what a terminal showed


class Group(Struct):
    """The sources of one run, in order of quality. `alone`: whether no other run has the same directory."""

    sources: list[Source] = field(default_factory=list)
    alone: bool = False

    @property
    def best(self) -> Source:
        return self.sources[0]

    @property
    def home(self) -> Path:
        """The deepest directory that holds every source."""
        homes = [s.home for s in self.sources]
        shared = homes[0]
        while not all(h.is_relative_to(shared) for h in homes):
            shared = shared.parent
        return shared


def group(sources: Iterable[Source], root: Path) -> tuple[list[Group], list[Source]]:
    """The runs below `root` in the order of their paths, and the sources that belong to no single run."""
    spare: list[Source] = []
    runs = _below(sorted(sources, key=lambda s: (str(s.home), s.files, s.run or "")), root, spare)
    return sorted(runs, key=lambda g: (str(g.home), str(g.best.files[0]), g.best.run or "")), spare


def _below(sources: Sequence[Source], folder: Path, spare: list[Source]) -> list[Group]:
    own = [s for s in sources if s.home == folder]
    children: dict[str, list[Source]] = {}
    for source in sources:
        if source.home != folder:
            children.setdefault(source.home.relative_to(folder).parts[0], []).append(source)
    runs = [run for name, inner in children.items() for run in _below(inner, folder / name, spare)]
    if not own:
        return _twins(runs)
    if not runs:
        return _side_by_side(own, spare)
    inner = [s for run in runs for s in run.sources]
    if _one_run(own, runs):
        return _side_by_side([*own, *inner], spare)
    partial = [s for s in own if GENERIC < s.adapter.quality < WHOLE]
    solid = [s for s in own if s not in partial]
    spare += partial
    return [*(_side_by_side(solid, spare) if solid else []), *runs]


def _one_run(own: Sequence[Source], runs: Sequence[Group]) -> bool:
    """Whether the runs further down are parts of the run in this directory."""
    inner = [s for run in runs for s in run.sources]
    if len({s.family for s in (*own, *inner)} - {None}) > 1:
        return False
    if len(runs) == 1 or _disjoint(runs):
        return True
    best = max(own, key=lambda s: s.rank)
    alone = sum(s.adapter is best.adapter for s in own) == 1
    return alone and best.adapter.quality > max(s.adapter.quality for s in inner)


def _disjoint(runs: Sequence[Group]) -> bool:
    """Whether no format occurs in two of them; then they are the same run written twice, not two runs."""
    formats = [s.adapter.name for run in runs for s in run.sources]
    return len(set(formats)) == len(formats)


def _twins(runs: list[Group]) -> list[Group]:
    """Merges runs with the same name in sibling trees (`proj/a.jsonl`, `tensorboard_log/proj/a/`)."""
    made: dict[str, Group] = {}
    for number, run in enumerate(runs):
        name = run.home.name if len(run.best.files) > 1 or run.best.adapter.gathers else run.best.stem
        other = made.get(name)
        families = {s.family for s in (*run.sources, *(other.sources if other else ()))} - {None}
        if other is not None and other.home != run.home and _disjoint([other, run]) and len(families) == 1:
            other.sources = _ranked([*other.sources, *run.sources])
        else:
            made[name if other is None else f"{name}/{number}"] = run
    return list(made.values())


def _side_by_side(sources: Sequence[Source], spare: list[Source]) -> list[Group]:
    """The runs among the sources of one directory."""
    families = {s.family for s in sources} - {None}
    if len(families) > 1:
        named = [[s for s in sources if s.family == family] for family in sorted(f for f in families if f)]
        nameless = [s for s in sources if s.family is None]
        return [run for part in (*named, nameless) if part for run in _side_by_side(part, spare)]
    ranked = _ranked(sources)
    best = ranked[0]
    if best.adapter.quality <= GENERIC:
        return _by_stem(ranked)
    heads = [s for s in ranked if s.adapter is best.adapter]
    runs = [Group(sources=[head]) for head in heads]
    for other in (s for s in ranked if s.adapter is not best.adapter):
        target = runs[0] if len(runs) == 1 else next((r for r in runs if r.best.stem == other.stem), None)
        if target is None:
            spare.append(other)
        else:
            target.sources.append(other)
    return runs


def _by_stem(sources: Sequence[Source]) -> list[Group]:
    """Makes a run of each generic file, or of those that share a name; samples join the run if there is only one."""
    metrics = [s for s in sources if not s.adapter.samples_only]
    runs: dict[tuple[str, str | None], Group] = {}
    for source in metrics or sources:
        runs.setdefault((source.stem, source.run), Group()).sources.append(source)
    rest = [s for s in sources if metrics and s.adapter.samples_only]
    for run in list(runs.values())[:1] if len(runs) == 1 else ():
        run.sources += rest
    return list(runs.values())


def _ranked(sources: Iterable[Source]) -> list[Source]:
    return sorted(sources, key=lambda s: (s.adapter.samples_only, *(-int(r) for r in s.rank), s.files))
