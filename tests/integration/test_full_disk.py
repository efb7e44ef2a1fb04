"""Real trainings whose output folder is a real file system that is full: one warning, and the training goes on."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from rldk.adapters.open import open_run

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[2]
HEAD = """
import json, sys, warnings
warnings.filterwarnings("ignore")
from pathlib import Path
sys.path.insert(0, {root!r})
out = Path(sys.argv[1])
def fill(size=1 << 30):
    # takes so many bytes of the disk, or all that there are
    with (out / "filler").open("wb", buffering=0) as stream:
        try:
            while size > 0:
                size -= stream.write(b"x" * min(size, 4096))
        except OSError:
            pass
"""
SB3 = """
import torch
torch.set_num_threads(1)
from stable_baselines3 import PPO
from rldk.integrations.sb3 import RLDKCallback
fill(8192)
callback = RLDKCallback(out, run_id="r")
model = PPO("MlpPolicy", "CartPole-v1", n_steps=64, n_epochs=1, batch_size=64, seed=1, device="cpu")
model.learn(2560, callback=callback, log_interval=1)
print(json.dumps([model.num_timesteps, callback.recorder.rows, callback.recorder.guard.outage.missing]))
"""
TRL = """
from benchmarks import tiny
from rldk.integrations.trl import EventWriterCallback, PPOMonitor, RLDKCallback
class Frees(tiny.callback_class()):
    def on_step_begin(self, args, state, control, **more):
        if state.global_step == 3:
            fill()
        if state.global_step == 7:
            (out / "filler").unlink()
callback = RLDKCallback(out, run_id="r", samples=4)
also = [PPOMonitor(output_dir=out), EventWriterCallback(out / "written.jsonl")]
trainer = tiny.grpo(Path(sys.argv[2]) / "trl", 10, [Frees(), callback, *also])
trainer.train()
for path in out.iterdir():
    Path(sys.argv[2], path.name).write_bytes(path.read_bytes())
report = json.loads((out / "r_final_report.json").read_text())
print(json.dumps([trainer.state.global_step, report["numbers"]["rows"], report["meta"]["not_written"]]))
"""


@cache
def _can_mount() -> bool:
    """Whether this user may make a small file system, in a name space of its own."""
    if shutil.which("unshare") is None:
        return False
    words = ["unshare", "-rm", "sh", "-c", "mount -t tmpfs -o size=16k tmpfs /mnt"]
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


def _train(code: str, size: str, folder: Path) -> tuple[list[str], list[object]]:
    """What a training was told beside alerts, and what it printed at its end. Its output folder has so much space."""
    if not _can_mount():
        pytest.skip("needs a user who may mount a tmpfs (Linux name spaces)")
    (folder / "small").mkdir()
    (folder / "out").mkdir()
    (folder / "train.py").write_text(HEAD.format(root=str(ROOT)) + code)
    mount = f'mount -t tmpfs -o size={size} tmpfs "$0" && exec "$@"'
    words = [sys.executable, str(folder / "train.py"), str(folder / "small"), str(folder / "out")]
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", mount, str(folder / "small"), *words],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told = [line for line in done.stderr.splitlines() if line.startswith("rldk: ") and not line.startswith("rldk: [")]
    return told, json.loads(done.stdout.splitlines()[-1])


def test_a_disk_that_stays_full_is_said_in_one_line_and_learning_goes_on(tmp_path: Path) -> None:
    pytest.importorskip("stable_baselines3")
    told, (steps, rows, missing) = _train(SB3, "16k", tmp_path)
    assert (steps, rows) == (2560, 41)
    assert isinstance(missing, dict)
    assert {"r_metrics.csv", "r_events.jsonl", "r_final_report.json"} <= missing.keys()
    assert len(told) == 1
    assert "No space left on device. New rows and reports are lost until this is mended" in told[0]
    assert "the training and its checks go on. Free some space" in told[0]


def test_a_disk_that_is_full_for_a_while_costs_a_gap_that_is_told(tmp_path: Path) -> None:
    pytest.importorskip("trl")
    told, (steps, _, missing) = _train(TRL, "2m", tmp_path)
    assert steps == 10
    assert isinstance(missing, dict)
    assert len(told) == 2, "three callbacks share one warning, and one line says that writing works again"
    assert "missing: " in told[1]
    assert missing["r_events.jsonl"] > 0
    run = open_run(tmp_path / "out" / "r_events.jsonl")
    there = {int(step) for step in run.metrics.step}
    assert {1, 2, 9, 10} <= there
    assert len(there) < 10
    assert run.rejected_count <= 1, "the line that met the full disk may be cut short"
    report = json.loads((tmp_path / "out" / "r_final_report.json").read_text())
    assert report["meta"]["status"] == "finished"
