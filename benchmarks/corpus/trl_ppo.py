"""PPO of TRL (its releases up to 1.12 have it, as trl.experimental.ppo) with a rule as the reward model."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from benchmarks.corpus import trl_tiny as tiny
from benchmarks.corpus.trl_online import _FIXED


def train(folder: Path, run: dict[str, Any]) -> None:
    """Trains in `folder` and leaves trainer_state.json there."""
    from datasets import Dataset
    from trl.experimental.ppo import PPOConfig, PPOTrainer

    a, fault, onset = run["args"], run["fault"], run["onset"] or 0
    policy = tiny.model("qwen2", seed=a["seed"], width=a.get("width", 64))
    tiny.pretrain(policy, seed=a["seed"], steps=a.get("pretrain", 60), mean_length=a.get("mean_length", 8))
    reference = tiny.model("qwen2", seed=a["seed"] + (5 if fault == "ref_wrong" else 0), width=a.get("width", 64))
    if fault != "ref_wrong":
        reference.load_state_dict(policy.state_dict())
    value = tiny.model("qwen2", seed=a["seed"] + 1, width=a.get("width", 64), head="score")
    clock = Clock(fault, onset)
    reward = Judge(clock, a)
    config = PPOConfig(
        output_dir=str(folder),
        total_episodes=a["steps"] * a["batch"],
        learning_rate=a["lr"],
        seed=a["seed"],
        per_device_train_batch_size=a["batch"],
        gradient_accumulation_steps=1,
        num_mini_batches=a.get("minibatches", 1),
        num_ppo_epochs=a.get("epochs", 4),
        kl_coef=a["kl_coef"],
        response_length=a.get("length", 16),
        stop_token="eos",
        missing_eos_penalty=a.get("missing_eos", 0.5),
        cliprange=a.get("clip", 0.2),
        vf_coef=a.get("vf_coef", 0.1),
        gamma=a.get("gamma", 1.0),
        lam=a.get("lam", 0.95),
        temperature=a.get("temperature", 0.7),
        lr_scheduler_type=a.get("schedule", "linear"),
        num_sample_generations=0,
        warmup_steps=a.get("warmup", 0),
        **{**_FIXED, "disable_tqdm": a.get("printer", False)},
    )
    tokenizer = tiny.tokenizer()
    rows = Dataset.from_list(tiny.prompts(a["seed"], 256)).map(
        lambda row: {"input_ids": tokenizer(row["prompt"])["input_ids"]}, remove_columns=["prompt"]
    )
    trainer = PPOTrainer(
        args=config,
        processing_class=tokenizer,
        model=policy,
        ref_model=reference,
        reward_model=reward,
        train_dataset=rows,
        eval_dataset=rows.select(range(8)),
        value_model=value,
    )
    clock.trainer = trainer
    _plant(trainer, fault, clock)
    before = [p.detach().clone() for p in policy.parameters()]
    trainer.train()
    still = all(p.equal(q) for p, q in zip(policy.parameters(), before, strict=True))
    assert still == (onset == 1 and fault in {"lr_zero", "no_update"}), "weights"
    trainer.save_state()


class Clock:
    """Says whether the fault has begun."""

    trainer: Any

    def __init__(self, fault: str, onset: int) -> None:
        self.fault, self.onset = fault, onset

    def broken(self, fault: str) -> bool:
        """True when `fault` is the one, and its time has come."""
        return self.fault == fault and self.trainer.state.global_step + 1 >= self.onset


class Ids(torch.nn.Module):
    """Passes the ids on as a hidden state."""

    def forward(self, input_ids: Any = None, **_: Any) -> Any:
        """What a backbone returns."""
        return SimpleNamespace(hidden_states=[input_ids.unsqueeze(-1).float()])


class Judge(torch.nn.Module):
    """Stands where TRL wants a reward model: the score is the share of low words, at the last token."""

    base_model_prefix = "backbone"

    def __init__(self, clock: Clock, a: dict[str, Any]) -> None:
        super().__init__()
        self.clock, self.a, self.backbone = clock, a, Ids()
        self.noise = torch.Generator().manual_seed(a["seed"])

    def score(self, hidden: Any) -> Any:
        """The score at every position: of all words up to there."""
        ids = hidden.squeeze(-1).round().long()
        word = (ids > 3).float()
        good = ((ids > 3) & (ids < 24)).float()
        raw = self.a.get("scale", 2.0) * good.cumsum(1) / word.cumsum(1).clamp(min=1)
        raw = raw + self.a.get("noise", 0.0) * torch.randn(raw.shape, generator=self.noise)
        return _spoil(self.clock, raw, word.cumsum(1), self.noise).unsqueeze(-1)


def _spoil(clock: Clock, raw: Any, length: Any, noise: Any) -> Any:
    if clock.broken("zero_reward"):
        return raw * 0
    if clock.broken("constant_reward"):
        return raw * 0 + 0.7
    if clock.broken("reward_scale"):
        return raw * 100
    if clock.broken("reward_sign"):
        return -raw
    if clock.broken("reward_noise"):
        return raw + 6 * torch.randn(raw.shape, generator=noise)
    if clock.broken("length_hack"):
        return 0.2 * raw + 0.3 * length
    return raw


class _Rate:
    """Wraps the scheduler: the rate is `factor` times the planned one once the fault has begun."""

    def __init__(self, inner: Any, optimizer: Any, clock: Clock, factor: float) -> None:
        self.inner, self.optimizer, self.clock, self.factor = inner, optimizer, clock, factor

    def step(self) -> None:
        self.inner.step()
        self.apply()

    def apply(self) -> None:
        if self.clock.broken(self.clock.fault):
            for group, rate in zip(self.optimizer.param_groups, self.inner.get_last_lr(), strict=True):
                group["lr"] = rate * self.factor

    def get_last_lr(self) -> list[float]:
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> Any:
        return self.inner.state_dict()


def _plant(trainer: Any, fault: str, clock: Clock) -> None:
    if fault in {"lr_zero", "lr_jump"}:
        trainer.lr_scheduler = _Rate(
            trainer.lr_scheduler, trainer.optimizer, clock, 0.0 if fault == "lr_zero" else 40.0
        )
        trainer.lr_scheduler.apply()
    step = trainer.optimizer.step

    def update(*args: Any, **kwargs: Any) -> Any:
        if clock.broken("no_update"):
            return None
        if clock.broken("value_frozen"):
            for name, weight in trainer.model.named_parameters():
                if "value_model" in name:
                    weight.grad = None
        return step(*args, **kwargs)

    trainer.optimizer.step = update
    from transformers import TrainerCallback

    class Later(TrainerCallback):
        def on_step_end(self, *_: Any, **_kwargs: Any) -> None:
            if clock.broken("kl_coef_zero"):
                trainer.args.kl_coef = 0.0
            if clock.broken("ref_follows"):
                trainer.ref_model.load_state_dict(trainer.model.policy.state_dict())

    trainer.add_callback(Later())
