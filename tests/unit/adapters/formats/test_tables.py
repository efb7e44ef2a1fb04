"""Tables as people have them: step columns of any name, delimiters, comments, indices, numbers of other countries."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from examples import each_of, every
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rldk.adapters.formats.progress_table import ProgressTable
from rldk.adapters.formats.tabular import Csv
from rldk.adapters.live.reader import LiveReader
from rldk.adapters.open import open_run, open_runs
from rldk.adapters.source import File
from rldk.core.model import COUNTED, Run
from rldk.core.table import Row
from rldk.engine.scan import rule_columns
from rldk.errors import NoData, NotALog

CARS = "% time spent exploring,episodes,RL_Shallow,steps\n97,100,9.6,1152\n95,200,9.7,2326\n92,300,10.6,3586\n"
DDPG = "train/loss_critic,total/duration,total/epochs,rollout/episode_steps,total/steps,rollout/return\n"
DDPG += "".join(f"{9 - i},{i}.5,1,{90 - 7 * (i % 3)},{2000 * i},{-1017.5 + i}\n" for i in range(1, 7))
SPINUP = "Epoch\tAverageEpRet\tEpLen\tTotalEnvInteracts\tLossV\tTime\n"
SPINUP += "".join(f"{i}\t{-70 + i}.25\t190.5\t{4000 * (i + 1)}\t{300 - i}\t{3.2 * i}\n" for i in range(6))


def opened(path: Path, text: str) -> Run:
    path.write_text(text)
    return open_run(path)


@each_of(
    ("text", "clock", "steps"),
    [
        (CARS, "steps", [1152, 2326, 3586]),
        (DDPG, "total/steps", [2000, 4000, 6000]),
        (SPINUP, "TotalEnvInteracts", [4000, 8000, 12000]),
        ("episode,reward,steps\n1,-24.0,27\n2,-15.7,53\n3,27.3,31\n", "episode", [1, 2, 3]),
        ("reward,Epoch\n0.5,Epoch 1\n0.6,Epoch 2\n0.7,Epoch 3\n", "Epoch", [1, 2, 3]),
        ("loss,frame\n0.5,10k\n0.4,20k\n0.3,30k\n", "frame", [10_000, 20_000, 30_000]),
    ],
)
def test_the_column_that_counts_is_the_step_and_is_told(
    tmp_path: Path, text: str, clock: str, steps: list[int]
) -> None:
    run = opened(tmp_path / "progress.csv", text)
    assert (run.meta.clock, run.metrics.step[:3].tolist()) == (clock, steps)


def test_a_counting_column_stays_a_column_of_the_user(tmp_path: Path) -> None:
    assert opened(tmp_path / "t.csv", CARS).metrics.columns["steps"].tolist() == [1152.0, 2326.0, 3586.0]


def test_a_row_without_a_step_stands_at_the_one_before(tmp_path: Path) -> None:
    run = opened(tmp_path / "t.csv", CARS + ",,10.9,")
    assert (run.metrics.step.tolist()[-2:], run.rejected_count) == ([3586, 3586], 0)


def test_rows_are_numbered_only_where_nothing_counts_and_that_is_said(tmp_path: Path) -> None:
    run = opened(tmp_path / "progress.csv", "EpLenMean,EpRewMean\n100.0,-100.0\n100.0,-99.5\n")
    assert (run.meta.format, run.metrics.step.tolist(), run.meta.clock) == ("progress-table", [0, 1], COUNTED)


def test_a_planned_length_behind_the_step(tmp_path: Path) -> None:
    run = opened(tmp_path / "t.csv", "update,loss\n5/400,0.5\n10/400,0.4\n")
    assert (run.metrics.step.tolist(), run.meta.total_steps) == ([5, 10], 400)


def test_a_known_logger_outranks_the_episodes_beside_it(tmp_path: Path) -> None:
    (tmp_path / "progress.csv").write_text(DDPG)
    (tmp_path / "0.monitor.csv").write_text('#{"t_start": 1.0}\nr,l,t\n' + "1.5,3,2.0\n" * 40)
    run = open_run(tmp_path)
    assert (run.meta.format, run.meta.framework, len(run.metrics)) == ("progress-table", "baselines", 6)


def test_one_column_of_a_logger_is_not_enough_to_name_it(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("steps,EpLen,x\n1,2,3\n2,2,3\n")
    assert (ProgressTable.sniff(File(tmp_path / "t.csv")), Csv.sniff(File(tmp_path / "t.csv"))) == (0, 30)


ALIGNED = "    step   loss  reward\n0      1  0.500    1.25\n1      2  0.250     NaN\n2     10 -0.125    1.75\n"


@each_of(
    "text",
    [
        ALIGNED,
        "step loss reward\n1 0.5 1.25\n2   0.25 nan\n10 -0.125 1.75\n",
        "# step loss reward\n1 0.5 1.25\n2 0.25 nan\n10 -0.125 1.75\n",
        "# made by hand\n# twice\nstep,loss,reward\n1,0.5,1.25\n# a break\n2,0.25,nan\n10,-0.125,1.75\n",
        "step;loss;reward\n1;0,5;1,25\n2;0,25;nan\n10;-0,125;1,75\n",
        ',step,loss,reward\n0,1,"0.5",1.25\n1,2,0.25,nan\n2,10,-0.125,"1.75"\n',
    ],
)
def test_a_table_is_read_however_it_is_written(tmp_path: Path, text: str) -> None:
    run = opened(tmp_path / "t.txt", text)
    assert run.metrics.step.tolist() == [1, 2, 10]
    assert run.metrics.columns["loss"].tolist() == [0.5, 0.25, -0.125]
    assert (run.metrics.stated_nan["reward_mean"].tolist(), run.rejected_count) == ([1], 0)


def test_thousands_count_only_where_commas_part_and_quotes_hold_them(tmp_path: Path) -> None:
    run = opened(tmp_path / "t.csv", 'step,loss\n"1,024",0.5\n"12,288","1,000.5"\n')
    assert (run.metrics.step.tolist(), run.metrics.columns["loss"].tolist()) == ([1024, 12_288], [0.5, 1000.5])
    assert opened(tmp_path / "u.tsv", "step\tloss\n1\t1,024\n2\t0.5\n").metrics.columns["loss"].tolist()[1] == 0.5


def test_a_name_that_occurs_twice_is_told_apart(tmp_path: Path) -> None:
    run = opened(tmp_path / "t.csv", "step,loss,loss\n1,0.5,7\n2,0.25,8\n")
    assert [run.metrics.columns[k].tolist() for k in ("loss", "loss.1")] == [[0.5, 0.25], [7.0, 8.0]]


OTHERS = {
    "stock": "Date,Open,High,Low,Close,Volume\n2020-01-02,1.5,1.6,1.4,1.5,1000\n2020-01-03,1.5,1.6,1.4,1.5,1100\n",
    "speech": "file start end\na.wav 0.5 1.5\nb.wav 1.5 2.5\n",
    "text": "step by step we train\nthe model 3 times over\nand then 4 more times\n",
    "words": "Epoch 1 of 3\nEpoch 2 of 3\nEpoch 3 of 3\n",
    "matches": "game,home,away,goals\n1,A,B,3\n2,C,D,4\n3,E,F,4\n",
    "points": "x y z\n1 2 3\n4 5 6\n",
}


@each_of("kind", OTHERS)
def test_a_table_of_something_else_is_refused(tmp_path: Path, kind: str) -> None:
    (tmp_path / "t.csv").write_text(OTHERS[kind])
    for source in (tmp_path / "t.csv", tmp_path):
        with pytest.raises(NotALog):
            open_runs(source)


def test_a_folder_opens_as_its_table_alone(tmp_path: Path) -> None:
    alone = opened(tmp_path / "t.csv", "reward,kl\n1.5,0.5\n1.25,0.25\n")
    assert open_run(tmp_path).metrics.columns.keys() == alone.metrics.columns.keys()


@pytest.mark.parametrize("seed", every(4, range(8)))
def test_a_table_whose_clock_shows_late_is_followed_as_it_is_read(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    lengths = sorted(rng.choices(range(200), k=5)) + rng.choices(range(200), k=rng.choice([3, 150]))
    text = "steps,episode,reward,total\n" + "".join(f"{n},{i},{rng.random()},9\n" for i, n in enumerate(lengths))
    run, reader = opened(tmp_path / "t.csv", text + "7,9"), LiveReader()
    rows, data = list[Any](), (text + "7,9").encode()
    while data:
        size, revision = rng.choice([1, 30, 400]), reader.revision
        new = reader.feed(data[:size]) + reader.flush()
        rows = rows * (revision == reader.revision) + new
        data = data[size:]
    revision, new = reader.revision, reader.finish()
    rows = rows * (revision == reader.revision) + new
    assert [(r.step, dict(r.values)) for r in rows] == [(r.step, dict(r.values)) for r in rule_columns(run).rows()]
    assert (reader.meta.clock, reader.lines, reader.rejected_count) == ("episode", run.lines, run.rejected_count)


def test_words_for_true_and_false_are_one_and_zero(tmp_path: Path) -> None:
    run = opened(tmp_path / "t.csv", "step,loss,done\n1,0.5,True\n2,0.4,False\n3,0.3,true\n4,0.2,false\n")
    assert run.metrics.columns["done"].tolist() == [1.0, 0.0, 1.0, 0.0]


def followed(text: str, sizes: list[int]) -> list[tuple[int, dict[str, float]]]:
    """The rows that a monitor has at the end, which starts again with each revision."""
    reader, rows, revision, data = LiveReader(), list[Row](), 0, text.encode()
    for size in [*sizes, len(data)]:
        new, data = reader.feed(data[:size]) + reader.flush(), data[size:]
        rows, revision = (rows if reader.revision == revision else []) + new, reader.revision
    new = reader.finish()
    rows = (rows if reader.revision == revision else []) + new
    return [(r.step, dict(r.values)) for r in rows]


ANOTHER_CLOCK = "total_steps\tepisode\treward\n500\t0\t0.95\n1/500\t1\t0.3"
ANOTHER_FORMAT = "epoch,kl\n0.00,0.5\n" + "".join(f"{i / 7:.2f},0.5\n" for i in range(1, 60))


@pytest.mark.parametrize(
    ("size", "text"),
    every(3, [(1, ANOTHER_CLOCK), (40, ANOTHER_CLOCK), *((size, ANOTHER_FORMAT) for size in (7, 40, 600))]),
    ids=["bytes, clock", "whole, clock", "bytes, format", "lines, format", "whole, format"],
)
def test_a_row_is_told_once_when_the_end_shows_what_the_table_is(tmp_path: Path, text: str, size: int) -> None:
    expected = [(r.step, dict(r.values)) for r in rule_columns(opened(tmp_path / "t.csv", text)).rows()]
    assert followed(text, [size] * (len(text) // size)) == expected
    assert followed(text, [len(text) - 18]) == expected


COUNTS = ["epoch", "iteration", "episode", "step", "frame", "update", "timesteps", "total_timesteps", "iter"]
SHAPES: list[Callable[[int, int], str]] = [
    lambda i, _: str(10 * i),
    lambda i, _: str(i // 3),
    lambda _, __: "7",
    lambda i, n: "" if i < n // 2 else str(i),
    lambda i, _: str(i % 5),
    lambda _, __: "",
]


@pytest.mark.slow
@given(
    columns=st.lists(
        st.tuples(st.sampled_from(COUNTS), st.sampled_from(SHAPES)), min_size=2, max_size=3, unique_by=lambda c: c[0]
    ),
    rows=st.sampled_from([2, 3, 5, 12, 40, 130]),
    size=st.integers(1, 400),
)
@example(columns=[("update", SHAPES[5]), ("iter", SHAPES[4])], rows=12, size=30)
@example(columns=[("epoch", SHAPES[5]), ("iteration", SHAPES[5])], rows=2, size=1)
@example(columns=[("frame", SHAPES[4]), ("update", SHAPES[4])], rows=12, size=30)
@settings(deadline=None)
def test_a_table_of_counts_alone_is_followed_as_it_is_read(
    tmp_path_factory: pytest.TempPathFactory, columns: list[tuple[str, Callable[[int, int], str]]], rows: int, size: int
) -> None:
    lines = [",".join(name for name, _ in columns)]
    text = "\n".join(lines + [",".join(shape(i, rows) for _, shape in columns) for i in range(rows)]) + "\n"
    try:
        table = rule_columns(opened(tmp_path_factory.mktemp("t") / "t.csv", text))
        expected = [(r.step, dict(r.values)) for r in table.rows()]
    except (NotALog, NoData):  # no number at all, for one
        expected = []
    assert followed(text, [size] * (len(text) // size)) == expected


def test_the_clock_of_a_parquet_file_is_told_where_no_name_says_it(tmp_path: Path) -> None:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    for name, clock in [("frame", "frame"), ("step", "")]:
        columns = {name: [10_000, 20_000, 30_000, 40_000], "loss": [0.5, 0.4, 0.3, 0.2]}
        pq.write_table(pa.table(columns), tmp_path / f"{name}.parquet")
        run = open_run(tmp_path / f"{name}.parquet")
        assert (run.meta.clock, run.metrics.step.tolist()) == (clock, columns[name])
