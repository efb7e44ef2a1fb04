from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from rldk.adapters.live.follow import follow
from rldk.adapters.live.reader import Reading
from rldk.monitor.feeds import LOOK_AFTER, LogFeed
from rldk.monitor.unread import why_unread

FIXTURES = Path(__file__).parents[2] / "fixtures"


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("tensorboard/*/events*", "TensorBoard"),
        ("mlflow-sqlite/*.db", "MLflow"),
        ("**/trainer_state.json", "trainer_state"),
        ("sb3-ppo", "name one of its logs: "),
    ],
)
def test_what_cannot_be_followed_says_so_once(name: str, what: str) -> None:
    source = next(iter(sorted(FIXTURES.glob(name))))
    said: list[str] = []
    feed = LogFeed(follow(source), "", Reading(), warn=said.append)
    for _ in range(3 * LOOK_AFTER):
        feed.poll()
    feed.finish()
    assert len(said) == 1
    assert what in said[0]


def test_a_compressed_log_says_so(tmp_path: Path) -> None:
    (tmp_path / "m.jsonl.gz").write_bytes(gzip.compress(b'{"step": 1, "kl": 0.1}\n' * 9))
    assert "is compressed" in why_unread(str(tmp_path / "m.jsonl.gz"))


def test_a_text_may_still_become_a_log(tmp_path: Path) -> None:
    (tmp_path / "out.txt").write_text("loading the model\n")
    assert [why_unread(str(tmp_path / name)) for name in ("out.txt", "later.jsonl")] == ["", ""]


def test_a_text_that_never_was_a_log_is_told_at_the_end(tmp_path: Path) -> None:
    (tmp_path / "out.txt").write_text("loading the model\n")
    said: list[str] = []
    LogFeed(follow(tmp_path / "out.txt"), "", Reading(), warn=said.append).finish()
    assert "18 bytes in no log format" in said[0]
