from __future__ import annotations

from itertools import accumulate
from pathlib import Path

import pytest
from examples import each_of

from rldk.adapters.consoles.lines import PrintedLinesConsole, is_training
from rldk.adapters.live.reader import LiveReader
from rldk.adapters.log import Log
from rldk.adapters.open import open_run
from rldk.adapters.source import File
from rldk.engine.scan import rule_columns
from rldk.errors import NotALog

LINE = "Episode {i}/300 | Reward: {r:.2f} | Epsilon: 0.950 | Loss: 0.5000\n"


def episodes(steps: range = range(20)) -> str:
    return "".join(LINE.format(i=i, r=i - 200) for i in steps)


def read(path: Path, text: str) -> Log:
    path.write_text(text)
    return PrintedLinesConsole(path).read()


def test_the_episode_is_the_step(tmp_path: Path) -> None:
    log = read(tmp_path / "out", "Using cuda:0\n" + episodes())
    assert log.table.step.tolist() == list(range(20))
    assert (log.table.columns["Reward"][3], log.total_steps) == (-197.0, 300)


@each_of(
    "form",
    [
        "step={i} loss=0.3\n",
        "[Iter {i}] avg reward = {i}.5\n",
        "Ep {i}/500 - score {i} - eps 0.1\n",
        "Epoch {i}: train loss 0.3, return {i}.0\n",
        "2026-01-01 18:06:51 | INFO     | src.trainer | Episode   {i}/90 | Avg Reward:    7.35 | Success: 100.0%\n",
        "Epoch: {i}, global_step={i}00\nSPS: 1203, pg_loss=-0.0021, v_loss=0.1954\n",
        "Epoch:[1/1]({i}/9751), Reward: -1.5026, KL_ref: -0.0163, Learning Rate: 0.00000030\n",
        "Updates {i}, num timesteps {i}024, FPS 300\n Last 9 episodes: mean/median reward 1.2/3.4, min/max 0.0/3.0\n",
        "----\nIteration {i}\nAverageReturn   12.5\nEntropy   0.7\n----\n",
        "\x1b[32mINFO\x1b[0m:root:Game {i}, Score: 3, Record: 9\n",
    ],
)
def test_usual_forms_open(tmp_path: Path, form: str) -> None:
    (tmp_path / "out.txt").write_text("".join(form.replace("{i}", str(i)) for i in range(1, 9)))
    assert len(open_run(tmp_path / "out.txt").metrics) == 8


def test_a_count_that_begins_again_in_each_epoch_goes_on(tmp_path: Path) -> None:
    text = "".join(f"Epoch {e} Step {s}/50 | loss: 0.3\n" for e in (1, 2) for s in range(10, 60, 10))
    assert read(tmp_path / "out", text).table.step.tolist() == list(range(10, 110, 10))


def test_a_restarted_run_is_a_segment(tmp_path: Path) -> None:
    log = read(tmp_path / "out", episodes() + episodes(range(5, 9)))
    assert log.table.segment.tolist() == [0] * 20 + [1] * 4


def test_a_last_number_that_may_be_cut_is_not_taken(tmp_path: Path) -> None:
    log = read(tmp_path / "out", episodes()[:-2])
    assert len(log.table) == 20
    assert "Loss" not in list(log.table.rows())[-1].values
    assert log.lines == len(log.table) + log.rejected_count


