"""The genuine verl: its tracker, its metrics and its losses, on a policy of a few numbers. Its trainer needs a GPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("verl")
pytestmark = [pytest.mark.integration, pytest.mark.filterwarnings("ignore")]

from logger_seams import VERL, signatures  # noqa: E402

TRAINING = """
import json, sys
import numpy as np
import torch
from omegaconf import OmegaConf
from verl import DataProto
from verl.trainer.ppo.core_algos import compute_grpo_outcome_advantage, compute_policy_loss
from verl.trainer.ppo.metric_utils import compute_data_metrics, compute_timing_metrics, process_validation_metrics
from verl.utils.metric import reduce_metrics
from verl.utils.tracking import Tracking

out, broken = sys.argv[1], int(sys.argv[2])
torch.manual_seed(0)
config = OmegaConf.create({
    "algorithm": {"adv_estimator": "grpo"},
    "trainer": {
        "project_name": "math", "experiment_name": "tiny", "logger": ["console", "file", "rldk"],
        "total_training_steps": 8, "rldk": {"output_dir": out, "stop_on": "critical", "echo": False},
    },
})
tracking = Tracking(
    project_name=config.trainer.project_name, experiment_name=config.trainer.experiment_name,
    default_backend=config.trainer.logger, config=OmegaConf.to_container(config, resolve=True),
)
logits = torch.zeros(5, 7, requires_grad=True)
optimizer = torch.optim.Adam([logits], lr=0.05)
mask, uid = torch.ones(16, 5), np.repeat(np.arange(4), 4)
succeeded = False
try:
    for step in range(1, 9):
        with torch.no_grad():
            log_all = logits.log_softmax(-1).expand(16, 5, 7)
            answers = torch.distributions.Categorical(logits=log_all).sample()
            old = log_all.gather(-1, answers[..., None])[..., 0]
        scores = torch.zeros(16, 5)
        scores[:, -1] = (answers == 3).float().mean(-1)
        advantages, returns = compute_grpo_outcome_advantage(scores, mask, uid)
        now = logits.log_softmax(-1).expand(16, 5, 7).gather(-1, answers[..., None])[..., 0]
        loss, clipped, kl, lower = compute_policy_loss(old, now, advantages, mask, cliprange=0.2)
        optimizer.zero_grad()
        (loss * (float("nan") if step == broken else 1.0)).backward()
        norm = torch.nn.utils.clip_grad_norm_([logits], 1.0)
        if step != broken:
            optimizer.step()
        batch = DataProto.from_dict({
            "token_level_scores": scores, "token_level_rewards": scores, "advantages": advantages, "returns": returns,
            "responses": answers, "prompts": torch.ones(16, 3, dtype=torch.long), "response_mask": mask,
            "attention_mask": torch.ones(16, 8),
        })
        entropy = -(logits.softmax(-1) * logits.log_softmax(-1)).sum(-1).mean()
        metrics = reduce_metrics({
            "actor/entropy": [entropy.item()], "actor/pg_loss": [loss.item()], "actor/ppo_kl": [kl.item()],
            "actor/pg_clipfrac": [clipped.item()], "actor/grad_norm": [norm.item()], "actor/lr": [0.05],
        })
        metrics.update(compute_data_metrics(batch=batch, use_critic=False))
        metrics.update(compute_timing_metrics(batch=batch, timing_raw={"gen": 0.1, "step": 0.3}))
        if step == 4:
            found = process_validation_metrics(["gsm8k"] * 4, ["a", "a", "b", "b"], {"reward": [0.0, 1.0, 1.0, 1.0]})
            tracking.log(data={f"val-core/gsm8k/reward/{k}": v for k, v in found["gsm8k"]["reward"].items()}, step=step)
        tracking.log(data=metrics, step=step)
    succeeded = True
finally:
    tracking.finish(exit_code=0 if succeeded else 1)
"""


def _train(folder: Path, broken: int = 0) -> subprocess.CompletedProcess[str]:
    more = {
        "VERL_USE_EXTERNAL_MODULES": "rldk.integrations.verl.plugin",
        "VERL_FILE_LOGGER_PATH": str(folder / "file.jsonl"),
    }
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", TRAINING, str(folder), str(broken)],
        env={**os.environ, **more}, capture_output=True, text=True, check=False, cwd=folder,
    )  # fmt: skip


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_tracker_has_the_recorded_signatures() -> None:
    from verl.utils.tracking import Tracking

    assert signatures(Tracking, VERL) == VERL


def test_a_stop_leaves_the_loop_of_verl_at_its_step(tmp_path: Path) -> None:
    done = _train(tmp_path, broken=6)
    assert "TrainingStopped: rldk stopped the training" in done.stderr
    assert [event["step"] for event in _rows(tmp_path / "math" / "tiny_events.jsonl")][-1] == 6
    report = json.loads((tmp_path / "math" / "tiny_final_report.json").read_text())
    assert report["meta"]["status"] == "crashed"
    assert " at step 6: " in report["meta"]["stopped"]
