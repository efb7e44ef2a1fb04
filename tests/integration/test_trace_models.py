"""Traces of real trainings: TRL, a compiled model, several ranks, workers of a DataLoader."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from rldk.determinism import check
from rldk.determinism.trace.facts import OperationTrace

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(900)]
ROOT = Path(__file__).parents[2]
GRPO = """import sys
sys.path.insert(0, {root!r})
from benchmarks import tiny
tiny.grpo(sys.argv[1], 3, []).train()
"""
COMPILED = """import torch
torch.manual_seed(0)
net = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 1))
run = torch.compile(net, backend="aot_eager")
optimizer = torch.optim.AdamW(net.parameters())
for step in range(3):
    loss = run(torch.randn(32, 8)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print("step", step, "loss", loss.item())
"""
RANKS = """import os
import torch, torch.distributed as dist
from torch.utils.data import DataLoader, Dataset

class Rows(Dataset):
    def __len__(self):
        return 32

    def __getitem__(self, n):
        generator = torch.Generator().manual_seed(n)
        return torch.randn(8, generator=generator) + {noise}

if __name__ == "__main__":
    dist.init_process_group("gloo")
    torch.manual_seed(0)
    net = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(8, 1))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for step, rows in enumerate(DataLoader(Rows(), batch_size=8, num_workers=1)):
        loss = net(rows).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if dist.get_rank() == 0:
            print("step", step, "loss", loss.item())
    dist.destroy_process_group()
"""


def _trace(tmp_path: Path, command: str) -> OperationTrace:
    report = check(command, replicas=2, trace=True, output_dir=tmp_path / "kept")
    assert report.trace is not None
    return report.trace


def _program(tmp_path: Path, text: str) -> Path:
    pytest.importorskip("torch")
    path = tmp_path / "train.py"
    path.write_text(text)
    return path


def test_a_training_of_grpo_agrees_in_every_operation(tmp_path: Path) -> None:
    pytest.importorskip("trl")
    path = _program(tmp_path, GRPO.format(root=str(ROOT)))
    trace = _trace(tmp_path, f"{sys.executable} {path} {{out}}")
    assert (trace.equal, trace.steps, trace.reason) == (True, 3, "")
    assert trace.operations > 3_000


def test_a_compiled_region_is_reported_as_not_seen(tmp_path: Path) -> None:
    trace = _trace(tmp_path, f"{sys.executable} {_program(tmp_path, COMPILED)}")
    assert (trace.equal, trace.steps) == (True, 3)
    assert any("inside a compiled region is not traced" in note for note in trace.notes)


@pytest.mark.parametrize("noise", ["0.0", "(torch.rand(()) if int(os.environ['RANK']) else 0.0)"])
def test_ranks_are_compared_one_by_one_and_workers_show_where_they_hand_over(noise: str, tmp_path: Path) -> None:
    """Draws of a worker depend on the seed of its loader, which is that of the rank: without a seed they differ."""
    text = RANKS.format(noise=noise)
    if noise != "0.0":
        text = text.replace("torch.manual_seed(0)", "torch.seed() if dist.get_rank() else torch.manual_seed(0)")
    path = _program(tmp_path, text)
    launch = f"{sys.executable} -m torch.distributed.run --standalone --nproc-per-node 2 {path}"
    trace = _trace(tmp_path, launch)
    assert {one.rpartition("-")[0] for one in trace.processes} >= {"rank-0", "rank-1"}
    assert trace.equal is (noise == "0.0")
    if not trace.equal:
        assert trace.difference is not None
        assert trace.difference.process.startswith("rank-1")
