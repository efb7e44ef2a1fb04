"""What the tracer does inside a program that it traces: it disturbs nothing, and looks closer where runs differ."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rldk.determinism.replicas import TRACER
from rldk.determinism.trace.comparing import first_event, first_segment
from rldk.determinism.trace.reading import ProcessTrace, read_traces
from rldk.engine.processes.injection import injected

pytestmark = [pytest.mark.integration, pytest.mark.slow]
HEAD = "import sys, gc, torch\nbook = next(o for o in gc.get_objects() if type(o).__name__ == 'TraceBook')\n"
# an in-place write through .data, a view, memory shared with NumPy, large elementwise operations, and a matrix product
MANY = """import numpy as np, torch
torch.manual_seed(0)
w = torch.nn.Parameter(torch.randn(200, 200))
opt = torch.optim.AdamW([w])
seen = torch.zeros(200, 200)
memory = seen.numpy()
for step in range(6):
    memory[:] = step + {noise}
    loss = (torch.relu(w.t() * 2 + seen) @ w).square().mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    w.data.mul_(0.99)
"""


def _traced(code: str, folder: Path, **settings: str) -> tuple[str, dict[str, ProcessTrace]]:
    pytest.importorskip("torch")
    folder.mkdir()
    environment = {**os.environ, **injected(TRACER), "RLDK_TRACE": str(folder), "OMP_NUM_THREADS": "1", **settings}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout, read_traces(folder)


def test_an_error_in_the_tracer_never_ends_the_training(tmp_path: Path) -> None:
    code = f"{HEAD}book.stream.add = lambda *_: 1 / 0\nx = torch.ones(3)\nprint((x * 2).sum().item(), book.off)"
    said, traces = _traced(code, tmp_path / "t")
    assert said.split() == ["6.0", "True"]
    assert str(traces["main-1"].facts["failed"]).startswith("ZeroDivisionError")


def test_a_full_disk_never_ends_the_training(tmp_path: Path) -> None:
    code = f"{HEAD}book.stream._segments = open('/dev/full', 'wb')\nx = torch.ones(3)\nbook.advance()\nprint('went on')"
    assert _traced(code, tmp_path / "t")[0].split() == ["went", "on"]


def test_without_a_trace_nothing_is_patched(tmp_path: Path) -> None:
    code = (
        "import random, torch, numpy, threading, sys\n"
        "patched = [f for f in (random.Random.seed, torch.manual_seed, torch.compile, torch.Tensor.numpy,\n"
        "    numpy.random.seed, threading.Thread.start) if hasattr(f, '__wrapped__')]\n"
        "print(patched, [m for m in sys.modules if m.startswith('rldk_trace')])"
    )
    folder = tmp_path / "nowhere"
    environment = {**os.environ, **injected(TRACER), "RLDK_TRACE": str(folder)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split("]")[0] == "["


@pytest.mark.parametrize(
    ("noise", "step"), [("0", None), ("(np.random.default_rng().random() if step == 4 else 0)", 4)]
)
def test_memory_that_numpy_writes_to_is_read_each_time(noise: str, step: int | None, tmp_path: Path) -> None:
    code = MANY.format(noise=noise)
    first, second = (_traced(code, tmp_path / name)[1] for name in "ab")
    found = first_segment(first, second)
    assert (None if found is None else found.step) == step


def test_the_second_pair_sees_the_operation_that_the_first_had_no_room_for(tmp_path: Path) -> None:
    code = MANY.format(noise="(np.random.default_rng().random() if step == 4 else 0)")
    pairs = []
    for number, start in enumerate(("0", "3")):
        traces = [
            _traced(code, tmp_path / f"{number}{side}", RLDK_TRACE_BUDGET="40", RLDK_TRACE_START=start)[1]
            for side in "ab"
        ]
        segment = first_segment(*traces)
        assert segment is not None
        assert segment.step == 4
        pairs.append(first_event(segment, *(one["main-1"].events for one in traces)))
    assert pairs[0] is None
    assert pairs[1] is not None
    assert pairs[1].cause == "input"


def test_an_error_at_a_draw_never_ends_the_training(tmp_path: Path) -> None:
    draws = "random.random(), torch.manual_seed(3), numpy.random.default_rng(3).normal(), torch.rand(2)"
    code = f"{HEAD}import random, numpy\nbook._sites.find = lambda *_: 1 / 0\nprint(len([{draws}]))"
    said, traces = _traced(code, tmp_path / "t")
    assert said.split() == ["4"]
    assert str(traces["main-1"].facts["failed"]).startswith("ZeroDivisionError")


READS = """import collections, rldk_trace_digest as digest
book_reads, own = collections.Counter(), digest._of_memory
def counted(tensor, count):
    book_reads[tuple(tensor.shape)] += 1
    return own(tensor, count)
digest._of_memory = counted
net = torch.nn.Linear(200, 200)
opt = torch.optim.{kind}(net.parameters(), foreach={foreach})
for step in range(4):
    if step == 2:
        book_reads.clear()
    loss = torch.nn.functional.dropout(net(torch.randn(300, 200))).square().mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
print(sorted((shape, n) for shape, n in book_reads.items() if len(shape) == 2 and shape[0] > 1))
"""


@pytest.mark.parametrize(("kind", "foreach"), [("AdamW", False), ("AdamW", True)])
def test_of_a_step_only_what_was_computed_is_read(kind: str, foreach: bool, tmp_path: Path) -> None:
    """Large tensors, in two steps: the inputs, the output of the layer, and the gradient of its weights. Neither
    weights, which the optimizer makes element by element, nor their transposed view, nor the mask of the dropout."""
    said, traces = _traced(HEAD + READS.format(kind=kind, foreach=foreach), tmp_path / "t")
    assert said.strip() == "[((200, 200), 2), ((300, 200), 4)]"
    assert "failed" not in traces["main-1"].facts
