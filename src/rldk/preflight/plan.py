"""What the batch sizes of a configuration come to: prompts and completions of a step, steps, and epochs."""

from __future__ import annotations

from rldk.core.algorithms import GROUP, LLM_POLICY
from rldk.preflight.memory import Load
from rldk.rules.before.system_batch import processes
from rldk.rules.subject import ConfigView

_ACTOR, _ROLLOUT = "actor_rollout_ref.actor", "actor_rollout_ref.rollout"


def plan(c: ConfigView, rows: int | None = None) -> dict[str, float | int | None]:
    """The numbers of the plan, as far as the configuration states them; `rows`: of the data set.

    Where the number of processes is not stated, TRL's numbers are those of one process (`processes` is then None)."""
    prompts, completions = per_step(c)
    found: dict[str, float | int | None] = {"processes": processes(c)}
    if prompts:
        found["prompts_per_step"] = prompts
    if completions:
        found["completions_per_step"] = completions
    steps = c.count("max_steps", "trainer.total_training_steps")
    epochs = c.number("epochs") if c.framework is None else _epochs(c)
    per_epoch = None if not rows or not prompts else max(1, rows // prompts)
    if steps is None and per_epoch and epochs:
        steps = int(per_epoch * epochs)
    if steps:
        found["steps"] = steps
    if steps and per_epoch:
        found["epochs"] = round(steps / per_epoch, 3)
    return found


def per_step(c: ConfigView) -> tuple[int | None, int | None]:
    """The prompts (or examples) and the completions of one step; None where they are not stated."""
    if c.framework == "verl":
        prompts, n = c.count("data.train_batch_size"), c.count(f"{_ROLLOUT}.n", default=1)
        return prompts, prompts * n if prompts and n and c.algorithm in LLM_POLICY else None
    if c.framework == "openrlhf":
        prompts, n = c.count("rollout.batch_size", "train.batch_size"), c.count("rollout.n_samples_per_prompt")
        return prompts, prompts * n if prompts and n else None
    each = c.count("per_device_train_batch_size")
    if each is None:
        return None, None
    whole = each * (processes(c) or 1) * (c.count("gradient_accumulation_steps", default=1) or 1)
    group = c.count("num_generations", default=8)
    if c.algorithm not in GROUP or not group:
        return whole, None
    return None if whole % group else whole // group, whole


def _epochs(c: ConfigView) -> float | None:
    for key in ("num_train_epochs", "trainer.total_epochs", "train.num_episodes"):
        value = c.named(key)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
    return None


def load_of(c: ConfigView) -> Load:
    """The memory load of one backward pass, as the configuration states it."""
    prompt = c.count("max_prompt_length", "data.max_prompt_length", default=512) or 512
    answer = c.count("max_completion_length", "data.max_response_length", "rollout.max_new_tokens")
    length = prompt + answer if answer else c.count("max_length", "data.max_len", "max_seq_length", default=1024)
    engine = c.is_on("use_vllm") or c.framework in ("verl", "openrlhf")
    beta = c.number("kl_coef")
    batch = c.count(
        "per_device_train_batch_size", f"{_ACTOR}.ppo_micro_batch_size_per_gpu", "train.micro_batch_size", default=8
    )
    return Load(
        batch=batch or 8,
        length=length or 1024,
        optimizer=str(c.get("optimizer") or "adamw"),
        reference=beta > 0 and not c.is_on("use_peft"),
        checkpointing=c.is_on("gradient_checkpointing", "actor_rollout_ref.model.enable_gradient_checkpointing"),
        compute_bytes=2 if c.is_on("bf16", "fp16") or c.framework in ("verl", "openrlhf") else 4,
        generated=0 if engine or c.algorithm not in LLM_POLICY else (batch or 8),
    )
