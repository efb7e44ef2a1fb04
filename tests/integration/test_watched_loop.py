"""`rldk.watch` on real torch loops: what is broken is named within five steps, what is healthy is left alone."""

from __future__ import annotations

import copy
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
from benchmarks.plain_loop import Loop, Policy, train  # noqa: E402
from benchmarks.ranked_loop import launch  # noqa: E402

import rldk  # noqa: E402


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


@pytest.mark.parametrize("synced", [True, False])
def test_a_sampler_that_is_a_function_is_probed_after_each_sync(synced: bool, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Policy(dropout=0.1)
    sampler = copy.deepcopy(model).eval()

    def logp(ids: list[int]) -> list[float]:
        with torch.no_grad():
            told = sampler(torch.tensor([ids]))[0, :-1].log_softmax(-1)
        return [0.0, *told.gather(1, torch.tensor(ids[1:])[:, None]).squeeze(1).tolist()]

    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    alerts: list[str] = []
    with rldk.watch(model, optimizer, sampler=logp, output_dir=tmp_path, run_id="r", algorithm="grpo", echo=False) as w:
        for _ in range(5):
            model(torch.randint(0, 24, (8, 12))).log_softmax(-1)[..., 3].mean().backward()
            optimizer.step()
            optimizer.zero_grad()
            if synced:
                sampler.load_state_dict(model.state_dict())
            w.synced()
            alerts += [alert.rule for alert in w.step({"loss": 0.1})]
    rows = [json.loads(line)["metrics"] for line in (tmp_path / "r_events.jsonl").read_text().splitlines()]
    assert model.training
    assert all(("probe_logprob_dev" in row) and (row["probe_logprob_dev"] < 1e-4) == synced for row in rows)
    assert ("OFF003" in alerts) == (not synced)


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
