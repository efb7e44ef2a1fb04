"""Healthy synthetic streams: what a metric of a healthy run may look like, to count false alarms on.

python -m benchmarks.corpus.streams --out DIR [--runs 200] [--seed 0]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Series = NDArray[np.float64]
Rng = np.random.Generator
KINDS = ("flat", "learning", "noisy", "heavy", "ar", "resumed", "irregular", "discrete", "shrinking")


def noise(rng: Rng, steps: int, kind: str) -> Series:
    """`(steps,)` noise of unit scale: normal, t with 3 or 4 degrees, or AR(1) of up to 0.9."""
    if kind == "heavy":
        return rng.standard_t(rng.choice((3, 4)), steps) / 2**0.5
    if kind != "ar":
        return rng.normal(0, 1, steps)
    rho = rng.choice((0.5, 0.7, 0.9))
    out, drive = np.empty(steps), rng.normal(0, (1 - rho**2) ** 0.5, steps)
    level = rng.normal()
    for i, step in enumerate(drive):
        level = rho * level + step
        out[i] = level
    return out


def course(rng: Rng, steps: int, kind: str) -> Series:
    """`(steps,)` from 0 to 1: how far the learning has come; all 0 in a flat run."""
    if kind == "flat":
        return np.zeros(steps)
    t = np.arange(steps) / steps
    middle, width = rng.uniform(0.2, 0.6), rng.uniform(0.08, 0.25)
    shapes: tuple[Callable[[], Series], ...] = (
        lambda: 1 / (1 + np.exp(-(t - middle) / width)),
        lambda: 1 - np.exp(-t / width),
        lambda: t,
    )
    found = shapes[rng.integers(len(shapes))]()
    return (found - found[0]) / (found[-1] - found[0])


def rate(rng: Rng, level: Series, count: int) -> Series:
    """`(steps,)` shares of `count` samples: multiples of 1/count, with runs of zeros where `level` is small."""
    return rng.binomial(count, np.clip(level, 0, 1)) / count


def healthy(seed: int) -> tuple[str, list[dict[str, float]]]:
    """The kind of the run and its rows, under canonical names; the same for the same seed."""
    rng = np.random.default_rng(seed)
    kind = KINDS[seed % len(KINDS)]
    steps = int(rng.choice((60, 100, 150, 250, 400)))
    far, loud = course(rng, steps, kind), 2.0 if kind == "noisy" else 1.0
    if kind == "shrinking":
        loud = np.linspace(1.5, 0.2, steps)

    def around(level: Series, spread: float) -> Series:
        return level + spread * loud * noise(rng, steps, kind)

    def positive(level: Series, spread: float) -> Series:
        return level * np.exp(spread * loud * np.clip(noise(rng, steps, kind), -6, 6))

    samples, length = int(rng.choice((32, 64, 128))), rng.uniform(20, 300)
    start, gain = rng.uniform(0.1, 0.4), rng.uniform(0.1, 0.5)
    peak = 10 ** rng.uniform(-6, -3)
    planned = (np.ones(steps), np.linspace(1, 0, steps, endpoint=False), np.cos(np.linspace(0, np.pi / 2, steps)) ** 2)
    columns = {
        "reward_mean": around(start + gain * far, 0.03),
        "reward_std": positive(np.full(steps, 0.3) * (1 - 0.3 * far), 0.06),
        "kl": positive(0.001 + 0.05 * far, 0.12),
        "entropy": positive(rng.uniform(1, 3) * (1 - 0.35 * far), 0.015),
        "grad_norm": positive(np.full(steps, rng.uniform(0.2, 2.0)) * (1 - 0.2 * far), 0.2),
        "policy_loss": around(np.zeros(steps), 0.02),
        "approx_kl": positive(np.full(steps, rng.uniform(5e-4, 5e-3)), 0.3),
        "clip_frac": rate(rng, np.full(steps, rng.choice((0.002, 0.01, 0.05))) * loud, 64 * 16 if seed % 2 else 64),
        "response_length_mean": positive(length * (1 + rng.uniform(-0.3, 0.4) * far), 0.05),
        "truncated_frac": rate(rng, np.full(steps, rng.choice((0.0, 0.01, 0.06))), samples),
        "learning_rate": peak * planned[rng.integers(3)] * np.minimum(1, np.arange(1, steps + 1) / rng.choice((1, 10))),
        "time_step_s": positive(np.full(steps, rng.uniform(0.5, 20)), 0.05),
        "memory_gpu_gb": np.full(steps, rng.uniform(10, 60)) + np.minimum(np.arange(steps), 5) * 0.1,
    }
    columns["loss"] = columns["policy_loss"] + 0.04 * columns["kl"]
    if seed % 3 == 0:
        columns |= {
            "value_loss": positive(np.full(steps, 0.2) * (1 - 0.5 * far), 0.15),
            "value_explained_variance": np.minimum(around(0.1 + 0.6 * far, 0.06), 1.0),
        }
    rows = [{"step": float(i + 1)} | {k: float(f"{v[i]:.6g}") for k, v in columns.items()} for i in range(steps)]
    return kind, _shape(rows, kind, rng)


def _shape(rows: list[dict[str, float]], kind: str, rng: Rng) -> list[dict[str, float]]:
    if kind == "resumed":  # goes back to a checkpoint: some steps are logged twice
        at, back = int(len(rows) * rng.uniform(0.3, 0.7)), int(rng.integers(0, 12))
        return rows[:at] + rows[max(0, at - back) :]
    if kind == "irregular":  # rows left out, values missing, evaluation rows between
        out = []
        for row in rows:
            if rng.random() < 0.25:
                continue
            out.append({k: v for k, v in row.items() if k == "step" or rng.random() > 0.1})
            if row["step"] % 20 == 0:
                out.append({"step": row["step"], "eval_reward_mean": row["reward_mean"]})
        return out
    return rows


def write(out: Path, runs: int, seed: int) -> None:
    """Writes `runs` folders, each with metrics.jsonl and label.json."""
    for number in range(seed, seed + runs):
        kind, rows = healthy(number)
        folder = out / f"{kind}-{number:04d}"
        folder.mkdir(parents=True)
        (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        label = {"fault": "none", "algo": "ppo" if number % 3 == 0 else "grpo", "onset": None}
        label |= {"framework": "canonical", "dialect": "canonical", "families": [], "tolerated": []}
        label |= {"args": {"kind": kind, "seed": number}}
        (folder / "label.json").write_text(json.dumps(label, indent=1) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.corpus.streams", description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    write(options.out, options.runs, options.seed)
