"""Runs many pieces of work: one after the other, or in processes. Results come in the order of the pieces."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Any, Generic, TypeVar

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


def serial(
    job: Job[Item, Result], items: Sequence[Item], jobs: int = 1, begin: Begin = lambda _: None
) -> Iterator[Result]:
    """Works through the pieces in this process. `begin` is called with each piece as its work starts."""
    del jobs
    if job.prepare is not None:
        job.prepare(*job.given)
    for item in items:
        begin(item)
        yield job.work(item)


def process(
    job: Job[Item, Result], items: Sequence[Item], jobs: int = 1, begin: Begin = lambda _: None
) -> Iterator[Result]:
    """Works through the pieces on `jobs` processes. `begin` is called with each piece when its result is awaited.

    A piece that kills its process costs no other piece its result."""
    left = deque(items)
    waiting: deque[tuple[Item, Future[Result]]] = deque()
    pool = _pool(job, jobs)
    try:
        while left or waiting:
            while left and len(waiting) < AHEAD * jobs:
                item = left.popleft()
                waiting.append((item, _submit(pool, job, item)))
            item, future = waiting.popleft()
            begin(item)
            try:
                result = future.result()
            except BrokenProcessPool:
                pool.shutdown()
                left.extendleft(other for other, _ in reversed(waiting))  # the results of these are lost with the pool
                waiting.clear()
                result = _alone(job, item)
                pool = _pool(job, jobs)
            yield result
    finally:
        pool.shutdown(cancel_futures=True)  # an interrupt does not wait for work that has not begun


def _pool(job: Job[Any, Any], jobs: int) -> ProcessPoolExecutor:
    """A pool of fresh processes, not forks: a progress bar may run in a thread of this process."""
    return ProcessPoolExecutor(jobs, get_context("spawn"), job.prepare, job.given)


def _submit(pool: ProcessPoolExecutor, job: Job[Item, Result], item: Item) -> Future[Result]:
    """Submits a piece. If the pool has just lost a process, the result says so when it is asked for."""
    try:
        return pool.submit(job.work, item)
    except BrokenProcessPool as error:
        broken: Future[Result] = Future()
        broken.set_exception(error)
        return broken


def _alone(job: Job[Item, Result], item: Item) -> Result:
    """The result of a piece in a process that it shares with no other piece."""
    with _pool(job, 1) as pool:
        try:
            return pool.submit(job.work, item).result()
        except BrokenProcessPool:
            return job.lost(item)


EXECUTORS: Mapping[str, Callable[..., Iterator[Any]]] = {"serial": serial, "process": process}


def run_all(
    job: Job[Item, Result], items: Sequence[Item], jobs: int = 1, begin: Begin = lambda _: None
) -> Iterator[Result]:
    """Returns the result of each piece, from the executor that fits the number of jobs."""
    count = min(jobs, len(items))
    executor = EXECUTORS["process" if count > 1 else "serial"]
    return executor(job, items, count, begin)


def processors() -> int:
    """How many processes this one may run at a time."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
