from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from examples import each_of

from rldk.core.table import Row
from rldk.engine.live import Engine
from rldk.engine.report.outlook import Loss, Outlook, last_quarter, outlook
from rldk.engine.report.schedule import schedule_shape
from rldk.rules.rule import Context
from rldk.rules.select import select_rules
from rldk.testing import scan_columns

N = 400
NOISE = np.random.default_rng(5).normal(size=N).tolist()


def outlook_of(columns: dict[str, list[float]], **context: Any) -> Outlook:
    engine = Engine([], Context(**context))
    for i, values in enumerate(zip(*columns.values(), strict=True)):
        engine.feed(Row(step=10 * i, values=dict(zip(columns, values, strict=True)), time=1.7e9 + 30.0 * i))
    return outlook(engine)


SHAPES: dict[str, Callable[[float], float]] = {
    "rises": lambda u: 10 * u,
    "settles": lambda u: 10 * (1 - math.exp(-20 * u)),
    "falls": lambda u: 10 * math.sin(math.pi * u),
}


@each_of("level", [1000.0, -1000.0])
@each_of("shape", SHAPES)
def test_the_level_of_a_return_does_not_matter(shape: str, level: float) -> None:
    plain, raised = course(shape), [x + level for x in course(shape)]
    assert outlook_of({"reward_mean": plain}).convergence == outlook_of({"reward_mean": raised}).convergence


def course(shape: str, rows: int = N) -> list[float]:
    rng = random.Random(5)
    return [SHAPES[shape](i / rows) + rng.gauss(0, 1) for i in range(rows)]


@pytest.mark.parametrize(
    ("shape", "answer"), [("rises", "improving"), ("settles", "converged"), ("falls", "degrading")]
)
def test_the_last_quarter_says_whether_a_run_still_improves(shape: str, answer: str) -> None:
    found = outlook_of({"reward_mean": course(shape, 2000)}, algorithm="grpo")
    assert (found.convergence, found.metric) == (answer, "reward_mean")
    assert 0.9 <= (found.probability or 0.0) <= 1.0


def test_a_falling_loss_is_an_improvement_of_supervised_training() -> None:
    loss = [20.0 - x for x in course("rises")]
    found = outlook_of({"loss": loss, "reward_mean": course("falls")}, algorithm="reward_model")
    assert (found.convergence, found.metric) == ("improving", "loss")


@pytest.mark.parametrize("columns", [{"reward_mean": course("rises", 39)}, {"policy_loss": course("rises")}])
def test_what_is_not_known_is_said_to_be_unknown(columns: dict[str, list[float]]) -> None:
    found = outlook_of(columns)
    assert (found.convergence, found.probability) == ("unknown", None)


def test_what_has_settled_far_below_its_best_has_not_converged() -> None:
    rng = random.Random(5)
    fallen = [(0.01 * i if i < 100 else 1.0 if i < 200 else 0.1) + rng.gauss(0, 0.03) for i in range(N)]
    found = outlook_of({"reward_mean": fallen}, algorithm="grpo")
    assert (found.convergence, (found.probability or 0.0) > 0.9) == ("degrading", True)
    assert found.numbers["lost"] == pytest.approx(1.0, abs=0.1)  # of what was gained since the first rows


def test_what_has_settled_a_little_below_its_best_is_not_called_converged() -> None:
    rng = random.Random(5)
    sagged = [(0.01 * i if i < 100 else 1.0 if i < 200 else 0.75) + rng.gauss(0, 0.03) for i in range(N)]
    assert outlook_of({"reward_mean": sagged}, algorithm="grpo").convergence == "unknown"


def test_a_dip_of_what_never_rose_clearly_is_no_loss_of_a_gain() -> None:
    rng = random.Random(5)
    level = [0.65 + 0.1 * math.sin(i / 40) + rng.gauss(0, 0.06) for i in range(160)]
    assert "lost" not in outlook_of({"reward_mean": level}, algorithm="grpo").numbers


