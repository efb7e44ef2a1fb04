"""A directory of many short runs: what one costs, what a second process saves, and that memory does not grow with them.

A run has 200 rows of 12 metrics; 2,000 of them at scale 1. A quarter as many are made as a sweep writes them: with a
time in each row, evaluations in between, and a configuration for each run."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measure import Work, race
from benchmarks.result import Result

RUNS, ROWS = 2_000, 200
EVERY = 20  # rows from one evaluation of a sweep to the next
CPU_MS = 15.0  # of one run, reading included
SWEEP_MS = 25.0  # of one run with times, evaluations and a configuration of its own
FASTER = 1.8  # two processes against one, by the clock
HELD_KB = 40.0  # of memory a run more: its report is kept, the run is not
NAMES = (
    "reward_mean", "reward_std", "kl", "entropy", "loss", "policy_loss", "value_loss", "grad_norm", "lr", "clip_ratio",
    "response_length_mean", "kl_coef",
)  # fmt: skip


def results(work: Path, scale: float, repeats: int) -> list[Result]:
    few, many, sweep = work / "few", work / "many", work / "sweep"
    count = max(20, int(RUNS * scale))
    make_runs(few, count // 4)
    make_runs(many, count)
    make_sweep(sweep, count // 4)
    quarter, swept, one, two = race(
        Work(f"{__name__}:judge", f"{few} 1"),
        Work(f"{__name__}:judge", f"{sweep} 1"),
        Work(f"{__name__}:judge", f"{many} 1"),
        Work(f"{__name__}:judge", f"{many} 2"),
        repeats=repeats,
    )
    each_ms = (one.cpu_s - quarter.cpu_s) / (count - count // 4) * 1e3
    swept_ms = each_ms + (swept.cpu_s - quarter.cpu_s) / (count // 4) * 1e3  # what starts first cancels out
    grown_kb = (one.rss_mb - quarter.rss_mb) / (count - count // 4) * 1e3
    return [
        Result(
            job=f"doctor, {count} runs of {ROWS} x {len(NAMES)}",
            ours=one,
            against=f"{CPU_MS:g} ms a run",
            ratio=each_ms / CPU_MS,
            at_most=1.0,
            note=f"{each_ms:.1f} ms of CPU a run",
        ),
        Result(
            job="the same as a sweep writes them",
            ours=swept,
            against=f"{SWEEP_MS:g} ms a run",
            ratio=swept_ms / SWEEP_MS,
            at_most=1.0,
            note=f"{swept_ms:.1f} ms of CPU a run",
        ),
        Result(
            job="the first on two processes",
            ours=two,
            baseline=one,
            against="one, by the clock",
            ratio=one.facts["wall_s"] / two.facts["wall_s"],
            at_least=FASTER,
            note=f"{one.facts['wall_s']:.1f} and {two.facts['wall_s']:.1f} s",
        ),
        Result(
            job="memory of a run more",
            ours=one,
            baseline=quarter,
            against=f"{HELD_KB:g} kB",
            ratio=grown_kb / HELD_KB,
            at_most=1.0,
            note=f"{grown_kb:.0f} kB a run",
        ),
    ]


def make_runs(folder: Path, count: int) -> None:
    """Writes `count` directories with a log each, every one with noise of its own."""
    for run in range(count):
        rng = random.Random(run)
        home = folder / f"run_{run:05d}"
        home.mkdir(parents=True)
        (home / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in _rows(rng)))


def _rows(rng: random.Random) -> Iterator[dict[str, float]]:
    levels = [rng.uniform(0.1, 2.0) for _ in NAMES]
    for step in range(ROWS):
        values = {name: abs(rng.gauss(level, 0.05)) for name, level in zip(NAMES, levels, strict=True)}
        values |= {"lr": 1e-5, "kl_coef": 0.1, "reward_mean": step / ROWS + rng.gauss(0, 0.1)}
        yield {"step": step, **values}


def make_sweep(folder: Path, count: int) -> None:
    """Writes runs as a sweep does: a configuration for each, a time in each row, and evaluations in between."""
    for run in range(count):
        rng = random.Random(run)
        home = folder / f"run_{run:05d}"
        home.mkdir(parents=True)
        config = {"learning_rate": rng.choice((1e-6, 3e-6, 1e-5, 3e-5)), "beta": round(rng.uniform(0.01, 0.2), 3)}
        config |= {"seed": run, "max_grad_norm": 1.0, "per_device_train_batch_size": 8}
        (home / "run.json").write_text(json.dumps({"config": config}))
        lines, clock = [], 1_700_000_000.0 + 3600.0 * run
        for row in _rows(rng):
            clock += rng.uniform(2.0, 3.0)
            lines.append({**row, "time": clock, "lr": config["learning_rate"], "kl_coef": config["beta"]})
            if row["step"] % EVERY == EVERY - 1:
                clock += rng.uniform(5.0, 6.0)
                reward = row["reward_mean"] - abs(rng.gauss(0.1, 0.02))
                lines.append({"step": row["step"], "time": clock, "eval_reward_mean": reward, "eval_loss": row["loss"]})
        (home / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def judge(argument: str) -> dict[str, float]:
    """`argument`: the folder and the number of processes."""
    from rldk.diagnosis.many import Wanted, judge_paths

    folder, jobs = argument.split()
    begun = time.perf_counter()
    judged = judge_paths([folder], Wanted(curves=False), int(jobs))
    return {"wall_s": time.perf_counter() - begun, "reports": len(judged.reports)}
