"""`rldk.watch` on real torch loops: what is broken is named within five steps, what is healthy is left alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))  # benchmarks

from benchmarks.identities import OPTIONS, PLAIN, RANKED, WITHIN, loud  # noqa: E402
from benchmarks.plain_loop import Loop, train  # noqa: E402
from benchmarks.ranked_loop import launch  # noqa: E402


@pytest.mark.parametrize("fault", sorted(PLAIN))
def test_a_fault_that_scalars_do_not_show_is_named_within_five_steps(fault: str, tmp_path: Path) -> None:
    told = loud(train(Loop(tmp_path, fault, steps=WITHIN + 1, **OPTIONS.get(fault, {}))).alerts)
    assert [step for code, step in told if code in PLAIN[fault] and step <= WITHIN], told


@pytest.mark.parametrize("kind", ["plain", "several-epochs", "adapter"])
def test_a_healthy_loop_is_not_warned(kind: str, tmp_path: Path) -> None:
    epochs = 2 if kind == "several-epochs" else 1
    assert loud(train(Loop(tmp_path, steps=12, lr=3e-3, epochs=epochs, adapter=kind == "adapter")).alerts) == []


@pytest.mark.parametrize("fault", ["", *RANKED])
def test_two_ranks_write_files_of_their_own_and_are_compared(fault: str, tmp_path: Path) -> None:
    launch(tmp_path, fault)
    names = {path.name for path in tmp_path.iterdir()}
    assert {"r_events.jsonl", "r_events.rank1.jsonl", "r_final_report.json"} <= names
    alerts = json.loads((tmp_path / "r_alerts.json").read_text())
    told = {a["rule"] for a in alerts if a["severity"] != "info"}
    assert told & {"SYS003", "SYS004"} == (RANKED[fault] if fault else set())


LOOP = """
import sys, time, torch, rldk
model = torch.nn.Linear(4, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
with rldk.watch(model, optimizer, output_dir=sys.argv[1], run_id="r", echo=False) as w:
    while True:
        loss = (model(torch.randn(8, 4)) ** 2).mean()
        optimizer.zero_grad(); loss.backward(); optimizer.step()
        w.step({"loss": loss.item()})
        time.sleep(0.01)
"""


def test_a_killed_training_loses_no_more_than_the_line_in_flight(tmp_path: Path) -> None:
    paths = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    process = subprocess.Popen([sys.executable, "-c", LOOP, str(tmp_path)], env={**os.environ, "PYTHONPATH": paths})
    events = tmp_path / "r_events.jsonl"
    deadline = time.monotonic() + 120
    while not (events.exists() and events.stat().st_size > 4000):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    lines = events.read_text().splitlines()
    steps = [json.loads(line)["step"] for line in lines[:-1]]
    assert steps == list(range(1, len(lines)))