REFUSED = {
    "prose": "".join(f"In episode {i} of the show, the hero gets a reward of {i} coins.\n" for i in range(9)),
    "reasoning": "".join(f"Step {i}: add {i} and 3, which gives {i + 3}.\n" for i in range(9)),
    "pip": "Collecting torch==2.1.0\n  Downloading torch-2.1.0-cp311.whl (670.2 MB)\nStep 1 : done\n" * 4,
    "docker": "".join(f"Step {i}/9 : RUN pip install x==1.{i}\n ---> 3f2a\n" for i in range(9)),
    "nvidia-smi": "| 0  Tesla T4   On | 00000000:00:1E.0 Off |  0 |\n| N/A 34C P8 9W / 70W | 0MiB / 15360MiB | 0% |\n"
    * 4,
    "bars": "".join(f"\r {i}%|#    | {i}/100 [00:0{i}<00:09, 3.1it/s]" for i in range(9)) + "\n",
    "bars of loading": "".join(f"\rLoading checkpoint shards: {i}%|# | {i}/9 [00:00<00:00]" for i in range(9)) + "\n",
    "pytest": "".join(f"tests/test_{i}.py::test_step {i} PASSED [ {i}%]\n" for i in range(9)),
    "unittest": "Ran 12 tests in 0.3s\nOK\n" * 4,
    "server": "".join(f'10.0.0.1 - - [01/Jan/2026] "GET /step?n={i} HTTP/1.1" 200 {i}12\n' for i in range(9)),
    "ping": "".join(f"64 bytes from 8.8.8.8: icmp_seq={i} ttl=117 time=12.{i} ms\n" for i in range(9)),
    "packet loss": "".join(f"round {i}: packet loss: 0.{i}, rtt 12\n" for i in range(9)),
    "git": "".join(f"commit 3f2a{i}\nDate: Mon Jan {i} 2026\n    step {i}: fix loss\n" for i in range(9)),
    "make": "".join(f"[ {i}%] Building CXX object step{i}.o\n" for i in range(9)),
    "yaml": "train:\n  epochs: 3\n  steps: 100\n  lr: 0.1\nloss:\n  weight: 0.3\n",
    "python": "".join(f"    if step == {i}: loss = {i}.0\n" for i in range(9)),
    "import times": "".join(f"import time: {i} | {i}9 | numpy.step{i}\n" for i in range(9)),
    "traceback": 'Traceback (most recent call last):\n  File "a.py", line 3, in step\nValueError: loss is nan\n' * 4,
    "k8s": "".join(f"pod/web-{i} 1/1 Running {i} 3d\n" for i in range(9)),
    "cron": "".join(f"Jan  {i} 03:00:01 host CRON[{i}12]: (root) CMD (step)\n" for i in range(9)),
    "sql": "".join(f"INSERT INTO game VALUES ({i}, 'reward', {i}.5);\n" for i in range(9)),
    "top": "".join(f"{i}123 root 20 0 {i}0.1g 3.2g R 99.{i} 2.1 python\n" for i in range(9)),
    "wget": "".join(f"{i}0K .......... .......... {i}% 3.2M 0s\n" for i in range(9)),
    "same step": "Step 1 | loss: 0.3\n" * 9,
    "two lines": "Episode 1 | Reward: 3.0\nEpisode 2 | Reward: 4.0\n",
    "no goal": "".join(f"Epoch {i} | time: {i}.5s | memory: 3.2\n" for i in range(9)),
    "samples": "".join(f"sample {i}: think step by step about {i} apples, the reward of virtue\n" for i in range(9)),
    "changelog": "".join(f"## 1.{i}.0\n- step {i}: less loss of time\n" for i in range(9)),
    "quiz": "".join(f"  eval [{i}/20] pred={i} gt={i + 1} WRONG\n" for i in range(9)),
    "markdown": "# Training\n\n1. Install it.\n2. Run 3 epochs.\n3. Look at the loss.\n" * 3,
    "binary search": "".join(f"iter {i}: low={i}, high=9\n" for i in range(9)),
}


@each_of("name", REFUSED)
def test_other_texts_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "out.txt").write_text(REFUSED[name])
    assert not is_training(REFUSED[name].encode())
    with pytest.raises(NotALog):
        open_run(tmp_path / "out.txt")


def test_one_line_more_is_enough() -> None:
    text = REFUSED["two lines"]
    assert is_training((text + "Episode 3 | Reward: 5.0\n").encode())


@pytest.mark.parametrize(("rises", "found"), [(5, False), (6, True), (10, True)])
def test_three_of_five_steps_have_to_rise(rises: int, found: bool) -> None:
    steps = list(accumulate([5] * rises + [-1] * (10 - rises), initial=100))
    assert is_training("".join(f"Episode {step} | Reward: 5.0\n" for step in steps).encode()) is found


BAR = "\rLoss: {loss} | Acc: 1.00:  10%|#    | {i}/60 [00:12<10:00,  6.27s/it]"


def bars(steps: range = range(60)) -> str:
    return "".join(BAR.format(i=i, loss=f"{9 - i // 10}.25") for i in steps) + "\n"


def test_a_progress_bar_is_a_row_each_time_its_numbers_change(tmp_path: Path) -> None:
    log = read(tmp_path / "out", "Loading model\n" + bars())
    assert PrintedLinesConsole.sniff(File.beginning(bars().rstrip().encode())) > 0  # a bar has no line end for hours
    assert (log.table.step.tolist(), log.table.columns["Loss"].tolist()[:2]) == (list(range(0, 60, 10)), [9.25, 8.25])


def test_a_full_bar_that_begins_again_goes_on(tmp_path: Path) -> None:
    text = bars(range(61)) + bars(range(1, 61))
    log = read(tmp_path / "out", text)
    assert log.table.step.tolist() == [0, 10, 20, 30, 40, 50, 60, 61, 70, 80, 90, 100, 110, 120]
    assert not log.table.segment.any()


def test_a_bar_that_stands_still_is_seen(tmp_path: Path) -> None:
    text = "".join(BAR.format(i=i, loss="0.5") for i in range(200)) + "\n"
    assert len(read(tmp_path / "out", text).table.step) == 4


@each_of("size", [7, 1000])
@each_of("cut", [0, 1, 30])
def test_bars_that_grow_are_read_as_the_finished_ones(tmp_path: Path, cut: int, size: int) -> None:
    text = "".join(bars(range(i, i + 20)) for i in range(0, 60, 20))
    data = text[: len(text) - cut].encode()
    (tmp_path / "out.log").write_bytes(data)
    reader = LiveReader()
    rows = [row for i in range(0, len(data), size) for row in reader.feed(data[i : i + size])] + reader.finish()
    told = rule_columns(open_run(tmp_path / "out.log")).rows()
    assert [(row.step, row.values) for row in rows] == [(row.step, row.values) for row in told]
