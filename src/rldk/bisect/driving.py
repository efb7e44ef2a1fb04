"""The bisection itself: the ends first, then what tells most, until one commit has nearly all the probability."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

from msgspec import Struct

from rldk.bisect.history import SearchSpace
from rldk.bisect.report import BisectResult
from rldk.bisect.round import BisectTask, Request, run_round
from rldk.bisect.search import SURE, CommitSearch, credible_set, separated
from rldk.bisect.state import BisectRun, BisectState
from rldk.cards.words import plural
from rldk.core.model import Note
from rldk.errors import InputError, UsageError

KIND = "bisect"
MAX_RUNS = 300  # of a noisy search
END_RUNS = 8  # times --repeats: so often an end is run before the ends count as not separated
NAMED, LEAST_NAMED = 200, 1e-4  # candidates whose probability is kept


class Effort(Struct, frozen=True, kw_only=True):
    """`repeats`: 1 trusts each run; more: how often each end is run at first. `begin`, `expect`: told of runs."""

    repeats: int
    max_runs: int | None
    begin: Callable[[str], object] | None
    expect: Callable[[int], object] | None

    @property
    def noisy(self) -> bool:
        """Whether outcomes may be wrong."""
        return self.repeats > 1

    @property
    def most(self) -> int:
        """How many runs there may be."""
        return self.max_runs if self.max_runs is not None else MAX_RUNS


class Bisection:
    """One search, with the runs of an interrupted one taken over."""

    def __init__(self, space: SearchSpace, task: BisectTask, state: BisectState, effort: Effort) -> None:
        if effort.repeats < 1 or task.jobs < 1 or effort.most < 2:
            raise UsageError("repeats and jobs are 1 or more, and there are at least 2 runs")
        self.space, self.task, self.state, self.effort = space, task, state, effort
        self.search = CommitSearch(space.contains, noisy=effort.noisy)
        self._place = {name: place for place, name in enumerate(space.names)}
        for run in state.runs:
            self._count(run)

    def run(self) -> None:
        """Runs until the culprit is known, or nothing more can be told. Raises `InputError` where the ends are not good
        and bad, or where outcomes that are trusted contradict each other."""
        if self.effort.expect is not None:
            self.effort.expect(max(2, math.ceil(math.log2(len(self.space.names) + 1)) + 1))
        self._ends()
        while len(self.state.runs) < self.effort.most:
            found = self.search.posterior()
            if not found.any():
                raise InputError(
                    "the outcomes contradict each other: a commit is good although an earlier one is bad",
                    hint="the command is noisy, or the fault came and went: give --repeats 5 and --fresh",
                )
            points = self.search.next_points(self.task.jobs) if found.max() < SURE else []
            if not points:
                return
            self._round([self.space.names[point] for point in points])

    def _ends(self) -> None:
        """Runs both ends until they are known to be good and bad."""
        if not self.effort.noisy:
            for end in ("good", "bad"):
                if not self._of_end(end):
                    self._round([self._name(end)], end)
                self._test_end(end)
            return
        while True:
            good, bad = self._of_end("good"), self._of_end("bad")
            least = min(len(good), len(bad))
            if least >= self.effort.repeats and separated(good, bad):
                return
            if least >= END_RUNS * self.effort.repeats:
                raise InputError(
                    f"the ends cannot be told apart: {self._name('good')[:12]} was bad in {sum(good)} of {len(good)} "
                    f"runs, {self._name('bad')[:12]} in {sum(bad)} of {len(bad)}",
                    hint="look at the condition, or give ends that are further apart",
                )
            for end in ("good", "bad"):
                missing = max(1, self.effort.repeats - len(self._of_end(end)))
                self._round([self._name(end)] * min(missing, self.task.jobs), end)
                self._test_end(end)

    def _test_end(self, end: str) -> None:
        """Raises `InputError` when an end was skipped, or is trusted and is not what it should be."""
        runs = [run for run in self.state.runs if run.end == end]
        where = f"the {end} end, {self._name(end)[:12]},"
        kept = f"its output is in {self.state.home}"
        if runs and runs[-1].word == "skip":
            self.state.drop_last()  # the same command tries it once more
            raise InputError(f"{where} cannot be judged: {runs[-1].reason}", hint=kept)
        if not self.effort.noisy and runs[-1].word != end:
            value = "" if runs[-1].value is None else f" (the value is {runs[-1].value:g})"
            self.state.drop_last()
            hint = f"a noisy command needs --repeats; {kept}"
            raise InputError(f"{where} is {runs[-1].word}{value}: there is nothing to bisect", hint=hint)

    def _name(self, end: str) -> str:
        return self.space.good if end == "good" else self.space.bad

    def _of_end(self, end: str) -> list[bool]:
        """The outcomes of an end, True for bad."""
        return [run.word == "bad" for run in self.state.runs if run.end == end and run.word != "skip"]

    def _round(self, names: list[str], end: str = "") -> None:
        before: dict[str, int] = {}
        for run in self.state.runs:
            before[run.name] = before.get(run.name, 0) + 1
        requests = []
        for number, name in enumerate(names, len(self.state.runs) + 1):
            requests.append(Request(name=name, number=number, repeat=before.get(name, 0), end=end))
            before[name] = before.get(name, 0) + 1
        for run in run_round(self.task, requests, self.effort.begin or (lambda _: None)):
            self.state.add(run)
            self._count(run)

    def _count(self, run: BisectRun) -> None:
        if run.end:
            if run.word != "skip":
                self.search.observe_end(bad_end=run.end == "bad", bad=run.word == "bad")
        elif run.word == "skip":
            self.search.skip(self._place[run.name])
        else:
            self.search.observe(self._place[run.name], bad=run.word == "bad")


def conclude_bisect(bisection: Bisection, asked: dict[str, Any]) -> BisectResult:
    """The report."""
    space, state, search = bisection.space, bisection.state, bisection.search
    found = search.posterior()
    credible = credible_set(found)
    names = [space.names[place] for place in credible]
    culprit = names[0] if len(names) == 1 else None
    noun = "version" if "package" in asked else "commit"
    likely = [int(place) for place in (-found).argsort(kind="stable")[:NAMED] if found[place] >= LEAST_NAMED]
    subjects = {space.names[place]: space.subjects.get(space.names[place], "") for place in likely}
    return BisectResult(
        kind=KIND,
        passed=culprit is not None,
        verdict=_verdict(bisection, names, float(found[credible[0]]), noun),
        checked=tuple(dict.fromkeys(run.name for run in state.runs if run.word != "skip")),
        notes=tuple(_notes(bisection)),
        numbers={
            "candidates": len(space.names),
            "credible": len(names),
            "runs": len(state.runs),
            "runs_from_before": state.earlier,
            "skipped": sum(run.word == "skip" for run in state.runs),
            "probability": round(float(found[credible[0]]), 6),
            "bad_share_without": round(search.rates()[0], 4) if bisection.effort.noisy else None,
            "bad_share_with": round(search.rates()[1], 4) if bisection.effort.noisy else None,
        },
        meta={
            "run": str(asked.get("package") or asked.get("repository")),
            "source": str(asked.get("repository") or asked.get("package")),
            "repository": asked.get("repository"),
            "noun": noun,
            "between": f"{space.good[:12]} (good) and {space.bad[:12]} (bad)",
            "bad_when": asked["bad_when"],
        },
        culprit_sha=culprit,
        iterations=len(state.runs),
        logs_path=str(state.home),
        candidates=tuple(names),
        probabilities={space.names[place]: float(found[place]) for place in likely},
        runs=tuple(state.runs),
        subjects=subjects,
    )


def _verdict(bisection: Bisection, names: list[str], first: float, noun: str) -> str:
    runs = plural(len(bisection.state.runs), "run")
    if len(names) == 1:
        sure = "" if not bisection.effort.noisy else f", with a probability of {first:.1%}"
        subject = bisection.space.subjects.get(names[0], "")
        short = names[0][:12] if len(names[0]) >= 40 else names[0]
        return f"{short} is the first bad {noun}{sure}, after {runs}" + (f": {subject}" if subject else ".")
    if len(bisection.state.runs) >= bisection.effort.most:
        why = f"{runs} are not enough to tell them apart"
    else:
        why = "nothing that can be run tells them apart"
    return f"One of {len(names)} {noun}s is the first bad one: {why}."


def _notes(bisection: Bisection) -> Iterator[Note]:
    state = bisection.state
    if state.earlier:
        text = f"{plural(state.earlier, 'run')} of {len(state.runs)} are from an earlier call; --fresh begins again"
        yield Note(topic="resumed", text=text)
    if bisection.effort.noisy:
        without, with_fault = bisection.search.rates()
        text = (
            f"about {without:.0%} of runs are bad without the fault, and {with_fault:.0%} with it; it is assumed that "
        )
        yield Note(topic="noise", text=text + "these shares are the same for all commits")
    else:
        yield Note(topic="trust", text="each run was trusted; for a command that may be wrong by chance give --repeats")
