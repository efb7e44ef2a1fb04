from __future__ import annotations

import gzip
from pathlib import Path

from examples import each_of

from rldk.adapters.live.follow import follow
from rldk.adapters.live.reader import ReadOptions
from rldk.monitor.feeds import LogFeed
from rldk.monitor.unread import waiting, why_unread

FIXTURES = Path(__file__).parents[2] / "fixtures"


def test_what_no_format_reads_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "m.gz").write_bytes(gzip.compress(b"loading the model\n" * 9))
    (tmp_path / "model.bin").write_bytes(bytes(range(256)) * 9)
    assert "unpack it" in why_unread(str(tmp_path / "m.gz"))
    assert "is neither text nor" in why_unread(str(tmp_path / "model.bin"))


def test_samples_alone_are_no_log() -> None:
    path = next(FIXTURES.glob("trl-grpo/completions/*.parquet"))
    assert "has no metrics" in why_unread(str(path))


@each_of(
    "pattern",
    ["wandb-offline/*.wandb", "tensorboard/*/events*", "trl-dpo-hot/trainer_state.json", "trl-grpo/trackio/*.db"],
)
def test_a_log_that_is_read_as_a_whole_is_not_said_to_have_no_metrics(pattern: str) -> None:
    path = next(path for root in (FIXTURES, FIXTURES.parent / "folders") for path in sorted(root.glob(pattern)))
    assert why_unread(str(path)) == ""


def test_a_typo_is_shown_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").touch()
    said = waiting(tmp_path / "metric.jsonl")
    assert "metric.jsonl: no such file yet; there is" in said
    assert said.endswith(str(tmp_path / "metrics.jsonl"))


def test_an_empty_folder_is_told_from_one_in_which_nothing_is_a_log(tmp_path: Path) -> None:
    assert waiting(tmp_path) == f"waiting for a log in {tmp_path}: it is empty"
    (tmp_path / "a.txt").touch()
    assert "no file in it is a log yet" in waiting(tmp_path)


def test_a_text_may_still_become_a_log(tmp_path: Path) -> None:
    (tmp_path / "out.txt").write_text("loading the model\n")
    assert [why_unread(str(tmp_path / name)) for name in ("out.txt", "later.jsonl")] == ["", ""]


def test_a_text_that_never_was_a_log_is_told_at_the_end(tmp_path: Path) -> None:
    (tmp_path / "out.txt").write_text("loading the model\n")
    said: list[str] = []
    LogFeed(follow(tmp_path / "out.txt"), "", ReadOptions(), warn=said.append).finish()
    assert "18 bytes in no log format" in said[0]
