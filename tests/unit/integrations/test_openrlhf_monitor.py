"""The monitor at the logger seam of OpenRLHF, with the shapes of its 0.11."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

from rldk.errors import TrainingStopped
from rldk.integrations.openrlhf import MachineCounters, NodeRows, OpenRLHFMonitor, attach_to_trainers
from rldk.integrations.openrlhf.monitor import origin_of
from rldk.profiling.gpus import GpuCounters

HEAD = "Inter-|   Receive  |  Transmit\n face |bytes packets errs drop fifo frame compressed multicast|bytes ...\n"
ARGS = Namespace(
    algo=Namespace(advantage=Namespace(estimator="group_norm")),
    logger=Namespace(wandb=Namespace(key="0123456789abcdef0123456789abcdef01234567", project="p")),
    seed=4,
)


class Logger:
    """The interface of OpenRLHF's loggers."""

    def __init__(self) -> None:
        self.got: list[tuple[Any, ...]] = []

    def log_train(self, global_step: int, logs_dict: dict[str, Any]) -> None:
        self.got.append(("train", global_step, dict(logs_dict)))

    def log_eval(self, global_step: int, logs_dict: dict[str, Any]) -> None:
        self.got.append(("eval", global_step, dict(logs_dict)))

    def close(self) -> None:
        self.got.append(("close",))


def _monitor(folder: Path, **more: Any) -> OpenRLHFMonitor:
    return OpenRLHFMonitor(ARGS, folder, "r", echo=False, **more)


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_rows_evaluations_and_samples_are_recorded(tmp_path: Path) -> None:
    monitor = _monitor(tmp_path, samples=2)
    monitor.log_train(7, {"kl": 0.1, "reward": 0.5, "none": None, "generated_samples": ["2+2=4", 1.0]})
    monitor.log_eval(7, {"eval_math_pass1": 0.25, "eval_num_samples": 8})
    monitor.close()
    first, second = _rows(tmp_path / "r_events.jsonl")
    assert (first["metrics"]["kl"], first["metrics"]["reward_mean"]) == (0.1, 0.5)
    assert second["tags"] == {"phase": "eval"}
    (sample,) = _rows(tmp_path / "samples-r.jsonl")
    assert (sample["response"], sample["reward"], sample["step"]) == ("2+2=4", 1.0, 7)


def test_the_arguments_say_the_algorithm_and_keep_their_secrets() -> None:
    origin = origin_of(ARGS)
    assert (origin.framework, origin.algorithm, origin.dialect) == ("openrlhf", "grpo", "openrlhf")
    assert ARGS.logger.wandb.key not in str(origin.config)
    assert origin.config["seed"] == 4
    assert origin_of(None).algorithm is None


def test_a_trainer_keeps_its_own_logger(tmp_path: Path) -> None:
    logger = Logger()

    class Trainer:
        def __init__(self, wandb_logger: Any) -> None:
            self.args, self.wandb_logger = ARGS, wandb_logger

    attach_to_trainers(Trainer, lambda args: _monitor(tmp_path) if args is ARGS else None)
    for own in (logger, None):
        trainer = Trainer(own)
        assert trainer.wandb_logger
        trainer.wandb_logger.log_train(1, {"kl": 0.1})
        trainer.wandb_logger.log_eval(1, {"eval_x": 0.1})
        trainer.wandb_logger.close()
    assert [call[0] for call in logger.got] == ["train", "eval", "close"]


def test_a_stop_is_raised_after_the_row_is_written(tmp_path: Path) -> None:
    monitor = _monitor(tmp_path, stop_on="warn", alert_thresholds={"clip_fraction": 0.5})
    with pytest.raises(TrainingStopped):
        monitor.log_train(1, {"ppo_clip_ratio": 0.9})
    assert len(_rows(tmp_path / "r_events.jsonl")) == 1


def test_nodes_are_merged_by_rank_zero(tmp_path: Path) -> None:
    for rank, seconds in ((1, 2.0), (2, 6.0)):
        other = _monitor(tmp_path, rank=rank)
        other.log_train(8 - rank, {"timing/step_total": seconds})
        other.close()
    first = _monitor(tmp_path, rank=0)
    first.log_train(7, {"timing/step_total": 2.0})
    row = _rows(tmp_path / "r_events.jsonl")[0]["metrics"]
    assert (row["nodes/count"], row["nodes/lag_steps"], row["nodes/slowest_rank"]) == (3, 1, 2)
    assert row["nodes/memory_cpu_gb/max"] >= row["nodes/memory_cpu_gb/mean"] > 0


