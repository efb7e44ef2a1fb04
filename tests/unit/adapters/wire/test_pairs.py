from __future__ import annotations

import math
import time

import pytest
from examples import each_of

from rldk.adapters.wire.pairs import read_line


@each_of(
    ("text", "step", "values"),
    [
        ("Episode 3/500 | Reward: -3.4 | Avg last 10: 2.0", 3, {"Reward": -3.4, "Avg last 10": 2.0}),
        ("step=12 loss=0.3", 12, {"loss": 0.3}),
        ("[Iter 10] avg reward = .35", 10, {"avg reward": 0.35}),
        ("Ep 12/500 - score 12 - eps 0.1", 12, {"score": 12.0, "eps": 0.1}),
        ("Epoch 3: train loss 0.3, return 12.0", 3, {"train loss": 0.3, "return": 12.0}),
        ("Episode 100\tLast reward: 12.00\tAverage reward: 11.20", 100, {"Last reward": 12, "Average reward": 11.2}),
        ("Timestep: 12,288  Mean Reward: 4.2", 12288, {"Mean Reward": 4.2}),
        ("Episode 3 finished after 25 timesteps with reward 12.0", 3, {"finished after": 25, "reward": 12.0}),
        ("[step 0004] rewards=[0,1] loss=-3.8 |grad|=6.10e-05 lr=0.01", 4, {"loss": -3.8, "grad": 6.1e-5, "lr": 0.01}),
        ("Iteration 12: reward=0.53 ± 0.2, kl=0.003", 12, {"reward": 0.53, "kl": 0.003}),
    ],
)
def test_lines_of_one_s_own_loop(text: str, step: int, values: dict[str, float]) -> None:
    line = read_line(text)
    assert (line.clocks[0].step, line.values) == (step, values)


def test_a_percentage_is_a_fraction_and_a_unit_no_part_of_the_number() -> None:
    values = read_line("Step 1 | Time: 12.31s | Success: 95.0% | Throughput: 21034 tokens/s | Frames: 1.2M").values
    assert values == pytest.approx({"Time": 12.31, "Success": 0.95, "Throughput": 21034.0, "Frames": 1.2e6})


def test_numbers_with_slashes_are_named_or_left_out() -> None:
    text = "Last 9 episodes: mean/median reward 1.2/3.4, a 3/4/1, return -3.0/-2.0/-1.0"
    values = read_line(text).values
    assert (values["mean reward"], values["median reward"], values["return_mean"]) == (1.2, 3.4, -2.0)
    assert not {key for key in values if key.startswith("a")}


def test_nan_and_infinity_are_numbers() -> None:
    values = read_line("Episode: 3, total reward: nan, loss: -inf").values
    assert math.isnan(values["total reward"])
    assert values["loss"] == -math.inf


@each_of("text", ["Thinking step by step", "12:30:01 started", "see https://x.org/a=1/b", "", "===="])
def test_prose_says_nothing(text: str) -> None:
    assert read_line(text).values == {}


ATOMS = [
    "1",
    "1 ",
    "a ",
    "a: ",
    "Step ",
    "=",
    "| ",
    "<",
    "step=1 ",
    "[",
    " ",
    ".",
    "1/",
    "'a': ",
    "nan ",
    "± ",
    "9" * 99,
]


@each_of("atom", ATOMS)
def test_the_time_of_a_line_is_linear(atom: str) -> None:
    start = time.process_time()
    read_line(atom * (400_000 // len(atom)))
    assert time.process_time() - start < 1.0


BARS = {
    "Train:  10%|#         | 9/90 [00:01<00:09,  9.0it/s, loss=0.31, return=-4.5]": {"loss": 0.31, "return": -4.5},
    "Loss: 0.31 | Acc: 1.00:  10%|▉     | 9/90 [00:01<00:09,  9.0it/s]": {"Loss": 0.31, "Acc": 1.0},
    " 10%|#   | 9/90 [00:01<?, ?it/s, reward=3]": {"reward": 3.0},
    "Map:  10%|#   | 9/90 [00:01<00:09, 9.0 examples/s]": {},
}


def test_a_progress_bar_counts_and_shows_what_was_set() -> None:
    for text, values in BARS.items():
        line = read_line(text)
        assert ([(c.word, c.step, c.total) for c in line.clocks], line.values) == ([("bar", 9, 90)], values), text
