"""Plain rows of a CSV file are read many at once; the rows and the refusals are those of each row alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from rldk.adapters.formats.tabular import Csv, WholeTable
from rldk.adapters.reading import Sink
from rldk.adapters.wire import delimited
from rldk.adapters.wire.delimited import PlainRecords
from rldk.core.lines import MAX_LINE
from rldk.core.model import Rejected
from rldk.core.stream import chunks

COUNTER_ROWS = "".join(f"{i},{i / 7},{'' if i % 3 else i}\n" for i in range(400))


def _read(tmp_path: Path, text: str) -> tuple[list[int], str, int, tuple[Rejected, ...]]:
    path = tmp_path / "progress.csv"
    path.write_text(text)
    log = Csv(path).read()
    columns = {name: column.tolist() for name, column in log.table.columns.items()}
    return log.table.step.tolist(), str(columns), log.lines, log.rejected


ODD = (
    "400,nan,\n",
    "400,,\r\n",
    "400,1,\r\n",
    "400, ,1\n",
    "400,1\r,1\n",
    "400,\t1,\r\r\n",
    "400,0.5\n",
    "\n",
    "step,loss,kl\n",
    "400,0.5,1,2\n",
    " 400 , 1 , 2\n",
    "x,1,2\n",
    ",1,2\n",
    "400,+.5,1\n",
    "400,null,1\n",
    "400,[1],1\n",
    "400,1_0,2\n",
    "400.0,1,2\n",
    "400.5,1,2\n",
    "99999999999999999999,1,2\n",
    "400,1e999,3\n",
    "400,,\n",
    "400,True,1\r\n",
    "400,-0,1\n",
    '"400",1,2\n',
)


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("at", [0, 250, 400])
def test_rows_that_are_read_together_are_those_of_the_rows_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, odd: str, at: int
) -> None:
    lines = COUNTER_ROWS.splitlines(keepends=True)
    text = "step,loss,kl\n" + "".join([*lines[:at], odd, *lines[at:]])
    monkeypatch.setattr(delimited, "chunks", lambda source: chunks(source, 512))
    put, taken = WholeTable._put_block, []

    def noted(table: WholeTable, block: PlainRecords, sink: Sink) -> bool:
        taken.append(put(table, block, sink))
        return taken[-1]

    monkeypatch.setattr(WholeTable, "_put_block", noted)
    together = _read(tmp_path, text)
    assert any(taken)
    monkeypatch.setattr(WholeTable, "_put_block", lambda *_: False)
    assert together == _read(tmp_path, text)


def test_a_line_that_is_too_long_costs_no_other_line(tmp_path: Path) -> None:
    rows = "".join(f"{i},0.5\n" for i in range(120))
    _, _, lines, rejected = _read(tmp_path, f"step,loss\n{rows}120,{'9' * (MAX_LINE + 9)}\n121,0.5\n122,0.5\n")
    assert (lines, [each.reason for each in rejected]) == (123, ["the line is longer than 10 MB"])
