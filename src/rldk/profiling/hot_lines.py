"""The lines of a program in which it was seen most often, and phases that the names of its functions give away."""

from __future__ import annotations

import linecache
import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from rldk.profiling.facts import HotLine
from rldk.profiling.recorded import StackFile, StackPlace

MOST = 12
LEAST_SHARE = 0.01
START = "start-up"
UNTIMED = ("other", START)
# words in the name of a function -> the phase; the first that matches, the innermost function first
WORDS = (
    (re.compile(r"reward|score|grade|judge|verif", re.I), "reward"),
    (re.compile(r"sync|broadcast|push_weights|update_weights", re.I), "sync"),
    (re.compile(r"rollout|generat|sampl|collect|act(?:ion)?\b|play|explor", re.I), "rollout"),
    (re.compile(r"env.*step|step_env|simulat|physics", re.I), "environment"),
    (re.compile(r"train|update|optimi[sz]|learn|loss|backward|forward|epoch", re.I), "train"),
    (re.compile(r"eval|validat", re.I), "evaluation"),
    (re.compile(r"save|checkpoint", re.I), "checkpoint"),
    (re.compile(r"load|batch|tokeni[sz]|collate|dataset", re.I), "data"),
)


def hot_lines(stacks: StackFile, *, start: bool) -> tuple[HotLine, ...]:
    """The lines, the hottest first. `start`: also those from before the first phase."""
    chosen = [one for one in stacks.places if one.stack and (start or one.phase != "start-up")]
    total = sum(one.count for one in stacks.places if start or one.phase != "start-up")
    lines: Counter[tuple[str, int, str]] = Counter()
    called: dict[tuple[str, int, str], Counter[str]] = {}
    phases: dict[tuple[str, int, str], Counter[str]] = {}
    for one in chosen:
        file, function, line, _ = one.stack[0]
        key = (file, line, function)
        lines[key] += one.count
        called.setdefault(key, Counter())[one.inner] += one.count
        phases.setdefault(key, Counter())[phase_of(one)] += one.count
    return tuple(
        HotLine(
            where=f"{short(key[0])}:{key[1]}",
            function=key[2],
            phase=phases[key].most_common(1)[0][0],
            share=count / total,
            calls=called[key].most_common(1)[0][0],
            text=linecache.getline(key[0], key[1]).strip()[:200],
        )
        for key, count in lines.most_common(MOST)
        if count / total >= LEAST_SHARE
    )


def phase_of(place: StackPlace) -> str:
    """The phase of a place: the timed one, or else what the name of a function on the way says."""
    if place.phase not in UNTIMED:
        return place.phase
    return next(_named(place), place.phase)


def _named(place: StackPlace) -> Iterator[str]:
    for _, function, _, _ in place.stack:
        name = function.rpartition(".")[2]
        found = next((phase for words, phase in WORDS if words.search(name)), None)
        if found is not None:
            yield found


def seen_shares(stacks: StackFile, phase: str) -> dict[str, float]:
    """How the looks at the stack within one timed phase divide into phases by name; they add up to 1.

    Where nothing was timed, all looks are those of the start."""
    counts: Counter[str] = Counter()
    untimed = all(one.phase == START for one in stacks.places)
    for one in stacks.places:
        if one.phase == phase or untimed:
            found = phase_of(one)
            counts[phase if found == START else found] += one.count
    total = sum(counts.values())
    return {name: count / total for name, count in counts.items()} if total else {}


def hottest_function(stacks: StackFile, phase: str) -> tuple[str, float] | None:
    """The user's function, or the line outside of any function, that was seen most often in a phase, in words, with its
    share of the looks in that phase. A call of a package outside of any function is none: it is the whole training."""
    counts: Counter[str] = Counter()
    total = 0
    untimed = all(one.phase == START for one in stacks.places)
    for one in stacks.places:
        found = phase_of(one)
        if ("other" if untimed and found == START else found) != phase:
            continue
        total += one.count
        if not one.stack:
            continue
        file, function, line, first = one.stack[0]
        if function != "<module>":
            counts[f"{function} ({short(file)}:{first})"] += one.count
        elif not one.inner:
            counts[f"{short(file)}:{line}"] += one.count
    if not counts:
        return None
    name, count = counts.most_common(1)[0]
    return name, count / total


def short(file: str) -> str:
    """The path of a file from the current folder, where it is below it."""
    path = Path(file)
    here = Path.cwd()
    return path.relative_to(here).as_posix() if path.is_relative_to(here) else os.fspath(path)
