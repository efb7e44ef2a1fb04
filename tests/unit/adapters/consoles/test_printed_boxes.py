from __future__ import annotations

from pathlib import Path

import pytest
from examples import each_of

from rldk.adapters.consoles.boxes import PrintedBoxesConsole
from rldk.adapters.log import Log
from rldk.adapters.open import open_run
from rldk.adapters.source import File
from rldk.errors import NotALog

BASELINES = (
    "---------------------------\n| eplenmean       | 200     |\n| eprewmean       | {i}.5   |\n"
    "| nupdates        | {i}     |\n| total_timesteps | {i}000  |\n| value_loss      | 0.25    |\n"
    "---------------------------\n"
)
SPINUP = (
    "---------------------------------------\n|             Epoch |               {i} |\n"
    "|      AverageEpRet |            21.5 |\n|            LossPi |         -0.0123 |\n"
    "---------------------------------------\n"
)
AREAL = (
    "(AReaL) 20260101-10:00:00.000 INFO: Epoch 1/5 Step {i}/116 Train step {i}/580 done.\n╒═══════╤═══════╕\n"
    "│ ppo_actor/task_reward/avg │ 2.5000e-01 │ ppo_actor/update/grad_norm │ 1.2000e-01 │\n├───────┼───────┤\n"
    "│ ppo_actor/update/entropy/avg │ 3.1000e-01 │ timeperf/step │ 1.2e+01 │\n╘═══════╧═══════╛\n"
)
TRPO = (
    "********** Iteration {i} ************\n------------------------\n| EpRewMean | -100     |\n"
    "| KL        | 0.0038   |\n------------------------\n"
)


def boxes(form: str, steps: range = range(1, 6)) -> str:
    return "".join(form.replace("{i}", str(i)) for i in steps)


def read(path: Path, text: str) -> Log:
    path.write_text(text)
    return PrintedBoxesConsole(path).read()


@each_of(
    ("form", "scale", "framework", "key", "value"),
    [
        (BASELINES, 1000, "baselines", "eprewmean", 1.5),
        (SPINUP, 1, "spinup", "AverageEpRet", 21.5),
        (AREAL, 1, "areal", "ppo_actor/update/entropy/avg", 0.31),
        (TRPO, 1, "baselines", "KL", 0.0038),
    ],
)
def test_a_box_is_a_row(tmp_path: Path, form: str, scale: int, framework: str, key: str, value: float) -> None:
    log = read(tmp_path / "log.txt", "Logging to /tmp\n" + boxes(form))
    assert log.table.step.tolist() == [i * scale for i in range(1, 6)]
    assert (log.framework, log.table.columns[key][0]) == (framework, value)
    assert open_run(tmp_path / "log.txt").meta.format == "box-console"


def test_a_count_that_is_rounded_is_not_chosen(tmp_path: Path) -> None:
    text = boxes(SPINUP.replace("|            LossPi", "| TotalEnvInteracts |           4e+03 |\n|            LossPi"))
    assert read(tmp_path / "log.txt", text).table.step.tolist() == [1, 2, 3, 4, 5]


def test_boxes_without_any_count_are_counted(tmp_path: Path) -> None:
    text = boxes(TRPO).replace("Iteration", "Go")
    assert read(tmp_path / "log.txt", text).table.step.tolist() == [0, 1, 2, 3, 4]


def test_a_box_without_its_edge_is_refused(tmp_path: Path) -> None:
    log = read(tmp_path / "log.txt", boxes(BASELINES)[:-40])
    assert (len(log.table), log.rejected_count, log.lines) == (4, 1, 5)


def test_sb3_keeps_its_own_reader(tmp_path: Path) -> None:
    text = "-----------\n| time/              |      |\n|    total_timesteps | 500  |\n"
    text += "| train/  |   |\n|    loss | 0.3 |\n-----------\n"
    (tmp_path / "out").write_text(text * 3)
    assert open_run(tmp_path / "out").meta.format == "sb3-stdout"


@each_of(
    "text",
    [
        "| name | value |\n|---|---|\n| reward | 0.3 |\n",
        "| 0  Tesla T4   On | 00000000:00:1E.0 Off |\n| N/A 34C P8 | 0MiB / 15360MiB |\n" * 4,
        "+----+\n| rows | 3 |\n+----+\n" * 4,
        "| PPO_x | RUNNING | 10.0.0.1 | 3 | 12.3 | 4000 | 20.5 |\n" * 4,
    ],
)
def test_other_tables_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "x").write_text(text)
    assert PrintedBoxesConsole.sniff(File(tmp_path / "x")) == 0


HER = """Logging to /tmp/openai
-----------------------------------
| epoch              | 0          |
| stats_g/mean       | 0.893      |
| stats_g/std        | 0.122      |
| stats_o/mean       | 0.27       |
| test/episode       | 10         |
| test/mean_Q        | -1.75      |
| test/success_rate  | 0.1        |
| train/success_rate | 0.05       |
-----------------------------------
"""


def test_one_box_of_a_known_logger_is_a_log(tmp_path: Path) -> None:
    (tmp_path / "log.txt").write_text(HER)
    run = open_run(tmp_path / "log.txt")
    assert (run.meta.format, run.meta.framework, run.metrics.step.tolist()) == ("box-console", "baselines", [0])


def test_one_box_of_anything_is_none(tmp_path: Path) -> None:
    (tmp_path / "log.txt").write_text(
        "--------------------\n| epoch | 0 |\n| test/score | 0.1 |\n--------------------\n"
    )
    with pytest.raises(NotALog):
        open_run(tmp_path / "log.txt")
