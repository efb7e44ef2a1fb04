"""GRPO and RLOO of TRL on a toy task."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.corpus import trl_tiny as tiny
from benchmarks.corpus.label import tolerate_cut_answers
from benchmarks.corpus.trl_rewards import Brevity, Reward

_FIXED = {
    "report_to": "none",
    "save_strategy": "no",
    "logging_steps": 1,
    "use_cpu": True,
    "bf16": False,
    "dataloader_pin_memory": False,
    "remove_unused_columns": False,
}


def train(folder: Path, run: dict[str, Any]) -> None:
    """Trains in `folder` and leaves trainer_state.json there; stdout is the caller's."""
    import trl
    from datasets import Dataset

    from benchmarks.corpus.trl_faults import Planted, attach, planted

    a, fault, onset = run["args"], run["fault"], run["onset"] or 0
    policy = tiny.saved(_policy(a, fault), folder)
    rewards: list[Any] = [Reward(a["task"], fault, onset, noise=a.get("noise", 0.0), seed=a["seed"])]
    if a.get("brevity"):
        rewards.append(Brevity())
    name = run["algo"].upper()
    trainer = planted(getattr(trl, f"{name}Trainer"))(
        model=policy,
        reward_funcs=rewards,
        args=_config(getattr(trl, f"{name}Config"), folder, a),
        train_dataset=Dataset.from_list(tiny.prompts(a["seed"], 256)),
        eval_dataset=Dataset.from_list(tiny.prompts(a["seed"] + 1, 16)) if a.get("eval_every") else None,
        processing_class=tiny.tokenizer(),
    )
    attach(trainer, Planted(fault, onset))
    before = [p.detach().clone() for p in trainer.model.parameters()]
    trainer.train()
    _check(trainer, run, before)
    key = "completions/clipped_ratio"
    tolerate_cut_answers(run, [row[key] for row in trainer.state.log_history if key in row])
    trainer.save_state()
    if a.get("logging_steps", 1) == 1:
        rows = len(json.loads((folder / "trainer_state.json").read_text())["log_history"])
        assert rows >= a["steps"] - 2, f"{rows} rows of {a['steps']}"


def _policy(a: dict[str, Any], fault: str) -> Any:
    dropout = 0.25 if fault == "dropout_mismatch" else 0.0
    policy = tiny.model(a.get("model", "qwen2"), seed=a["seed"], width=a.get("width", 64), dropout=dropout)
    if a.get("pretrain", 60):
        tiny.pretrain(policy, seed=a["seed"], steps=a.get("pretrain", 60), mean_length=a.get("mean_length", 9))
    return policy


def _config(kind: Any, folder: Path, a: dict[str, Any]) -> Any:
    optional = {
        key: a[key]
        for key in (
            "loss_type",
            "scale_rewards",
            "entropy_coef",
            "epsilon",
            "epsilon_high",
            "max_grad_norm",
            "mask_truncated_completions",
            "temperature",
            "top_p",
        )
        if key in a
    }
    if a.get("eval_every"):
        optional |= {"eval_strategy": "steps", "eval_steps": a["eval_every"], "per_device_eval_batch_size": a["group"]}
    batch = a.get("batch", 16)
    return kind(
        output_dir=str(folder),
        max_steps=a["steps"],
        learning_rate=a["lr"],
        beta=a["beta"],
        seed=a["seed"],
        num_generations=a["group"],
        per_device_train_batch_size=batch // a.get("accumulate", 1),
        gradient_accumulation_steps=a.get("accumulate", 1),
        max_completion_length=a.get("length", 24),
        num_iterations=a.get("iterations", 1),
        lr_scheduler_type=a.get("schedule", "constant"),
        warmup_steps=a.get("warmup", 0),
        disable_tqdm=a.get("printer", False),
        **{**_FIXED, "logging_steps": a.get("logging_steps", 1)},
        **optional,
    )


def _check(trainer: Any, run: dict[str, Any], before: list[Any]) -> None:
    still = all(p.equal(q) for p, q in zip(trainer.model.parameters(), before, strict=True))
    frozen = run["onset"] == 1 and run["fault"] in {"lr_zero", "no_update", "loss_nan"}
    if run["fault"] not in {"zero_reward", "constant_reward"} and run["args"]["task"] != "solved":  # no reward differs
        assert still == frozen, "the weights moved" if frozen else "the weights never moved"
    if run["fault"] in {"constant_reward", "zero_reward"}:
        key = f"rewards/{run['args']['task']}/std"
        last = [row[key] for row in trainer.state.log_history if key in row][-1]
        assert last == 0, f"{key} is {last}"
