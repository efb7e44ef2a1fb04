"""Ranks that are compared step by step, through the files that they write."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rldk.integrations import ranks
from rldk.integrations.ranks import RankDigests, RankPeers


def event(step: Any, weights: str = "", random: str = "", prompts: str = "") -> dict[str, Any]:
    return {
        "step": step, "model_info": {"weights": weights}, "rng": {"digest": random}, "data_slice": {"prompts": prompts}
    }  # fmt: skip


def write(path: Path, *events: Any) -> None:
    with path.open("a") as stream:
        stream.writelines(json.dumps(one) + "\n" for one in events)


@pytest.fixture
def files(tmp_path: Path) -> dict[int, Path]:
    return {1: tmp_path / "1.jsonl", 2: tmp_path / "2.jsonl"}


def test_the_digests_of_an_event() -> None:
    assert RankDigests.of(event(1, "w" * 65, "r", "p")) == RankDigests(weights="w" * 64, random="r", prompts="p")
    assert RankDigests.of({"model_info": 3, "rng": {"digest": 7}}) == RankDigests()


def test_a_step_is_compared_once_all_have_written_it(files: dict[int, Path]) -> None:
    peers = RankPeers(files)
    for step in (1, 2, 3):
        peers.add(step, RankDigests(weights="a", random="r", prompts="p"))
    assert peers.poll() == {}
    write(files[1], event(1, "a", "r", "p"), event(2, "b", "s", "q"), "text", event("3"), event(3))
    assert peers.poll() == {}
    write(files[2], event(2, "a", "r", "p"))
    assert peers.poll() == {
        "ranks_with_other_weights": 1.0, "ranks_with_same_random_state": 1.0, "ranks_with_same_prompts": 1.0,
    }  # fmt: skip
    assert peers.poll() == {}
    write(files[2], event(1, "b"))
    write(files[1], event(1, "b"))
    assert peers.poll() == {}, "what is older is compared no more"
    for path in files.values():
        write(path, event(3, "b", prompts="p"))
    assert peers.poll() == {"ranks_with_other_weights": 2.0, "ranks_with_same_prompts": 2.0}


def test_a_digest_that_one_rank_lacks_is_not_compared(files: dict[int, Path]) -> None:
    for own, expected in [
        (RankDigests(weights="a"), {}),
        (RankDigests(random="r"), {"ranks_with_same_random_state": 2.0}),
    ]:
        peers = RankPeers(files)
        peers.add(1, own)
        for path in files.values():
            path.unlink(missing_ok=True)
            write(path, event(1, random="r"))
        assert peers.poll() == expected


def test_two_hundred_steps_of_rank_0_are_kept(files: dict[int, Path]) -> None:
    for count, found in [(200, True), (201, False)]:
        peers = RankPeers({1: files[1]})
        files[1].unlink(missing_ok=True)
        peers.add(0, RankDigests())
        for step in range(1, count + 1):
            peers.add(step, RankDigests(weights="a"))
        write(files[1], event(1, "a"))
        assert bool(peers.poll()) is found, count


def test_a_line_is_read_when_it_is_whole_and_a_file_in_pieces(
    files: dict[int, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    peers = RankPeers({1: files[1]})
    peers.add(1, RankDigests(weights="a"))
    line = json.dumps(event(1, "b")) + "\n"
    files[1].write_text(line[:-1])
    assert peers.poll() == {}
    files[1].write_text(line)
    assert peers.poll() == {"ranks_with_other_weights": 1.0}
    monkeypatch.setattr(ranks, "MAX_READ", len(line))
    files[1].write_text("x" * 2 * len(line) + "\n" + line)
    peers = RankPeers({1: files[1]})
    peers.add(1, RankDigests(weights="a"))
    assert [peers.poll() for _ in range(4)] == [{}, {}, {}, {"ranks_with_other_weights": 1.0}]
