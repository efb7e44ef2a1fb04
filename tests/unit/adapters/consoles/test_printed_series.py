"""Rows of a pandas table as `print(row)` shows them; values of our own."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from examples import each_of

from rldk.adapters.live.reader import LiveReader
from rldk.adapters.open import open_run
from rldk.core.table import Row
from rldk.engine.scan import rule_columns
from rldk.errors import NotALog

ROW = "step           {i}.0000\nloss           0.{i}512\nmean_reward    1.5000\nlr               NaN\n"
ROW += "Name: {i}, dtype: float64\n"
TEXT = "starting up\n" + "".join(ROW.replace("{i}", str(i)) for i in range(3, 8))
DESCRIBED = "count    9.000000\nmean     0.500000\nstd      0.100000\nName: reward, dtype: float64\n"


def shown(rows: Iterable[Row]) -> list[tuple[int, str]]:
    return [(row.step, repr(sorted(row.values.items()))) for row in rows]


def test_each_series_is_a_row(tmp_path: Path) -> None:
    (tmp_path / "out.log").write_text(TEXT)
    run = open_run(tmp_path / "out.log")
    assert (run.meta.format, run.metrics.step.tolist()) == ("series-console", [3, 4, 5, 6, 7])
    assert run.metrics.columns["loss"].tolist() == [0.3512, 0.4512, 0.5512, 0.6512, 0.7512]


def test_without_a_count_the_name_of_the_row_is_the_step(tmp_path: Path) -> None:
    (tmp_path / "out.log").write_text("\n".join(line for line in TEXT.splitlines() if "step" not in line) + "\n")
    assert open_run(tmp_path / "out.log").metrics.step.tolist() == [3, 4, 5, 6, 7]


@each_of("cut", range(0, 90, 7))
@each_of("size", [1, 50])
def test_a_text_that_grows_is_read_as_the_finished_one(tmp_path: Path, cut: int, size: int) -> None:
    text = TEXT[: len(TEXT) - cut]
    (tmp_path / "out.log").write_text(text)
    reader, data = LiveReader(), text.encode()
    rows = [row for i in range(0, len(data), size) for row in reader.feed(data[i : i + size])] + reader.finish()
    told = rule_columns(open_run(tmp_path / "out.log")).rows()
    assert shown(rows) == shown(told)


@pytest.mark.parametrize(
    "text",
    [
        DESCRIBED * 3,
        "         reward      loss\ncount  9.000000  9.000000\nmean   0.500000  0.200000\nstd    0.100000  0.010000\n",
        ROW.replace("{i}", "3").replace("mean_reward", "temperature").replace("loss", "wind") * 4,
    ],
)
def test_a_summary_or_another_table_is_no_log(tmp_path: Path, text: str) -> None:
    (tmp_path / "out.log").write_text(text)
    with pytest.raises(NotALog):
        open_run(tmp_path / "out.log")
