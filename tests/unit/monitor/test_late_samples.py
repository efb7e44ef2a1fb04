"""Samples of other ranks that come after the row of their step: the row waits for them, and not for ever."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rldk.core.table import Row
from rldk.diagnosis import diagnose
from rldk.engine.actions.dispatch import Dispatcher
from rldk.monitor.delivery import Delivery, Places
from rldk.monitor.late_samples import LONGEST_S, MOST, LateSamples
from rldk.monitor.sample_feed import SampleFeed
from rldk.monitor.session import RunSession
from rldk.monitor.state import MonitorState
from rldk.monitor.summary import SourceStats
from rldk.monitor.watch import Watch
from rldk.rules.chosen import chosen_rules
from rldk.rules.rule import Context

STEPS, ONSET, SIZE = 12, 6, 4


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Folder:
    """The files of a training of two ranks, each with one half of every group."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self.path = path
        self.clock = clock
        self.feed = SampleFeed(path / "r_events.jsonl", clock=clock)
        self.late = LateSamples(clock)

    def write(self, step: int, rank: int) -> None:
        other = rank if step >= ONSET else 0  # from then on a group has two prompts, which only both ranks show
        records = [
            {
                "step": step,
                "rank": rank,
                "group_id": group,
                "prompt": f"{step}.{group}.{other}",
                "response": f"{step} {group} {rank} {i}",
            }
            for group in range(6)
            for i in range(SIZE // 2)
        ]
        name = "samples-r.jsonl" if rank == 0 else f"samples-r.rank{rank}.jsonl"
        with (self.path / name).open("a") as stream:
            stream.writelines(json.dumps(record) + "\n" for record in records)

    def row(self, step: int) -> None:
        with (self.path / "r_events.jsonl").open("a") as stream:
            stream.write(json.dumps({"step": step, "wall_time": float(step), "metrics": {"loss": 0.5}}) + "\n")

    def pass_on(self, *steps: int, last: bool = False) -> list[int]:
        self.clock.now += 0.6  # the feed looks for new files
        self.feed.poll()
        return [row.step for row in self.late.pass_on([_row(step) for step in steps], self.feed, last=last)]


def _row(step: int) -> Row:
    return Row(step=step, values={"loss": 0.5})


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    made = Folder(tmp_path, Clock())
    for rank in (0, 1):
        made.write(1, rank)
    assert made.pass_on(1) == [1]
    made.feed.until(1)
    return made


def test_a_row_waits_for_the_samples_of_every_rank(folder: Folder) -> None:
    folder.write(2, 0)
    assert folder.pass_on(2) == []
    assert folder.pass_on(3) == []
    folder.write(2, 1)
    assert folder.pass_on() == [2, 3]
    assert len(folder.feed.until(2)) == 6 * SIZE


def test_a_rank_that_does_not_come_is_given_up_until_it_has_caught_up(folder: Folder) -> None:
    folder.write(2, 0)
    assert folder.pass_on(2) == []
    folder.clock.now += LONGEST_S
    assert folder.pass_on(3) == [2, 3]
    folder.write(4, 0)
    assert folder.pass_on(4) == [4]
    folder.feed.until(4)
    for rank in (0, 1):
        folder.write(5, rank)
    assert folder.pass_on(5) == [5]
    folder.feed.until(5)
    folder.write(6, 0)
    assert folder.pass_on(6) == []


def test_no_more_rows_wait_than_there_is_room_for_and_none_at_the_end(folder: Folder) -> None:
    folder.write(2, 0)
    assert folder.pass_on(*range(2, MOST + 1)) == []
    assert len(folder.pass_on(MOST + 1, MOST + 2)) == MOST + 1
    folder.late.clear()
    assert folder.pass_on(2) == []
    assert folder.pass_on(last=True) == [2]


def test_a_row_of_an_evaluation_waits_for_nothing(folder: Folder) -> None:
    folder.write(2, 0)
    folder.feed.poll()
    assert folder.late.pass_on([Row(step=2, values={"loss": 0.5}, phase="eval")], folder.feed)


def test_a_step_that_no_rank_sampled_is_not_waited_for(folder: Folder) -> None:
    folder.write(2, 0)
    folder.write(2, 1)
    assert folder.pass_on(2, 3, 4) == [2, 3, 4]


def test_what_is_found_live_does_not_depend_on_which_rank_was_quicker(tmp_path: Path) -> None:
    clock = Clock()
    folder = Folder(tmp_path, clock)
    rules = chosen_rules(select=["ADV003", "ADV015"])
    (tmp_path / "run.json").write_text(json.dumps({"config": {"num_generations": SIZE}}))
    session = RunSession(rules, Context(config={"num_generations": SIZE}))
    begun: list[tuple[str, int]] = []

    def look(*steps: int, last: bool = False) -> None:
        clock.now += 0.6
        folder.feed.poll()
        rows = folder.late.pass_on([_row(step) for step in steps], folder.feed, last=last)
        begun.extend((a.rule, a.step) for a in session.feed(rows, folder.feed) if a.event == "begin")

    for step in range(1, STEPS + 1):
        folder.write(step, 0)
        folder.row(step)
        look(*([step] if step > 1 else []))
        folder.write(step, 1)  # after the row
        look(*([1] if step == 1 else []))
    look(last=True)
    begun += [(a.rule, a.step) for a in session.end_samples(folder.feed) if a.event == "begin"]
    found = [f for f in diagnose(tmp_path).findings if f.code in {"ADV003", "ADV015"}]
    assert ("ADV003", ONSET) in begun
    assert sorted(begun) == sorted((f.code, f.first_step) for f in found)


class Sampled:
    """A feed that has its rows at once, and samples beside them."""

    run = source = identity = ""
    restarted = busy = ended = False
    context = Context()
    position = 0

    def __init__(self, samples: SampleFeed, rows: list[Row]) -> None:
        self.samples = samples
        self._rows = rows

    def poll(self) -> list[Row]:
        found, self._rows = self._rows, []
        return found

    def peek(self) -> list[Row]:
        return []

    finish = peek

    def stats(self) -> SourceStats:
        raise NotImplementedError


def test_the_monitor_gives_the_row_when_the_samples_are_there(folder: Folder) -> None:
    folder.write(2, 0)
    feed = Sampled(folder.feed, [_row(2)])
    state = MonitorState()
    delivery = Delivery(Places(), state, Dispatcher({}), show=lambda *_: None, warn=pytest.fail)
    watched = Watch([feed], (), delivery, state, clock=folder.clock)
    seen: list[int] = []

    def wait(seconds: float) -> str | None:
        folder.clock.now += 0.6
        seen.append(sum(session.rows for session in watched.sessions()))
        if len(seen) == 2:
            folder.write(2, 1)
        return "enough" if len(seen) == 6 else None

    watched.run(wait)
    assert seen[0] == 0
    assert seen[-1] == 1
