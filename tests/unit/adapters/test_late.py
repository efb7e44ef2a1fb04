from __future__ import annotations

from pathlib import Path

import pytest

from rldk.adapters.base import adapters
from rldk.adapters.late import condensed, late
from rldk.adapters.open import open_run
from rldk.adapters.source import HEAD_BYTES, File

THOUGHT = "sample {0}: we think step by step about {0} apples and 3 pears, reward 1\n"  # as if it counted steps
PROSE = "sample {0}: of all the fruit in the basket we only ever wanted 3 pears, reward 1\n"
NOISE = "".join((PROSE if i % 5 else THOUGHT).format(i) for i in range(5000))
APART = NOISE[:HEAD_BYTES]
VERL = "".join(f"(main_task pid=3) step:{i} - actor/pg_loss:0.1 - critic/rewards/mean:0.25\n" for i in range(1, 9))
LINES = "".join(f"Episode {i} | Reward: {i}.5 | Loss: 0.5\n" for i in range(9))


@pytest.mark.parametrize(("text", "name"), [(VERL, "verl-console"), (LINES, "line-console")])
def test_metrics_after_any_amount_of_text_are_found(tmp_path: Path, text: str, name: str) -> None:
    (tmp_path / "out.log").write_text(NOISE + text + APART)
    run = open_run(tmp_path / "out.log")
    assert (run.meta.format, len(run.metrics)) == (name, text.count("\n"))


def test_lines_far_from_each_other_are_found(tmp_path: Path) -> None:
    (tmp_path / "out.log").write_text("".join(APART + "\n" + line for line in LINES.splitlines(True)[:5]))
    assert len(open_run(tmp_path / "out.log").metrics) == 5


def test_a_folder_is_searched_as_a_file_is(tmp_path: Path) -> None:
    (tmp_path / "out.log").write_text(NOISE + VERL)
    assert len(open_run(tmp_path).metrics) == 8


@pytest.mark.parametrize("text", [NOISE, "", "ep", NOISE.replace("\n", " "), "step " * 40_000])
def test_text_without_metrics_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "out.log").write_text(text)
    assert late(File(tmp_path / "out.log"), list(adapters)) is None


def test_what_is_kept_of_a_growing_text_is_bounded_and_has_the_metrics() -> None:
    kept = condensed((LINES + NOISE).encode(), list(adapters))
    assert len(kept) < 50_000
    assert kept.startswith(b"Episode 0 | Reward")
