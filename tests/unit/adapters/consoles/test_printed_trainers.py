"""Lines as the trainers print them (their print statements read, values of our own)."""

from __future__ import annotations

import random
import re
import time
from functools import partial
from pathlib import Path

import pytest
from examples import each_of, every

from rldk.adapters.base import adapters
from rldk.adapters.consoles.steps import PrintedAdapter
from rldk.adapters.live.reader import LiveReader
from rldk.adapters.log import Log
from rldk.adapters.open import open_run, open_runs
from rldk.core.table import Row
from rldk.engine.scan import rule_columns
from rldk.errors import NoData

# format -> (the first step, the text of step i)
TEXTS: dict[str, tuple[int, str]] = {
    "prime-rl-console": (
        4,
        "12:00:01 SUCCESS Step {i} | Time: 12.31s | Loss: -0.0012 | Entropy: 0.4200 | Mismatch KL: 0.0008 | "
        "Grad. Norm: 0.1200 | LR: 1.00e-06 | Throughput: 21034 tokens/s | MFU: 31.2% | Peak Mem.: 61.2 GiB\n",
    ),
    "mlagents-console": (
        4,
        "[INFO] Walker. Step: {i}. Time Elapsed: 70.8 s. Mean Reward: -4.439. Std of Reward: 3.640. Training.\n",
    ),
    "rsl-rl-console": (
        4,
        "####\n    Learning iteration {i}/90    \n\n   Computation: 14963 steps/s (collection: 6.4s, learning 0.1s)\n"
        "   Value function loss: 0.0236\n     Surrogate loss: -0.0032\n   Mean total reward: 25.48\n"
        "Episode_Reward/track: 1.2263\n----\n   Total timesteps: 815923200\n",
    ),
    "nemo-rl-console": (
        4,
        "========================= Step {i}/90 =========================\n📊 Training Results:\n  • Loss: 0.0123\n"
        "  • Generation KL Error: 0.0021\n  • Avg Reward: 0.5123\n⏱️  Timing:\n  • Total step time: 12.31s\n",
    ),
    "mlx-console": (4, "Iter {i}: Train loss 2.345, Learning Rate 1.000e-05, It/sec 0.512, Peak mem 5.6 GB\n"),
    "keras-rl-console": (
        4,
        "    {i}/900: episode: 1, duration: 0.5s, episode steps: 200, steps per second: 900, episode reward: 12.000, "
        "mean reward: 0.3 [0.1, 0.5], mean action: 1.2 [0.0, 3.0],  loss: 0.3, mae: 1.2, mean_q: 3.4\n",
    ),
    "keras-rl-interval-console": (
        4,
        "Interval 1 ({i} steps performed)\n    1/10000 [..............................] - ETA: 9:17 - reward: -1.0000\r"
        "10000/10000 [==============================] - 598s 60ms/step - reward: -0.1999\n"
        "20 episodes - episode_reward: -99.952 [-99.987, -99.856] - loss: 8.959 - mae: 0.219 - mean_q: 0.012\n\n",
    ),
    "keras-console": (
        4,
        "Epoch {i}/90\n\r 1/25 [>...........] - ETA: 3s - loss: 9.5000\x08\x08\r"
        "25/25 [==============================] - 1s 10ms/step - loss: 0.7500 - mae: 0.5000 - val_loss: 0.9000\n",
    ),
    "rl-games-console": (
        4,
        "fps step: 416 fps step and policy inference: 409 fps total: 337 epoch: {i}/90 frames: 507904\n"
        "saving next best rewards:  [300.05377]\n=> saving checkpoint '/tmp/nn/Factory.pth'\n",
    ),
    "tianshou-console": (
        4,
        "Epoch #1: 10001it [00:05, 1900.11it/s, env_step={i}, len=200, loss=0.120, n/ep=8, rew=200.00]\n"
        "Epoch #1: test_reward: 200.000000 ± 0.000000, best_reward: 200.000000 ± 0.000000 in #1\n",
    ),
    "sample-factory-console": (
        4,
        "[2026-01-01 05:35:46,172][02013] Fps is (10 sec: 409.6, 60 sec: 409.6, 300 sec: 409.6). Total num frames: {i}."
        " Throughput: 0: 98.1. Samples: 64. Policy #0 lag: (min: 0.0, avg: 1.2, max: 3.0)\n"
        "[2026-01-01 05:35:46,172][02013] Avg episode reward: [(0, '12.345')]\n",
    ),
    "dopamine-console": (
        4,
        "I0101 12:00:00.123456 140 run_experiment.py:400] Starting iteration {i}\n"
        "I0101 12:00:09.123456 140 run_experiment.py:420] Average undiscounted return per training episode: 12.34\n",
    ),
    "rllib-loop-console": (4, "  {i} reward -911.00/-768.45/-391.00 len 196.20 saved /tmp/checkpoint_1\n"),
}
TRAINED = {
    "prime-rl-console": {"mismatch_kl/all/mean": 0.0008, "mfu": 0.312, "optim/lr": 1e-6},
    "mlagents-console": {"Environment/Cumulative Reward": -4.439, "std_of_reward": 3.64},
    "rsl-rl-console": {"Loss/value_function": 0.0236, "Train/mean_reward": 25.48, "Episode_Reward/track": 1.2263},
    "nemo-rl-console": {"train/loss": 0.0123, "train/gen_kl_error": 0.0021, "train/reward": 0.5123},
    "mlx-console": {"loss": 2.345, "learning_rate": 1e-5},
    "keras-rl-console": {"episode_reward": 12.0, "loss": 0.3, "mean_q": 3.4},
    "keras-rl-interval-console": {"step_reward": -0.1999, "episode_reward": -99.952, "loss": 8.959, "mean_q": 0.012},
    "keras-console": {"loss": 0.75, "mae": 0.5, "val_loss": 0.9},
    "rl-games-console": {"performance/step_fps": 416, "frame": 507904, "best_mean_rewards": 300.05377},
    "tianshou-console": {"train/reward": 200.0, "loss": 0.12},
    "sample-factory-console": {"fps": 409.6},
    "dopamine-console": {"Train/AverageReturns": 12.34},
    "rllib-loop-console": {"episode_reward_min": -911.0, "episode_reward_mean": -768.45, "episode_len_mean": 196.2},
}


