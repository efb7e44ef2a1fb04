"""`rldk run --hooks` on scripts with the real packages: they print what they print without it, and their rows are
there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.integration
SRC = str(Path(__file__).parents[2] / "src")
LOOP = """
import gymnasium as gym, copy, random
env = gym.make("CartPole-v1")
env.reset(seed=1); env.action_space.seed(1)
total = 0.0
for step in range(300):
    _, reward, over, cut, _ = env.step(env.action_space.sample())
    total += reward
    if over or cut:
        env.reset()
        copy.deepcopy(env).step(0)  # a copy is an environment of its own
print(total, random.Random(3).random(), type(env).__name__)
env.close()
"""
PPO = """
import torch
torch.set_num_threads(1)
from stable_baselines3 import PPO
model = PPO("MlpPolicy", "CartPole-v1", seed=1, n_steps=64, batch_size=32, n_epochs=2, device="cpu")
model.learn(256, log_interval=1)
print(sum(float(p.detach().double().sum()) for p in model.policy.parameters()), float(torch.rand(1)))
"""
SUPERVISED = """
import torch
torch.set_num_threads(1)
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments, set_seed
set_seed(1)
size = dict(vocab_size=32, n_positions=16, n_embd=16, n_layer=1, n_head=2, bos_token_id=0, eos_token_id=0)
model = GPT2LMHeadModel(GPT2Config(**size))
data = [{"input_ids": torch.randint(0, 32, (8,)), "labels": torch.randint(0, 32, (8,))} for _ in range(16)]
args = TrainingArguments("out", max_steps=6, logging_steps=1, save_strategy="no", report_to=[], disable_tqdm=True)
Trainer(model, args, train_dataset=data).train()
print("sum", sum(float(p.detach().double().sum()) for p in model.parameters()), float(torch.rand(1)))
"""


GRPO = """
import os, sys
os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"
sys.path.insert(0, os.environ["ROOT"])
from pathlib import Path
from benchmarks import tiny
tiny.TRAINERS["grpo"](Path("out"), 6, []).train()
"""


def _run(words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": SRC, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=True, env=env)


@pytest.mark.parametrize(
    ("package", "script", "hooked", "row"),
    [
        (
            "gymnasium",
            LOOP,
            "make() of gymnasium",
            {"reward_mean", "observation_nonfinite_frac"},
        ),
        ("stable_baselines3", PPO, "learn() of Stable-Baselines3", {"train/loss", "ratio_first_minibatch_dev"}),
        ("transformers", SUPERVISED, "the callbacks of transformers (and of TRL)", {"loss", "weights_changed_frac"}),
    ],
    ids=["gymnasium", "sb3", "transformers"],
)
def test_a_script_is_recorded_and_does_what_it_does_without(
    package: str, script: str, hooked: str, row: set[str], tmp_path: Path
) -> None:
    pytest.importorskip(package)
    (tmp_path / "train.py").write_text(script)
    command = [sys.executable, "train.py"]
    plain = _run(command, tmp_path)
    watched = _run([sys.executable, "-m", "rldk", "run", "--hooks", "--run-dir", "run", "--", *command], tmp_path)
    assert watched.stdout.splitlines()[-1] == plain.stdout.splitlines()[-1]
    report: dict[str, Any] = json.loads((tmp_path / "run" / "report.json").read_text())
    assert hooked in report["hooks"]["hooked"]
    assert report["hooks"]["failed"] == {}
    lines = (tmp_path / "run" / "hooks" / "training_events.jsonl").read_text().splitlines()
    assert row <= {name for line in lines for name in json.loads(line)["metrics"]}


def test_the_samples_of_a_grpo_training_are_written_and_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("trl")
    monkeypatch.setenv("ROOT", str(Path(__file__).parents[2]))
    (tmp_path / "train.py").write_text(GRPO)
    words = [sys.executable, "-m", "rldk", "run", "--hooks", "--samples", "4", "--run-dir", "run"]
    _run([*words, "--", sys.executable, "train.py"], tmp_path)
    lines = (tmp_path / "run" / "hooks" / "samples-training.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    assert [record["step"] for record in records] == [step for step in range(1, 7) for _ in range(4)]
    assert all(record["prompt"] and record["token_ids"] and "advantage" in record for record in records)
    assert len({(record["step"], record["group_id"]) for record in records}) == 6  # one whole group of each step
    report: dict[str, Any] = json.loads((tmp_path / "run" / "report.json").read_text())
    (watched,) = (run for run in report["runs"] if run["source"]["path"].endswith("training_events.jsonl"))
    assert "ADV003" not in {check["code"] for check in watched["skipped"]}
