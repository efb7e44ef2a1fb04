"""Runs many pieces of work: one after the other, or in processes. Results come in the order of the pieces."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Any, Generic, Self, TypeVar

from msgspec import Struct

Item = TypeVar("Item")
Result = TypeVar("Result")
# pieces handed out for each process. Results wait for nobody, and memory does not grow with the number of pieces
AHEAD = 4


class Job(Struct, Generic[Item, Result], frozen=True, kw_only=True):
    """What to do with each piece. `work` and `prepare` are functions of a module, because a process looks them up by
    name.

    `prepare` is called once with `given` in each process before any work. `lost` makes the result of a piece whose
    process died twice, the second time while it ran alone."""

    work: Callable[[Item], Result]
    lost: Callable[[Item], Result]
    prepare: Callable[..., None] | None = None
    given: tuple[Any, ...] = ()


Begin = Callable[[Any], None]


class Processes:
    """Processes for one job or for several jobs with the same preparation. They start when the first piece is handed
    out, and stay until `close`."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def submit(self, job: Job[Item, Result], item: Item) -> Future[Result]:
        """Hands out a piece. If a process has just been lost, the result says so when it is asked for."""
        if self._pool is None:
            self._pool = _pool(job, self.count)
        try:
            return self._pool.submit(job.work, item)
        except BrokenProcessPool as error:
            broken: Future[Result] = Future()
            broken.set_exception(error)
            return broken

    def close(self) -> None:
        """Ends the processes. Work that has not begun is not waited for. Others start with the next piece."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None


def serial(job: Job[Item, Result], items: Sequence[Item], begin: Begin = lambda _: None) -> Iterator[Result]:
    """Works through the pieces in this process. `begin` is called with each piece as its work starts."""
    if job.prepare is not None:
        job.prepare(*job.given)
    for item in items:
        begin(item)
        yield job.work(item)


def spread(
    job: Job[Item, Result], items: Sequence[Item], processes: Processes, begin: Begin = lambda _: None
) -> Iterator[Result]:
    """Works through the pieces on the processes. `begin` is called with each piece when its result is awaited.

    A piece that kills its process costs no other piece its result."""
    left = deque(items)
    waiting: deque[tuple[Item, Future[Result]]] = deque()
    while left or waiting:
        while left and len(waiting) < AHEAD * processes.count:
            item = left.popleft()
            waiting.append((item, processes.submit(job, item)))
        item, future = waiting.popleft()
        begin(item)
        try:
            result = future.result()
        except BrokenProcessPool:
            processes.close()
            left.extendleft(other for other, _ in reversed(waiting))  # the results of these are lost with the pool
            waiting.clear()
            result = _alone(job, item)
        yield result


def _pool(job: Job[Any, Any], jobs: int) -> ProcessPoolExecutor:
    """A pool of fresh processes, not forks: a progress bar may run in a thread of this process."""
    return ProcessPoolExecutor(jobs, get_context("spawn"), job.prepare, job.given)


def _alone(job: Job[Item, Result], item: Item) -> Result:
    """The result of a piece in a process that it shares with no other piece."""
    with _pool(job, 1) as pool:
        try:
            return pool.submit(job.work, item).result()
        except BrokenProcessPool:
            return job.lost(item)


def run_all(
    job: Job[Item, Result], items: Sequence[Item], jobs: int | Processes = 1, begin: Begin = lambda _: None
) -> Iterator[Result]:
    """Returns the result of each piece: worked out here where one process would do all, else on several.

    `jobs`: the number of processes, or processes that several jobs share."""
    if isinstance(jobs, Processes):
        yield from spread(job, items, jobs, begin) if min(jobs.count, len(items)) > 1 else serial(job, items, begin)
        return
    with Processes(min(jobs, len(items))) as own:
        yield from run_all(job, items, own, begin)


def processors() -> int:
    """How many processes this one may run at a time."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
