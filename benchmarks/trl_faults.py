"""Real trainings with TRL, healthy and broken in ways that leave the scalars untouched or ambiguous."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from benchmarks import tiny

RATE = 2e-3


def watched(folder: Path) -> Any:
    """The callback as a user adds it, silent."""
    from rldk.integrations.trl import RLDKCallback

    return RLDKCallback(folder, run_id="r", echo=False, samples=4)


def callback(**events: Callable[[Any], None]) -> Any:
    """A callback that breaks something at the given events; each gets the model or optimizer by its keyword."""
    from transformers import TrainerCallback

    made = type("Breaks", (TrainerCallback,), {})
    for name, action in events.items():
        setattr(made, name, _event(action))
    return made()


def _event(action: Callable[[Any], None]) -> Callable[..., None]:
    def call(self: Any, args: Any, state: Any, control: Any, **given: Any) -> None:
        action(given)

    return call


def optimizer(model: Any, parameters: Any = None, **options: Any) -> tuple[Any, None]:
    return torch.optim.AdamW(list(parameters or model.parameters()), lr=RATE, **options), None


def _grpo(folder: Path, seed: int, *, steps: int = 6, first: list[Any] | None = None, **more: Any) -> Any:
    given = {"max_completion_length": 12, "learning_rate": RATE, "seed": seed, **more}
    given.setdefault("model", tiny.taught_model())
    return tiny.grpo(folder / "out", steps, [*(first or []), watched(folder)], **given)


def _dpo(folder: Path, seed: int, *, steps: int = 6, **more: Any) -> Any:
    given = {"learning_rate": RATE, "seed": seed, "model": tiny.taught_model(), **more}
    return tiny.dpo(folder / "out", steps, [watched(folder)], **given)


def _sft(folder: Path, seed: int, *, steps: int = 6, **more: Any) -> Any:
    given = {"learning_rate": RATE, "seed": seed, "model": tiny.taught_model(), **more}
    return tiny.sft(folder / "out", steps, [watched(folder)], **given)


def optimizer_of_a_copy(folder: Path, seed: int) -> Any:
    model = tiny.taught_model()
    return _grpo(folder, seed, model=model, optimizers=optimizer(copy.deepcopy(model)))


def layer_not_in_the_optimizer(folder: Path, seed: int) -> Any:
    model = tiny.taught_model()
    part = [p for name, p in model.named_parameters() if ".h.1." not in name]
    return _grpo(folder, seed, model=model, optimizers=optimizer(model, part))


def group_without_a_rate(folder: Path, seed: int) -> Any:
    model = tiny.taught_model()
    late = [p for name, p in model.named_parameters() if ".h.1." in name]
    rest = [p for name, p in model.named_parameters() if ".h.1." not in name]
    made = torch.optim.AdamW([{"params": rest}, {"params": late, "lr": 0.0}], lr=RATE)
    return _grpo(folder, seed, model=model, optimizers=(made, None))


def gradients_zeroed(folder: Path, seed: int) -> Any:
    return _grpo(
        folder, seed, first=[callback(on_pre_optimizer_step=lambda g: g["model"].zero_grad(set_to_none=False))]
    )


def update_taken_back(folder: Path, seed: int) -> Any:
    kept: dict[str, Any] = {}
    return _grpo(
        folder,
        seed,
        first=[
            callback(
                on_step_begin=lambda g: kept.update(copy.deepcopy(g["model"].state_dict())),
                on_step_end=lambda g: g["model"].load_state_dict(kept) and None,
            )
        ],
    )


def reference_is_the_policy(folder: Path, seed: int) -> Any:
    trainer = _grpo(folder, seed)
    trainer.ref_model = trainer.model
    return trainer


def reference_follows(folder: Path, seed: int) -> Any:
    holder: list[Any] = []

    def follow(given: Mapping[str, Any]) -> None:
        with torch.no_grad():
            for theirs, ours in zip(holder[0].ref_model.parameters(), given["model"].parameters(), strict=True):
                theirs.lerp_(ours, 0.2)

    trainer = _grpo(folder, seed, first=[callback(on_step_end=follow)])
    holder.append(trainer)
    return trainer


MANY = {"per_device_train_batch_size": 64, "num_generations": 8}


def sampled_colder(folder: Path, seed: int) -> Any:
    return _grpo(folder, seed, generation_kwargs={"temperature": 0.4}, **MANY)


def sampled_from_the_top(folder: Path, seed: int) -> Any:
    return _grpo(folder, seed, generation_kwargs={"top_k": 5}, **MANY)


def dropout_in_both_passes(folder: Path, seed: int) -> Any:
    return _grpo(folder, seed, model=tiny.taught_model(dropout=0.3), num_iterations=2, steps=10)


def every_token_masked(folder: Path, seed: int) -> Any:
    return _grpo(folder, seed, mask_truncated_completions=True, generation_kwargs={"suppress_tokens": [1]})


def body_detached(folder: Path, seed: int) -> Any:
    model = tiny.taught_model()
    model.transformer.ln_f.register_forward_hook(lambda _, __, out: out.detach())
    return _grpo(folder, seed, model=model)


def dpo_reference_is_the_policy(folder: Path, seed: int) -> Any:
    trainer = _dpo(folder, seed)
    trainer.ref_model = trainer.model
    return trainer


def dpo_optimizer_of_a_copy(folder: Path, seed: int) -> Any:
    model = tiny.taught_model()
    return _dpo(folder, seed, model=model, optimizers=optimizer(copy.deepcopy(model)))


def sft_every_label_masked(folder: Path, seed: int) -> Any:
    trainer = _sft(folder, seed)
    collate = trainer.data_collator

    def masked(rows: list[Any]) -> Any:
        batch = collate(rows)
        batch["labels"] = torch.full_like(batch["labels"], -100)  # as of a response template that never matches
        return batch

    trainer.data_collator = masked
    return trainer


def sft_body_detached(folder: Path, seed: int) -> Any:
    model = tiny.taught_model()
    model.transformer.ln_f.register_forward_hook(lambda _, __, out: out.detach())
    return _sft(folder, seed, model=model)


# what is broken -> (the trainer, the codes one of which must name it)
FAULTS: dict[str, tuple[Callable[[Path, int], Any], frozenset[str]]] = {
    "trl-grpo optimizer-of-a-copy": (optimizer_of_a_copy, frozenset({"OPT006", "OPT001"})),
    "trl-grpo layer-not-in-the-optimizer": (layer_not_in_the_optimizer, frozenset({"OPT006"})),
    "trl-grpo group-without-a-rate": (group_without_a_rate, frozenset({"OPT016"})),
    "trl-grpo gradients-zeroed-before-the-step": (gradients_zeroed, frozenset({"GRAD015"})),
    "trl-grpo update-taken-back": (update_taken_back, frozenset({"OPT017"})),
    "trl-grpo reference-is-the-policy": (reference_is_the_policy, frozenset({"KL005"})),
    "trl-grpo reference-follows-the-policy": (reference_follows, frozenset({"KL005"})),
    "trl-grpo sampled-colder": (sampled_colder, frozenset({"OFF005"})),
    "trl-grpo sampled-from-the-top": (sampled_from_the_top, frozenset({"OFF005"})),
    "trl-grpo dropout-in-both-passes": (dropout_in_both_passes, frozenset({"CLIP001"})),
    "trl-grpo every-token-masked": (every_token_masked, frozenset({"LEN004"})),
    "trl-grpo body-detached": (body_detached, frozenset({"GRAD016"})),
    "trl-dpo reference-is-the-policy": (dpo_reference_is_the_policy, frozenset({"KL005"})),
    "trl-dpo optimizer-of-a-copy": (dpo_optimizer_of_a_copy, frozenset({"OPT006", "OPT001"})),
    "trl-sft every-label-masked": (sft_every_label_masked, frozenset({"LEN004"})),
    "trl-sft body-detached": (sft_body_detached, frozenset({"GRAD016"})),
}


def _lora() -> Any:
    from peft import LoraConfig

    return LoraConfig(r=4, lora_alpha=8, target_modules=["c_attn", "c_proj"], task_type="CAUSAL_LM")


def _rloo(folder: Path, seed: int) -> Any:
    given = {"max_completion_length": 12, "learning_rate": RATE, "seed": seed, "model": tiny.taught_model()}
    return tiny.rloo(folder / "out", 12, [watched(folder)], **given)


HEALTHY: dict[str, Callable[[Path, int], Any]] = {
    "trl-grpo": lambda f, s: _grpo(f, s, steps=12),
    "trl-grpo lora": lambda f, s: _grpo(f, s, steps=12, peft_config=_lora()),
    "trl-grpo accumulation": lambda f, s: _grpo(f, s, steps=12, gradient_accumulation_steps=2),
    "trl-grpo several-iterations": lambda f, s: _grpo(f, s, steps=12, num_iterations=2),
    "trl-grpo without-a-reference": lambda f, s: _grpo(f, s, steps=12, beta=0.0),
    "trl-grpo bf16": lambda f, s: _grpo(f, s, steps=12, bf16=True),
    "trl-rloo": _rloo,
    "trl-dpo": lambda f, s: _dpo(f, s, steps=12),
    "trl-dpo lora": lambda f, s: _dpo(f, s, steps=12, peft_config=_lora()),
    "trl-sft": lambda f, s: _sft(f, s, steps=12),
    "trl-sft dropout": lambda f, s: _sft(f, s, steps=12, model=tiny.taught_model(dropout=0.1)),
}


def train(make: Callable[[Path, int], Any], folder: Path, seed: int) -> list[Any]:
    """Trains and returns the alerts."""
    trainer = make(folder, seed)
    watch = next(c for c in trainer.callback_handler.callbacks if type(c).__name__ == "RLDKCallback")
    trainer.train()
    return list(watch.alerts)
