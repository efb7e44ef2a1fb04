"""What the callbacks cost a training: `python -m benchmarks.hooks`.

CPU time of the calling thread, for each call. A step of 100 ms is the yardstick: 3 % of it are 3 ms. The identities are
measured on a model of 10 million weights, in the same run as the same steps without them."""

from __future__ import annotations

import argparse
import gc
import math
import random
import statistics
import sys
import tempfile
from pathlib import Path
from time import thread_time_ns
from types import SimpleNamespace
from typing import Any

STEP_MS = 100.0
# what TRL's GRPO trainer logs on a step
KEYS = (
    "loss grad_norm learning_rate num_tokens completions/mean_length completions/min_length completions/max_length"
    " completions/clipped_ratio completions/mean_terminated_length completions/min_terminated_length"
    " completions/max_terminated_length rewards/exact/mean rewards/exact/std reward reward_std frac_reward_zero_std kl"
    " entropy clip_ratio/low_mean clip_ratio/high_mean clip_ratio/region_mean clip_ratio/low_min clip_ratio/high_max"
    " step_time epoch"
).split()


class GRPOConfig:
    """Arguments with the name of TRL's."""

    process_index = 0
    max_steps = 0

    def to_dict(self) -> dict[str, Any]:
        return {"learning_rate": 1e-6, "beta": 0.04, "num_generations": 8}


def row(step: int, draw: random.Random) -> dict[str, float]:
    """The metrics of a healthy step."""
    values = {key: 0.5 * math.exp(draw.gauss(0, 0.05)) for key in KEYS}
    return {
        **values,
        "learning_rate": 1e-6,
        "num_tokens": 1e4 * step,
        "epoch": step / 1000,
        "frac_reward_zero_std": 0.2,
    }


def logged_steps(hooks: Any, steps: int) -> tuple[list[float], list[float]]:
    """Microseconds of each `on_log`, and of each `on_step_end` of a step that does not log."""
    args, state = GRPOConfig(), SimpleNamespace(global_step=0, max_steps=steps, log_history=[])
    control = SimpleNamespace(should_training_stop=False, should_log=False, should_save=False)
    draw = random.Random(0)
    hooks.on_train_begin(args, state, control)
    logged, silent = [], []
    for step in range(1, steps + 1):
        state.global_step = step
        before = thread_time_ns()
        hooks.on_step_end(args, state, control)
        silent.append((thread_time_ns() - before) / 1e3)
        logs = row(step, draw)
        state.log_history.append(step)
        before = thread_time_ns()
        hooks.on_log(args, state, control, logs)
        logged.append((thread_time_ns() - before) / 1e3)
    hooks.on_train_end(args, state, control)
    return logged, silent


def events_only(folder: Path, steps: int) -> list[float] | None:
    """Microseconds of each `on_log` of `EventWriterCallback`; None without TRL."""
    try:
        from rldk.integrations.trl import EventWriterCallback
    except ImportError:
        return None
    callback = EventWriterCallback(folder / "written.jsonl")
    args, state, control = GRPOConfig(), SimpleNamespace(global_step=0, max_steps=steps), SimpleNamespace()
    draw, taken = random.Random(0), []
    for step in range(1, steps + 1):
        state.global_step = step
        logs = row(step, draw)
        before = thread_time_ns()
        callback.on_log(args, state, control, logs)
        taken.append((thread_time_ns() - before) / 1e3)
    callback.on_train_end(args, state, control)
    return taken


def plain_writer(folder: Path, steps: int) -> list[float]:
    """Microseconds of each `EventWriter.log` of the same rows: what the callback adds its names to."""
    from rldk.emit import EventWriter

    draw, taken = random.Random(0), []
    with EventWriter(folder / "plain.jsonl") as writer:
        for step in range(1, steps + 1):
            logs = row(step, draw)
            before = thread_time_ns()
            writer.log(logs, step=step)
            taken.append((thread_time_ns() - before) / 1e3)
    return taken


