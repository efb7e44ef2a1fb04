"""Sorted runs of keys, the spools they stand in, and the search among them."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rldk.core.external.key_search import KeyFilter, KeySearch
from rldk.core.external.scratch import Held, Scratch
from rldk.core.external.sorted_runs import SortedRuns

KEY = st.one_of(st.integers(0, 5), st.integers(0, 2**64 - 1), st.integers(0, 9).map(lambda n: n << 60))
KEYS = st.lists(st.lists(KEY, max_size=12), max_size=6)
SIZES = st.builds(Held, entries=st.integers(1, 20), spool=st.integers(0, 100))


def _arrays(batches: list[list[int]]) -> list[tuple[np.ndarray, np.ndarray]]:
    ends = np.cumsum([0, *map(len, batches)])
    return [
        (np.array(keys, dtype=np.uint64), np.arange(begin, begin + len(keys), dtype=np.uint32))
        for keys, begin in zip(batches, ends.tolist(), strict=False)
    ]


@given(batches=KEYS, held=SIZES)
def test_ranges_hold_each_pair_once_and_each_key_in_one(batches: list[list[int]], held: Held) -> None:
    rows = defaultdict(list)
    counted = np.arange(100) % 2 == 0
    with Scratch(held) as scratch:
        runs = SortedRuns(scratch)
        for keys, own in _arrays(batches):
            runs.add(keys, own)
            for key, row in zip(keys.tolist(), own.tolist(), strict=True):
                rows[key].append(row)
        found = []
        for cells in runs.ranges():
            every, some = runs.distinct(cells), runs.distinct(cells, counted=counted)
            found += list(zip(every.keys.tolist(), every.counts.tolist(), every.firsts.tolist(), strict=True))
            assert some.counts.tolist() == [sum(row % 2 == 0 for row in rows[key]) for key in every.keys.tolist()]
            parted = [
                (k, r) for keys, own in runs.parts(cells) for k, r in zip(keys.tolist(), own.tolist(), strict=True)
            ]
            assert sorted(parted) == [(key, row) for key in every.keys.tolist() for row in rows[key]]
    assert found == [(key, len(rows[key]), rows[key][0]) for key in sorted(rows)]


@given(kept=KEYS, others=KEYS, held=SIZES)
def test_a_key_is_found_when_other_data_holds_it(kept: list[list[int]], others: list[list[int]], held: Held) -> None:
    with Scratch(held) as scratch:
        search = KeySearch(scratch)
        for keys, rows in _arrays(kept):
            search.keep(keys, rows)
        for keys, _ in _arrays(others):
            search.search(keys)
        found = {key: hit for one in search.joined() for key, hit in zip(one.keys.tolist(), one.found, strict=True)}
    wanted = {key for batch in others for key in batch}
    assert found == {key: key in wanted for batch in kept for key in batch}


def test_a_filter_lets_every_kept_key_pass_and_few_others() -> None:
    rng = np.random.default_rng(0)
    kept = np.sort(rng.integers(0, 2**64, 20_000, dtype=np.uint64))
    made = KeyFilter(len(kept))
    made.add(kept[:10_000])
    made.add(kept[10_000:])
    assert made.passes(kept).all()
    assert made.passes(rng.integers(0, 2**64, 20_000, dtype=np.uint64)).mean() < 0.03


def test_keys_that_repeat_in_other_data_take_no_more_room_than_the_kept_ones() -> None:
    with Scratch(Held(entries=500, spool=0)) as scratch:
        search = KeySearch(scratch)
        keys = np.arange(1000, dtype=np.uint64) << np.uint64(50)
        search.keep(keys, np.arange(1000, dtype=np.uint32))
        for _ in range(50):
            search.search(keys)
        assert all(one.found.all() for one in search.joined())
        assert scratch.most < 12 * 1000 + 2 * 3 * 8 * 1000


def test_a_spool_gives_back_what_was_written_in_memory_and_on_disk() -> None:
    for size, on_disk in ((10_000, False), (10, True)):
        with Scratch(Held(spool=size)) as scratch:
            spool = scratch.spool()
            places = [spool.write(np.arange(n, dtype=np.uint32)) for n in (3, 0, 5)]
            assert places == [0, 12, 12]
            assert spool.read(12, 5, np.uint32).tolist() == [0, 1, 2, 3, 4]
            assert spool.read(4, 2, np.uint32).tolist() == [1, 2]
            assert (scratch.on_disk() > 0) is on_disk
            spool.clear()
            assert (spool.size, scratch.on_disk(), scratch.most > 0) == (0, 0, on_disk)
            assert spool.write(np.array([7], dtype=np.uint32)) == 0
            assert spool.read(0, 1, np.uint32).tolist() == [7]
