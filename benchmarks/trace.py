"""What the trace of operations costs a training: `python -m benchmarks.trace [width depth length batch steps]`.

One process, one thread: blocks of steps with and without the record alternate, so that load on the machine meets both.
The first step of a block is left out: nothing is remembered of the steps before it, as it is in a real trace. The bare
cost of a dispatch mode is in both of them; the first line of each round is of the same model without any."""

from __future__ import annotations

import gc
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rldk.determinism.replicas import TRACER
from rldk.engine.processes.injection import injected

DEFAULT = ("256", "4", "64", "12", "24")
BLOCK, ROUNDS = 4, 3


def train(width: int, depth: int, length: int, batch: int, steps: int) -> None:
    """Trains a transformer, and prints the median CPU milliseconds of a step with and without the record."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(width, 8, 4 * width, 0.1, batch_first=True)
    net = nn.Sequential(nn.TransformerEncoder(layer, depth, enable_nested_tensor=False), nn.Linear(width, 1))
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-4)
    book = next((one for one in gc.get_objects() if type(one).__name__ == "TraceBook"), None)
    times: dict[str, list[float]] = {"not recorded": [], "recorded": []}
    for step in range(steps):
        name = "recorded" if step // BLOCK % 2 else "not recorded"
        if book is not None:
            book.off = name == "not recorded"
        start = time.process_time()
        loss = net(torch.randn(batch, length, width)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % BLOCK:
            times[name].append(time.process_time() - start)
    for name, each in times.items() if book else (("plain", [*times["recorded"], *times["not recorded"]]),):
        print(f"{name}: {1000 * statistics.median(each):.1f} ms a step", flush=True)


def main() -> None:
    """Runs the training without and with the tracer."""
    sizes = sys.argv[1:] or list(DEFAULT)
    argv = [sys.executable, __file__, "--inside", *sizes]
    with tempfile.TemporaryDirectory() as folder:
        for hooks in ({}, {**injected(TRACER), "RLDK_TRACE": folder}) * ROUNDS:
            environment = {**os.environ, "OMP_NUM_THREADS": "1", **hooks}
            subprocess.run(argv, env=environment, check=True, cwd=Path(__file__).parents[1])


if __name__ == "__main__":
    if sys.argv[1:2] == ["--inside"]:
        train(*map(int, sys.argv[2:]))
    else:
        main()
