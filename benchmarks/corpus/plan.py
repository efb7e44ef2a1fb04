"""The runs of the corpus, split by seed: see `SPLITS`."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

from benchmarks.corpus import plan_control, plan_lm, plan_trl, plan_wide
from benchmarks.corpus.group import Group
from benchmarks.corpus.label import FAMILIES, KIND, Run

SPLITS = {"tune": 0, "look": 50_000, "last": 100_000, "final": 150_000}
"""The first seed of each. Thresholds are set on `tune`. `look` was judged after every round, and the false alarms of
`last` were mended: neither is fresh any more. `final` is judged once, for the page."""
THIRDS = frozenset({"look", "final"})  # half of the healthy runs, and each fault at one of its times of onset
EARLY = {"trl": 0.8, "sb3": 0.8, "cleanrl": 0.9, "lm": 1.2, "table": 1.0}
"""When time is short: the native logs first, and healthy runs before broken ones."""


def runs() -> list[Run]:
    """All runs, in the order in which they are made."""
    groups: Sequence[Group] = (*plan_trl.GROUPS, *plan_control.GROUPS, *plan_lm.GROUPS)
    made = [run for split in SPLITS for at, group in enumerate(groups) for run in _of(group, split, at)]
    return [*sorted(made, key=lambda run: run.place), *plan_wide.runs()]


def _of(group: Group, split: str, at: int) -> list[Run]:
    rng = random.Random(f"{split}/{at}")
    count = (group.healthy + 1) // 2 if split in THIRDS else group.healthy
    wanted: list[tuple[str, bool]] = []
    for entry in group.faults.split():
        name, times = entry.split(":")
        times = rng.choice(times) if split in THIRDS else times
        wanted += [(name, time == "s") for time in times]
    rng.shuffle(wanted)
    healthy = [_run(group, split, (at, i), "none", False) for i in range(count)]
    faulty = [_run(group, split, (at, 50 + i), *found) for i, found in enumerate(wanted)]
    first = EARLY[group.framework]
    return [
        replace(r, place=first * weight * (i + 0.5) / len(kind))
        for kind, weight in ((healthy, 0.7), (faulty, 1.0))
        for i, r in enumerate(kind)
    ]


def _run(group: Group, split: str, number: tuple[int, int], fault: str, start: bool) -> Run:
    seed = SPLITS[split] + number[0] * 1000 + number[1]
    rng = random.Random(seed)
    args = {"seed": seed, **group.vary(rng)}
    onset = None
    if fault != "none":
        args = group.change(args, fault, start, rng)
        onset = 1 if start else group.onsets(args, rng)
    named = args.pop("dialect", group.framework)
    families = FAMILIES.get(f"{fault}/{KIND[group.algo]}", FAMILIES[fault])
    kind = args.pop("algo_name", group.algo)
    return Run(
        name=f"{split}/{group.framework}-{kind}-{fault}-{seed:05d}",
        module=group.module,
        framework=group.framework,
        dialect=named,
        algo=group.algo,
        args=args,
        fault=fault,
        onset=onset,
        limit_s=group.limit_s,
        tolerated=tuple(f for f in group.tolerated if f not in families),
    )