def identities(folder: Path, steps: int) -> tuple[float, float] | None:
    """Milliseconds of the measurements on each of `steps` optimizer steps (mean at the default cadence, and on a step
    that is measured); None without torch.

    Two optimizers of the same model take turns, one of them watched, so that both meet the same machine."""
    try:
        import torch
    except ImportError:
        return None
    from rldk.integrations.identities.cadence import Cadence
    from rldk.integrations.identities.meter import Meter
    from rldk.integrations.recorder import Recorder, Recording

    torch.set_num_threads(1)
    layers = [torch.nn.Linear(512, 512) for _ in range(38)]
    model, twin = (torch.nn.Sequential(*layers) for _ in range(2))  # one set of weights: 10 million
    ours, plain = (torch.optim.SGD(m.parameters(), lr=1e-6) for m in (model, twin))
    for p in model.parameters():
        p.grad = torch.full_like(p, 1e-3)
    recorder = Recorder(Recording(output_dir=folder, run_id="b", echo=False, rules=["GRAD001"]))
    meter = Meter(recorder, cadence=Cadence())
    meter.watch(model, ours, ref_model=torch.nn.Sequential(*(torch.nn.Linear(512, 512) for _ in range(38))))
    spent = []
    for _ in range(steps):
        before = thread_time_ns()
        plain.step()
        middle = thread_time_ns()
        ours.step()
        meter.end_of_step()
        spent.append(((thread_time_ns() - middle) - (middle - before)) / 1e6)
        recorder.judge.measured.clear()
    meter.detach()
    recorder.close()
    settled = spent[10:]  # beyond the first five steps, which are always measured
    return statistics.fmean(settled), statistics.median(settled[9::10])


def described(name: str, taken: list[float]) -> str:
    """The row of the table."""
    mean = statistics.fmean(taken)
    p50, p99 = quantile(taken, 0.5), quantile(taken, 0.99)
    return f"| {name} | {p50:.1f} us | {mean:.1f} us | {p99:.0f} us | {mean / STEP_MS / 10:.2f} % |"


def quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=2000)
    chosen = parser.parse_args()
    from rldk.integrations.recorder import Recording
    from rldk.integrations.trl.hooks import TrainerHooks

    folder = Path(tempfile.mkdtemp(prefix="rldk-hooks-"))
    hooks = TrainerHooks(Recording(output_dir=folder, run_id="a", echo=False), identity_interval=0)
    logged, silent = logged_steps(hooks, chosen.steps)
    lines = ["| what | p50 | mean | p99 | mean, of a 100 ms step |", "|---|---|---|---|---|"]
    lines.append(described("a logged step, default rules, 25 metrics", logged))
    gc.disable()
    uncollected = TrainerHooks(Recording(output_dir=folder, run_id="g", echo=False), identity_interval=0)
    lines.append(described("the same with garbage collection off", logged_steps(uncollected, chosen.steps)[0]))
    gc.enable()
    lines.append(described("a step that does not log", silent))
    at_once = TrainerHooks(
        Recording(output_dir=folder, run_id="c", echo=False, judge_every=1, rules="default"), identity_interval=0
    )
    each, _ = logged_steps(at_once, max(100, chosen.steps // 4))
    lines.append(described("the same with `judge_every=1`, as where an alert may stop the training", each))
    written = events_only(folder, chosen.steps)
    if written is not None:
        lines.append(described("`EventWriterCallback` alone", written))
    taken = plain_writer(folder, chosen.steps)
    lines.append(described("`EventWriter.log` of the same rows, for comparison", taken))
    measured = identities(folder, 210)
    if measured is not None:
        mean, peak = measured
        name = f"identities at the default cadence, 10 M weights ({peak:.1f} ms when measured)"
        lines.append(f"| {name} | | {mean:.2f} ms | | {mean / STEP_MS * 100:.1f} % |")
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