def console(name: str, steps: range = range(4, 9)) -> str:
    return "".join(TEXTS[name][1].replace("{i}", str(i)) for i in steps)


def read(path: Path, name: str, text: str) -> Log:
    path.write_text(text)
    return adapters.get(name)(path).read()


@each_of("name", TEXTS)
def test_the_console_is_recognised_and_its_numbers_have_the_trainer_s_names(tmp_path: Path, name: str) -> None:
    (tmp_path / "out.log").write_text("starting up\n" + console(name))
    run = open_run(tmp_path / "out.log")
    log = read(tmp_path / "out.log", name, "starting up\n" + console(name))
    first = next(log.table.rows())
    assert run.meta.format == name
    assert sorted(set(log.table.step.tolist())) == [4, 5, 6, 7, 8]
    assert {key: first.values[key] for key in TRAINED[name]} == pytest.approx(TRAINED[name])


@pytest.mark.parametrize("name", every(3, TEXTS))
def test_a_torn_end_adds_no_number(tmp_path: Path, name: str) -> None:
    text = console(name)
    whole = [row.values for row in read(tmp_path / "a", name, text).table.rows()]
    for cut in range(1, len(console(name, range(8, 9))), 7):
        log = read(tmp_path / "b", name, text[:-cut])
        shown = [row.values for row in log.table.rows()]
        assert len(log.table) + log.rejected_count == log.lines
        assert all(mine.items() <= full.items() for mine, full in zip(shown, whole, strict=False))


@each_of("name", TEXTS)
def test_wrong_types_and_random_bytes_are_survived(tmp_path: Path, name: str) -> None:
    path = tmp_path / "out.log"
    rng = random.Random(1)
    text = re.sub(r"\d+\.\d+", lambda m: rng.choice(["fast", "1.2.3", "--", m[0]]), console(name)).encode()
    path.write_bytes(text + rng.randbytes(3000).replace(b"\0", b"") + console(name).encode())
    log = adapters.get(name)(path).read()
    assert len(log.table) + log.rejected_count == log.lines


