"""A data-parallel loop of two processes (gloo), watched by rldk: `python -m benchmarks.ranked_loop FOLDER FAULT`."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

STEPS = 8


def worker(folder: Path, fault: str) -> None:
    """One rank. It trains a small regression on its own part of the data; gradients are averaged over the ranks."""
    import torch
    import torch.distributed as dist

    import rldk

    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    rank = dist.get_rank()
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1))
    torch.manual_seed(0 if fault == "ranks-share-a-seed" else 100 + rank)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    with rldk.watch(model, optimizer, output_dir=folder, run_id="r", algorithm="grpo", echo=False) as w:
        for step in range(1, STEPS + 1):
            x = torch.randn(16, 8)
            reward = x[:, 0].tanh()
            loss = (model(x).squeeze(1) - reward).square().mean()
            loss.backward()
            for name, p in model.named_parameters():
                if not (fault == "ranks-diverge" and name.startswith("2.")):
                    dist.all_reduce(p.grad)
                    p.grad /= dist.get_world_size()
            optimizer.step()
            optimizer.zero_grad()
            dist.barrier()
            rows = [{"prompt": f"{x[i, 0]:.6f}", "response": "x", "reward": float(reward[i])} for i in range(4)]
            w.step({"loss": float(loss.detach()), "reward_mean": float(reward.mean())}, step=step, samples=rows)
    dist.destroy_process_group()


def launch(folder: Path, fault: str, *, ranks: int = 2) -> None:
    """Runs the ranks as processes and waits for them. Raises when one fails."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": str(ranks)}
    command = [sys.executable, "-m", "benchmarks.ranked_loop", str(folder), fault]
    started = [subprocess.Popen(command, env={**shared, "RANK": str(rank)}) for rank in range(ranks)]
    codes = [process.wait(timeout=300) for process in started]
    if any(codes):
        raise RuntimeError(f"the ranks ended with {codes}")


if __name__ == "__main__":
    worker(Path(sys.argv[1]), sys.argv[2])
