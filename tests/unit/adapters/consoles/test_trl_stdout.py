from __future__ import annotations

import math
from pathlib import Path

import pytest
from examples import at_most
from hypothesis import given, settings
from hypothesis import strategies as st

from rldk.adapters.consoles.trl import TrlStdout
from rldk.adapters.formats.hf_trainer_state import HfTrainerState
from rldk.adapters.source import File
from rldk.core.table import PHASES
from rldk.errors import NoData, RldkError

FIXTURES = Path(__file__).parents[3] / "fixtures"
CONSOLE = FIXTURES / "trl-console"
EVERY_FIVE = [(s, p) for s in range(5, 81, 5) for p in (["train", "eval"] if s % 20 == 0 else ["train"])]


def read(path, text: str):
    path.write_text(text)
    return TrlStdout(path).read()


def places(table) -> list[tuple[int, str]]:
    return [(r.step, r.phase) for r in table.rows()]


@pytest.mark.parametrize("name", ["bars.txt", "no-bars.txt"])
def test_steps_of_a_run_that_logs_its_first_and_every_tenth_step(name):
    log = TrlStdout(CONSOLE / name).read()
    train = [step for step, phase in places(log.table) if phase == "train"]
    assert train == [1, 10, 20, 30, 40, 50, 60, 70, 80]
    assert [step for step, phase in places(log.table) if phase == "eval"] == [20, 40, 60, 80]
    assert (log.total_steps, log.notes) == (80, ())


def test_a_buffered_stdout_is_not_believed_its_bars():
    """The rows come in blocks of 8 kB, long after the steps that the bars around them show."""
    log, truth = TrlStdout(CONSOLE / "buffered.txt").read(), HfTrainerState(FIXTURES / "trl-sft").read()
    assert places(log.table) == places(truth.table)
    assert log.total_steps == 80


def test_transformers_4_prints_raw_floats():
    log = TrlStdout(CONSOLE / "transformers4.txt").read()
    truth = {
        r.step: r.values["loss"] for r in HfTrainerState(FIXTURES / "trl-sft").read().table.rows() if r.phase == "train"
    }
    assert places(log.table) == [*EVERY_FIVE, (80, "summary")]
    assert log.precision is None
    assert all(r.values["loss"] == truth[r.step] for r in log.table.rows() if r.phase == "train")


def test_transformers_4_without_bars_counts_by_its_two_decimal_epochs(tmp_path):
    pieces = (CONSOLE / "transformers4.txt").read_text().replace("\r", "\n").splitlines()
    log = read(tmp_path / "log", "\n".join(p[p.index("{") :] for p in pieces if "{" in p))
    assert places(log.table) == [*EVERY_FIVE, (80, "summary")]


def test_a_resumed_run_is_a_second_segment():
    log = TrlStdout(CONSOLE / "resumed.txt").read()
    train = [(r.segment, r.step) for r in log.table.rows() if r.phase == "train"]
    assert train == [(0, s) for s in range(5, 61, 5)] + [(1, s) for s in range(45, 81, 5)]


def test_a_resumed_run_without_bars_goes_by_its_epochs(tmp_path):
    pieces = (CONSOLE / "resumed.txt").read_text().replace("\r", "\n").splitlines()
    log = read(tmp_path / "log", "\n".join(p[p.index("{'") :] for p in pieces if "{'" in p))
    second = [r.step for r in log.table.rows() if r.phase == "train" and r.segment == 1]
    assert second == list(range(45, 81, 5))


def test_panels_of_completions_tell_the_step_and_nothing_else():
    text = (FIXTURES / "trl-grpo" / "stdout.txt").read_text()
    log = TrlStdout(FIXTURES / "trl-grpo" / "stdout.txt").read()
    assert text.count("│") > 100
    assert log.table.step.tolist() == [1, 2, 3, 4, 5, 6]
    assert (log.rejected_count, log.notes) == (0, ())


def test_a_completion_that_looks_like_a_row_is_not_one(tmp_path):
    row = "{'loss': '0.5', 'epoch': '0.01'}"
    log = read(tmp_path / "log", f"{row}\n╭── Step 7 ──╮\n│ │ say {{'loss': '9', 'epoch': '1'}} │ │\n╰──╯\n")
    assert places(log.table) == [(7, "train")]


def test_ppo_steps_come_from_its_episodes():
    log = TrlStdout(FIXTURES / "trl-ppo" / "stdout.txt").read()
    assert log.table.step.tolist() == list(range(1, 65))
    assert (log.dialect, log.algorithm, log.precision) == ("trl_ppo", "ppo", 4)
    assert "derived it from the epoch or episode" in log.notes[0]