def test_what_stands_still_under_a_warning_has_not_converged() -> None:
    still = [-21.0] * 200
    free = Engine([], Context(algorithm="ppo"))
    warned = Engine(select_rules(["REW"]), Context(algorithm="ppo", framework="rllib"))
    for engine in (free, warned):
        for i, x in enumerate(still):
            engine.feed(Row(step=i, values={"reward_mean": x, "response_length_mean": 100.0}))
    assert outlook(free).convergence == "converged"
    assert any(e.severity != "info" for w in warned.bound_rules() for e in w.episodes.all())
    assert outlook(warned).convergence == "unknown"


def test_a_course_without_noise_leaves_no_doubt() -> None:
    assert outlook_of({"reward_mean": [0.5] * N}).probability == 1.0


def test_the_trend_is_that_of_least_squares() -> None:
    trend = last_quarter(NOISE[:128])
    slope = np.polyfit(np.arange(32), NOISE[96:128], 1)[0]
    assert trend.gain == pytest.approx(31 * slope)
    assert 0.5 < trend.error < 1.5  # iid: 31 / sqrt(32 * (32**2 - 1) / 12) = 0.59


U = [i / 99 for i in range(100)]


@each_of(
    ("rates", "shape"),
    [
        ([1e-3] * 100, "constant"),
        ([1e-3 * (1 - u) for u in U], "linear"),
        ([5e-4 * (1 + math.cos(math.pi * u)) for u in U], "cosine"),
        ([5e-4 * (1 + math.cos(math.pi * u)) for u in U][:60], "cosine"),
        ([1e-4 + 4.5e-4 * (1 + math.cos(math.pi * u)) for u in U], "cosine"),
        ([1e-3 * min(1.0, (i + 1) / 10, 1 - (i - 10) / 100) for i in range(100)], "warmup + linear"),
        ([1e-3 * min(1.0, (i + 1) / 10) for i in range(100)], "warmup + constant"),
        ([1e-5 * i for i in range(100)], "warmup"),
        ([1e-3 if i < 50 else 1e-4 for i in range(100)], "other"),
        ([0.0] * 100, "zero"),
        ([1e-3] * 5, ""),
    ],
)
def test_the_shape_of_a_schedule_is_recognised(rates: list[float], shape: str) -> None:
    assert schedule_shape(rates) == shape


def test_numbers_are_in_steps_seconds_and_gigabytes() -> None:
    columns = {
        "memory_cpu_gb": [10.0 + 0.01 * i for i in range(100)],
        "step_time": [2.0 + 0.01 * i for i in range(100)],
        "lr": [1e-3] * 100,
    }
    config = {"memory_total_gb": 20.0, "lr_scheduler_type": "constant"}
    found = outlook_of(columns, total_steps=1990, config=config)
    assert (found.schedule, found.declared) == ("constant", "constant")
    assert found.numbers["memory_gb_per_step"] == pytest.approx(0.001)
    assert found.numbers["memory_full_in_steps"] == pytest.approx(9010)
    assert found.numbers["throughput_change"] == pytest.approx(2.12 / 2.87 - 1, rel=0.01)
    assert (found.numbers["seconds_per_step"], found.numbers["seconds_left"]) == (3.0, 3000.0)


def test_a_report_carries_the_outlook_that_a_live_run_has() -> None:
    columns = {"reward_mean": course("rises"), "lr": [1e-3] * N}
    told = scan_columns("REW009", columns, algorithm="grpo").meta["outlook"]
    live = outlook_of(columns, algorithm="grpo")
    assert (told["convergence"], told["probability"], told["schedule"]) == ("improving", live.probability, "constant")


@each_of(
    ("amount", "noise", "size", "probability"),
    [
        (5.0, 1.0, 1, 0.5), (5.5, 1.0, 1, 0.841345), (5.25, 1.0, 4, 0.841345), (4.5, 1.0, 1, 0.158655),
        (5.1, 0.0, 1, 1.0), (5.0, 0.0, 1, 0.0), (0.0, 1.0, 1, 0.5),
    ],
)  # fmt: skip
def test_how_sure_it_is_that_half_of_a_gain_is_lost(amount: float, noise: float, size: int, probability: float) -> None:
    assert Loss(amount, 10.0).sureness(noise, size) == pytest.approx(probability, abs=1e-6)
    assert (Loss(1.0, 0.0).share, Loss(1.0, 4.0).share) == (0.0, 0.25)
