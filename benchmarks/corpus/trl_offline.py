"""DPO, KTO, reward modelling and supervised tuning of TRL on toy texts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.corpus import trl_tiny as tiny
from benchmarks.corpus.trl_online import _FIXED

_NAME = {"dpo": "DPO", "kto": "KTO", "reward_model": "Reward", "sft": "SFT"}
_SWAPPED = {"labels_swapped": 1.0, "labels_random": 0.5}


def train(folder: Path, run: dict[str, Any]) -> None:
    """Trains in `folder` and leaves trainer_state.json there."""
    import trl
    from datasets import Dataset

    from benchmarks.corpus.trl_faults import Planted, attach, planted

    a, fault, algo = run["args"], run["fault"], run["algo"]
    name = _NAME[algo]
    config = _config(getattr(trl, f"{name}Config"), folder, a, algo)
    trainer = planted(getattr(trl, f"{name}Trainer"))(
        model=_policy(a, folder, algo),
        args=config,
        processing_class=tiny.tokenizer(),
        train_dataset=Dataset.from_list(_rows(algo, a["seed"], a.get("rows", 256), fault)),
        eval_dataset=Dataset.from_list(_rows(algo, a["seed"] + 1, 32, "none")) if a.get("eval_every") else None,
    )
    attach(trainer, Planted(fault, run["onset"] or 0))
    before = [p.detach().clone() for p in trainer.model.parameters()]
    trainer.train()
    still = all(p.equal(q) for p, q in zip(trainer.model.parameters(), before, strict=True))
    frozen = run["onset"] == 1 and fault in {"lr_zero", "no_update", "loss_nan"}
    if fault != "pairs_equal":  # whose gradients cancel, at times exactly
        assert still == frozen, "the weights moved" if frozen else "the weights never moved"
    trainer.save_state()


def _policy(a: dict[str, Any], folder: Path, algo: str) -> Any:
    head = "score" if algo == "reward_model" else "lm"
    policy = tiny.model(a.get("model", "qwen2"), seed=a["seed"], width=a.get("width", 64), head=head)
    if algo in {"dpo", "kto"} and a.get("pretrain"):
        tiny.pretrain(policy, seed=a["seed"], steps=a["pretrain"], mean_length=8)
    return tiny.saved(policy, folder)


def _rows(algo: str, seed: int, count: int, fault: str) -> list[dict[str, Any]]:
    rows = tiny.pairs(seed, count, swapped=_SWAPPED.get(fault, 0.0), equal=fault == "pairs_equal")
    match algo:
        case "kto":
            both = [(row, good) for row in rows for good in (True, False)]
            return [
                {"prompt": r["prompt"], "completion": r["chosen" if g else "rejected"], "label": g} for r, g in both
            ]
        case "sft":
            return [{"text": row["prompt"] + row["chosen"]} for row in rows]
    return rows


def _config(kind: Any, folder: Path, a: dict[str, Any], algo: str) -> Any:
    optional = {key: a[key] for key in ("max_grad_norm", "loss_type", "weight_decay") if key in a}
    if algo in {"dpo", "kto"}:
        optional["beta"] = a["beta"]
    if a.get("eval_every"):
        optional |= {"eval_strategy": "steps", "eval_steps": a["eval_every"], "per_device_eval_batch_size": 8}
    return kind(
        output_dir=str(folder),
        max_steps=a["steps"],
        learning_rate=a["lr"],
        seed=a["seed"],
        max_length=64,
        per_device_train_batch_size=a.get("batch", 8),
        lr_scheduler_type=a.get("schedule", "linear"),
        warmup_steps=a.get("warmup", 0),
        disable_tqdm=a.get("printer", False),
        gradient_accumulation_steps=a.get("accumulate", 1),
        **{**_FIXED, "logging_steps": a.get("logging_steps", 1), "remove_unused_columns": True},
        **optional,
    )