def test_rows_without_a_moving_clock_are_counted_and_it_is_said(tmp_path):
    log = read(tmp_path / "log", "{'loss': 0.5, 'epoch': 0.0}\n{'loss': 0.4, 'epoch': 0.0}\n")
    assert places(log.table) == [(1, "train"), (2, "train")]
    assert "counted" in log.notes[0]


def test_a_row_that_is_missing_does_not_shift_the_later_ones(tmp_path):
    lines = (FIXTURES / "trl-sft" / "stdout.txt").read_text().splitlines()
    rows = [line for line in lines if line.startswith("{'loss'")]
    log = read(tmp_path / "log", "\n".join(line for line in lines if line not in rows[30:33]))
    train = [step for step, phase in places(log.table) if phase == "train"]
    assert train == [*range(1, 31), *range(34, 81)]


def test_missing_stated_and_numeric_forms(tmp_path):
    line = "{'loss': nan, 'a': None, 'b': 'nan', 'c': np.float64(0.25), 'd': 'text', 'e': inf, 'f': 8, 'epoch': '1'}"
    table = read(tmp_path / "log", line).table
    values = next(table.rows()).values
    assert set(values) == {"loss", "b", "c", "e", "f", "epoch"}
    assert set(table.stated_nan) == {"loss", "b"}
    assert (values["c"], values["e"], values["f"]) == (0.25, math.inf, 8.0)


def test_bars_with_a_description_are_no_marks(tmp_path):
    bar = "\rMap:  50%|█████     | 5/10 [00:00<00:00, 9.0it/s]\n"
    log = read(tmp_path / "log", f"{{'loss': 1.0, 'epoch': 0.5}}\n{bar}{{'loss': 1.0, 'epoch': 1.0}}\n{bar}")
    assert log.table.step.tolist() == [1, 2]
    assert log.total_steps is None


@pytest.mark.parametrize("extra", [20, 60, 100])
def test_a_torn_tail_costs_one_row(tmp_path, extra):
    text = (FIXTURES / "trl-sft" / "stdout.txt").read_text()
    start = text.rindex("{'loss'")
    log = read(tmp_path / "log", text[: start + extra])
    assert (log.rejected_count, log.rejected[0].offset) == (1, len(text[:start].encode()))
    assert max(log.table.step) == 79


def test_dicts_of_the_user_are_no_rows(tmp_path):
    text = "{'model': {'size': 3}, 'seed': 1}\n{'loss': '0.5', 'epoch': '0.1'}\n{'accuracy': 0.3}\n"
    log = read(tmp_path / "log", text)
    assert (len(log.table), log.rejected_count) == (1, 0)


def test_nothing_is_evaluated(tmp_path):
    text = "{'loss': __import__('os').abort(), 'epoch': '0.1'}\n{'loss': '0.5', 'epoch': '0.2'}\n"
    assert [set(r.values) for r in read(tmp_path / "log", text).table.rows()][-1] == {"loss", "epoch"}


@settings(deadline=None)
@given(epochs=st.lists(st.floats() | st.floats(0, 3) | st.integers(0, 10**30), min_size=1, max_size=8))
def test_no_epoch_can_break_it(tmp_path_factory, epochs):
    text = "".join(f"{{'loss': 0.5, 'epoch': {epoch}}}\n" for epoch in epochs)
    assert len(read(tmp_path_factory.mktemp("epochs") / "log", text).table) == len(epochs)


def test_text_without_rows_is_an_error(tmp_path):
    with pytest.raises(NoData):
        read(tmp_path / "log", "hello {'a': 1}\n")


@settings(max_examples=at_most(60), deadline=None)
@given(at=st.integers(0, 14_000), junk=st.binary(max_size=40))
def test_any_damage_costs_at_most_the_rows_it_touches(tmp_path_factory, at, junk):
    data = bytearray((FIXTURES / "trl-sft" / "stdout.txt").read_bytes())
    data[at : at + len(junk)] = junk
    path = tmp_path_factory.mktemp("damaged") / "log"
    path.write_bytes(data)
    TrlStdout.sniff(File(path))
    try:
        table = TrlStdout(path).read().table
    except RldkError:
        pytest.fail("84 good rows were lost")
    assert len(table) >= 82
    assert set(table.phase.tolist()) <= set(range(len(PHASES)))
