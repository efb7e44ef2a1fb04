"""A console line with more numbers than rldk reads of a line: the limit is said, in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from rldk.adapters.open import open_runs
from rldk.adapters.wire.pairs import MAX_PAIRS, MAX_TEXT, refusal_of_width
from rldk.errors import NotALog
from rldk.monitor.unread import why_unread


def metrics(count: int) -> str:
    return " ".join(f"m{i}: {i / 7:.6f}" for i in range(count))


@pytest.mark.parametrize("line", [f"step: 3 {metrics(5_000)}", str({f"m{i}": i / 7 for i in range(5_000)})])
def test_a_text_of_lines_that_are_too_wide_is_refused_with_the_limit(tmp_path: Path, line: str) -> None:
    path = tmp_path / "train.txt"
    path.write_text(3 * f"{line}\n")
    with pytest.raises(NotALog, match=r"one of its lines has [\d,]+ named numbers or more.*256 in 8,192") as caught:
        open_runs(path)
    assert "JSON lines" in caught.value.hint
    assert "named numbers" in why_unread(str(path))


def test_one_line_that_is_too_wide_is_read_to_the_limit_and_the_run_says_so(tmp_path: Path) -> None:
    path = tmp_path / "train.txt"
    wide = {12: metrics(25_000)}
    path.write_text("".join(f"step: {i} loss: {1 / (i + 1):.4f} {wide.get(i, '')}\n" for i in range(30)))
    (run,) = open_runs(path)
    assert len(run.metrics) == 30
    assert "one line is longer than 8,192 characters, and only the beginning was read" in run.meta.notes


def test_only_a_long_line_of_many_numbers_is_too_wide() -> None:
    enough = metrics(2 * MAX_PAIRS).ljust(MAX_TEXT + 1).encode()
    assert refusal_of_width(enough)
    assert not refusal_of_width(metrics(MAX_PAIRS).ljust(MAX_TEXT + 1).encode())
    assert not refusal_of_width(enough[:MAX_TEXT])
    assert not refusal_of_width(b"word " * MAX_TEXT)