def test_a_summary_without_a_finished_episode_is_a_row_without_reward(tmp_path: Path) -> None:
    text = "[INFO] Walker. Step: 3. Time Elapsed: 7.0 s. No episode was completed since last summary. Training.\n"
    log = read(tmp_path / "out", "mlagents-console", text + console("mlagents-console"))
    assert (len(log.table), log.table.step[0]) == (6, 3)


def test_behaviours_that_share_a_console_are_runs_of_their_own(tmp_path: Path) -> None:
    text = console("mlagents-console")
    mixed = "".join(a + b.replace("Walker", "Crawler") for a, b in zip(*[text.splitlines(True)] * 2, strict=True))
    (tmp_path / "out.log").write_text(mixed)
    assert [len(run.metrics) for run in open_runs(tmp_path / "out.log")] == [5, 5]


def test_the_lines_of_one_report_of_sample_factory_are_one_row(tmp_path: Path) -> None:
    name = "sample-factory-console"
    stalled = console(name, range(8, 9)).replace("12.345", "13.500").replace("10 sec: 409.6", "10 sec: 0.0")
    log = read(tmp_path / "out", name, console(name) + stalled)
    assert log.table.step.tolist() == [4, 5, 6, 7, 8]
    assert log.table.columns["reward"].tolist() == [12.345] * 4 + [13.5]
    assert log.table.columns["fps"].tolist() == [409.6] * 4 + [0.0]


def test_a_reward_line_before_any_report_stands_alone(tmp_path: Path) -> None:
    name = "sample-factory-console"
    log = read(tmp_path / "out", name, "Avg episode reward: [(0, '1.5')]\n" + console(name))
    assert log.table.step.tolist() == [0, 4, 5, 6, 7, 8]


def test_test_lines_of_tianshou_are_evaluation_rows(tmp_path: Path) -> None:
    log = read(tmp_path / "out", "tianshou-console", console("tianshou-console"))
    assert log.table.phase.tolist() == [0, 1] * 5


def test_the_declared_length_is_known(tmp_path: Path) -> None:
    assert read(tmp_path / "out", "rsl-rl-console", console("rsl-rl-console")).total_steps == 90


def test_a_mark_without_numbers_is_no_log(tmp_path: Path) -> None:
    with pytest.raises(NoData):
        read(tmp_path / "out", "rsl-rl-console", "Learning iteration 3/9\nnothing came\n")


@each_of("name", TEXTS)
@each_of("size", [1, 77])
def test_a_console_that_grows_is_read_as_the_finished_one(tmp_path: Path, name: str, size: int) -> None:
    text = "starting up\n" + console(name)
    (tmp_path / "out.log").write_text(text)
    run, reader, rows, data = open_run(tmp_path / "out.log"), LiveReader(), list[Row](), text.encode()
    for call in [*(partial(reader.feed, data[i : i + size]) for i in range(0, len(data), size)), reader.finish]:
        revision, new = reader.revision, call()  # type: ignore[operator]
        rows = new if reader.revision != revision else rows + new
    told = [(row.step, dict(row.values)) for row in rule_columns(run).rows()]
    assert [(row.step, dict(row.values)) for row in rows] == told
    assert reader.meta.format == run.meta.format


def test_epochs_without_a_bar_are_not_those_of_keras(tmp_path: Path) -> None:
    text = "".join(f"Epoch {i}/90\ntrain loss: {1 / i:.3f}, reward: {i}.5\n" for i in range(1, 9))
    (tmp_path / "out.log").write_text(text)
    assert open_run(tmp_path / "out.log").meta.format == "line-console"


def patterns() -> dict[str, re.Pattern[str]]:
    layouts = {kind.name: kind.layout for kind in adapters if issubclass(kind, PrintedAdapter)}
    found = {name: layout.mark for name, layout in layouts.items()}
    return (
        found
        | {f"{name} aside": layout.aside for name, layout in layouts.items() if layout.aside}
        | {f"{name} detail": layout.detail for name, layout in layouts.items() if layout.detail}
    )


@pytest.mark.parametrize("name", every(5, patterns()))
def test_the_time_of_a_mark_is_linear(name: str) -> None:
    for atom in ("1", "1 ", "a ", "a. ", "Step ", "=", " ", "1/", "Step 1 | ", "Iter 1: "):
        start = time.process_time()
        patterns()[name].search(atom * (40_000 // len(atom)))
        assert time.process_time() - start < 0.5, atom
