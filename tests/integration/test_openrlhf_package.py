"""The genuine OpenRLHF: its trainer's step, its rollout statistics, its logs and its TensorBoard logger.

What needs a GPU stands in: flash_attn, vllm and deepspeed are empty modules, the actor answers with numbers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("openrlhf")
pytestmark = [pytest.mark.integration, pytest.mark.filterwarnings("ignore")]

TRAINING = """
import importlib.machinery, json, sys, types
from argparse import Namespace
import torch, transformers
import transformers.integrations.flash_attention, transformers.modeling_flash_attention_utils

class Empty(types.ModuleType):
    __path__ = []
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})

class GpuPackages:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("flash_attn", "vllm", "deepspeed"):
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
    def create_module(self, spec):
        return Empty(spec.name)
    def exec_module(self, module): ...

sys.meta_path.insert(0, GpuPackages())
import openrlhf.trainer.ppo_trainer as genuine
from openrlhf.trainer.ppo_utils.experience import Experience
from logger_seams import OPENRLHF, signatures
from openrlhf.utils.logging_utils import TensorboardLogger, WandbLogger
from rldk.integrations.openrlhf import OpenRLHFMonitor, attach_to_trainers

out, broken = sys.argv[1], int(sys.argv[2])
for logger in (WandbLogger, TensorboardLogger):
    assert signatures(logger, OPENRLHF) == OPENRLHF, signatures(logger, OPENRLHF)
genuine.ray = types.SimpleNamespace(get=lambda refs: refs)
args = Namespace(
    algo=Namespace(
        advantage=Namespace(estimator="group_norm"), kl=Namespace(target=None, init_coef=0.01, horizon=100),
    ),
    logger=Namespace(
        wandb=Namespace(key=None, run_name="tiny"), tensorboard_dir=f"{out}/tensorboard", logging_steps=1,
    ),
    ckpt=Namespace(best_metric_key="", save_steps=float("inf")), critic=Namespace(freezing_steps=-1),
    ds=Namespace(enable_sleep=False), train=Namespace(dynamic_batch_enable=False),
    rollout=Namespace(batch_size=4, n_samples_per_prompt=1),
)
attach_to_trainers(
    genuine.BasePPOTrainer,
    lambda args: OpenRLHFMonitor(args, out, "r", samples=1, stop_on="critical", echo=False),
)
step_of = [0]

class Actor:
    def async_run_method_batch(self, **given):
        return []
    def async_run_method(self, method_name, **given):
        norm = float("nan") if step_of[0] == broken else 0.5
        return [{"policy_loss": -0.1, "kl": 0.01, "ppo_clip_ratio": 0.02, "actor_grad_norm": norm, "actor_lr": 1e-6}]

class Trainer(genuine.BasePPOTrainer):
    def fit(self, global_step=0):
        for global_step in range(1, 8):
            step_of[0] = global_step
            status, _ = self.train_step(None, global_step - 1)
            self.save_logs_and_checkpoints(global_step, status, {})
            if global_step == 4:
                genuine.PPOTrainer.__ray_metadata__.modified_class.evaluate(self, global_step, n_samples_per_prompt=1)
        for logger in (self.wandb_logger, self.tensorboard_logger):
            logger.close()

tokenizer = Namespace(decode=lambda ids, skip_special_tokens: ["2 + 2 = 4"])
trainer = Trainer(Namespace(args=args), Actor(), None, None, None, None, tokenizer)
batch = Experience(
    sequences=torch.ones(4, 6, dtype=torch.long), response_length=torch.tensor([2, 3, 4, 5]),
    truncated=torch.tensor([0, 0, 0, 1]), info={"reward": torch.tensor([0.0, 1.0, 1.0, 0.0])},
)
trainer.experience_maker.make_experience_batch = lambda samples: [batch]
trainer.eval_dataloader = None
trainer.samples_generator = Namespace(generate_eval_samples=lambda **given: [])
genuine.compute_eval_metrics = lambda *given: {"eval_math_pass1": 0.25}
trainer.fit()
"""


def _train(folder: Path, broken: int = 0) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(Path(__file__).parents[1] / "shared"), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", TRAINING, str(folder), str(broken)],
        env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False, cwd=folder,
    )  # fmt: skip


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_trainer_of_openrlhf_logs_to_the_monitor_beside_its_own_logger(tmp_path: Path) -> None:
    done = _train(tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    events = _rows(tmp_path / "r_events.jsonl")
    train = [event for event in events if not event.get("tags")]
    assert [event["step"] for event in train] == list(range(1, 8))
    assert [event["step"] for event in events if event.get("tags") == {"phase": "eval"}] == [4]
    assert train[0]["metrics"]["reward_mean"] == 0.5
    assert train[0]["metrics"].keys() >= {"kl", "clip_frac", "grad_norm_policy", "lr", "response_length_mean"}
    assert {sample["response"] for sample in _rows(tmp_path / "samples-r.jsonl")} == {"2 + 2 = 4"}
    report = json.loads((tmp_path / "r_final_report.json").read_text())
    assert (report["meta"]["status"], report["meta"]["failures"]) == ("finished", {})
    assert list((tmp_path / "tensorboard").rglob("events.out.tfevents.*"))


def test_a_stop_leaves_the_loop_of_openrlhf_at_its_step(tmp_path: Path) -> None:
    done = _train(tmp_path, broken=5)
    assert "TrainingStopped: rldk stopped the training" in done.stderr
    assert [event["step"] for event in _rows(tmp_path / "r_events.jsonl")][-1] == 5
    report = json.loads((tmp_path / "r_final_report.json").read_text())
    assert report["meta"]["status"] == "crashed"
    assert " at step 5: " in report["meta"]["stopped"]