def test_a_step_that_one_node_takes_long_over_is_told_as_a_share_of_the_median(tmp_path: Path) -> None:
    for rank, seconds in ((1, 2.0), (2, 6.0)):
        line = {"step": 5, "metrics": {"step_time": seconds}}
        (tmp_path / f"r_events.rank{rank}.jsonl").write_text(json.dumps(line) + "\n")
    nodes = NodeRows(tmp_path, "r")
    nodes.poll()
    found = nodes.merged(5, {"step_time": 1.0})
    assert (found["nodes/straggler_ratio"], found["nodes/step_time/mean"], found["nodes/lag_steps"]) == (3.0, 3.0, 0.0)


def test_files_of_nodes_are_followed_and_bad_lines_are_left_out(tmp_path: Path) -> None:
    path, nodes = tmp_path / "r_events.rank1.jsonl", NodeRows(tmp_path, "r")
    for text, step in (
        ('{"step": 1, "metrics": {"a": 1}}\n{"step": 2, "met', 1),
        ('rics": {"a": 2}}\nno json\n{"step": "x"}\n[]\n{"metrics": {"a": 1e999}, "step": 1e999}\n', 2),
    ):
        with path.open("a") as stream:
            stream.write(text)
        nodes.poll()
        assert nodes.newest[1] == (step, {"a": float(step)})
    path.write_text('{"step": 0, "metrics": {"a": 9}}\n')  # begun again
    nodes.poll()
    assert nodes.newest[1] == (0, {"a": 9.0})


def test_the_network_is_read_as_rates_without_the_loopback(tmp_path: Path) -> None:
    path, times = tmp_path / "dev", iter([0.0, 2.0])

    def write(received: int, sent: int, errors: int) -> None:
        row = f"  {received} 1 {errors} 0 0 0 0 0  {sent} 1 0 0 0 0 0 0\n"
        path.write_text(f"{HEAD}    lo:{row}  eth0:{row}")

    write(1_000_000, 0, 0)
    counters = MachineCounters(path, lambda: next(times))
    write(5_000_000, 1_000_000, 3)
    found = counters.read()
    names = ("network_received_mb_per_s", "network_sent_mb_per_s", "network_errors")
    assert [found[name] for name in names] == [2.0, 0.5, 3.0]


class _TwoGpus(GpuCounters):
    """Two GPUs that do not tell their power."""

    def __init__(self) -> None:
        self.missing, self._devices = "", [0, 1]

    def each(self, name: str) -> list[float] | None:
        return {"busy": [0.4, 0.6], "memory": [5e9, 7e9], "temperature": [50.0, 60.0]}.get(name)


def test_counters_of_gpus_are_means_and_maxima_in_the_units_of_the_row(tmp_path: Path) -> None:
    counters = MachineCounters(tmp_path / "nothing", gpus=_TwoGpus())
    found = counters.read()
    assert (found["gpu_utilisation/mean"], found["gpu_memory_used_gb/max"], found["gpu_temperature_c/mean"]) == (
        0.5,
        7.0,
        55.0,
    )
    assert not [name for name in found if name.startswith("gpu_power")]
    assert counters.missing["gpu_power_w"] == "not available: the device does not tell"
    assert "gpu" not in counters.missing


def test_counters_that_are_not_there_are_named(tmp_path: Path) -> None:
    monitor = _monitor(tmp_path, counters=MachineCounters(tmp_path / "nothing"))
    assert monitor.missing["network"].startswith("not available")
    monitor.log_train(1, {"kl": 0.1})
    assert not [n for n in _rows(tmp_path / "r_events.jsonl")[0]["metrics"] if n.startswith("network")]


def test_the_mean_of_equal_measurements_is_none_of_the_larger(tmp_path: Path) -> None:
    nodes = NodeRows(tmp_path, "r")
    nodes.newest |= {rank: (1, {"memory": 0.4996096}) for rank in (1, 2)}  # the rounded sum of three is too large
    row = nodes.merged(1, {"memory": 0.4996096})
    assert (row["nodes/memory/mean"], row["nodes/memory/max"]) == (0.4996096, 0.4996096)
