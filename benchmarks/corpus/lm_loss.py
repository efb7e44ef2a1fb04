"""Advantages and updates of PPO and GRPO."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from benchmarks.corpus import lm_model as lm


def advantages_of(loop: Any, batch: dict[str, Any]) -> dict[str, float]:
    """Puts advantages (and returns) into the batch; their mean, spread and what the critic explains."""
    a, f, mask = loop.a, loop.faults, batch["mask"]
    found: dict[str, float] = {}
    if loop.ppo:
        raw, returns = _gae(loop, batch)
        batch["returns"] = returns
        real = mask.bool()
        true, guess = returns[real].numpy(), batch["values"][real].numpy()
        spread = float(np.var(true))
        found = {
            "value_explained_variance": float(1 - np.var(true - guess) / spread) if spread > 1e-12 else float("nan"),
            "value_mean": float(guess.mean()),
            "return_mean": float(true.mean()),
        }
        centre, scale = raw[real].mean(), raw[real].std() + 1e-8
    else:
        grouped = batch["rewards"].view(-1, batch["groups"])
        centre = grouped.mean(1).repeat_interleave(batch["groups"]).unsqueeze(1)
        scale = (grouped.std(1) + 1e-4).repeat_interleave(batch["groups"]).unsqueeze(1) if a["scale_std"] else 1.0
        raw = batch["rewards"].unsqueeze(1) * torch.ones_like(mask)
    centred = raw if f.on("adv_raw", "adv_not_centred") else raw - centre
    advantages = centred if f.on("adv_raw") or (loop.ppo and not a["whiten"]) else centred / scale
    batch["advantages"] = (-advantages if f.on("adv_sign") else advantages) * mask
    flat = batch["advantages"][mask.bool()]
    return found | {
        "advantage_mean": float(flat.mean()),
        "advantage_std": float(flat.std()),
        "advantage_max": float(flat.max()),
        "advantage_min": float(flat.min()),
    }


def _gae(loop: Any, batch: dict[str, Any]) -> tuple[Any, Any]:
    a, f, mask, values = loop.a, loop.faults, batch["mask"], batch["values"] * batch["mask"]
    rewards = -loop.kl_coef * (batch["logp"] - batch["ref"]) * mask
    last = (mask.sum(1) - 1).long().unsqueeze(1)
    rewards = rewards.scatter_add(1, last, batch["rewards"].unsqueeze(1))
    gamma, out, running = (0.0 if f.on("gamma_zero") else 1.0), torch.zeros_like(values), torch.zeros(len(values))
    for t in reversed(range(values.shape[1])):
        following = values[:, t + 1] if t + 1 < values.shape[1] else 0.0
        delta = rewards[:, t] + gamma * following - values[:, t]
        running = (delta + gamma * a["lam"] * running) * mask[:, t]
        out[:, t] = running
    returns = out + values
    if f.on("value_target_wrong"):
        returns = returns[torch.randperm(len(returns))] * 5
    return out, returns


def learn(loop: Any, batch: dict[str, Any]) -> dict[str, float]:
    """The update; its means over minibatches, and the ratio on the first of them."""
    a, f = loop.a, loop.faults
    kept: dict[str, list[float]] = {}
    size = len(batch["mask"])
    loop.policy.train(f.on("dropout_mismatch"))
    for epoch in range(30 if f.on("epochs_many") else a["epochs"]):
        for part in torch.randperm(size).split(max(1, size // a["minibatches"])):
            found = _minibatch(loop, {k: v[part] if k != "groups" else v for k, v in batch.items()})
            if loop.ppo:
                found |= _critic(loop, {k: batch[k][part] for k in ("prompts", "answers", "mask", "returns", "values")})
            if not kept:
                kept["ratio_first_minibatch_dev"] = [abs(found["ratio_mean"] - 1) + 0 * epoch]
            for key, value in found.items():
                kept.setdefault(key, []).append(value)
    loop.policy.eval()
    gap = ((batch["logp"] - batch["now"]).abs() * batch["mask"]).sum() / batch["mask"].sum()
    row = {key: float(np.mean(values)) for key, values in kept.items()}
    entropy = float((batch["entropy"] * batch["mask"]).sum() / batch["mask"].sum())
    return row | {"rollout_logprob_diff_mean": float(gap), "entropy": entropy}


def _minibatch(loop: Any, b: dict[str, Any]) -> dict[str, float]:
    a, f, mask = loop.a, loop.faults, b["mask"]
    logp, entropy = lm.logp_entropy(loop.policy, b["prompts"], b["answers"])
    count = mask.sum().clamp(min=1)
    gap = logp - b["logp"]
    ratio = gap.exp()
    low, high = a["clip"], a["clip_high"] or a["clip"]
    if f.on("clip_zero", "clip_wide"):
        low = high = 0.0 if f.name == "clip_zero" else 20.0
    inner = torch.min(ratio * b["advantages"], ratio.clamp(1 - low, 1 + high) * b["advantages"])
    policy_loss = -(inner * mask).sum() / count
    bonus = -0.3 if f.on("entropy_negative") else 1.5 if f.on("entropy_huge") else a["entropy_coef"]
    loss = policy_loss - bonus * (entropy * mask).sum() / count
    if not loop.ppo and a["use_kl"]:
        drift = b["ref"] - logp
        loss = loss + loop.kl_coef * ((drift.exp() - 1 - drift) * mask).sum() / count
    if f.on("loss_nan"):
        loss = loss * float("nan")
    if f.on("grad_explode", "grad_vanish"):
        loss = loss * (2000 if f.name == "grad_explode" else 1e-7)
    loop.optimizer.zero_grad()
    loss.backward()
    limit = 1e12 if f.on("grad_explode") else a["max_grad_norm"]
    norm = torch.nn.utils.clip_grad_norm_(loop.policy.parameters(), limit)
    if bool(norm.isfinite()) and not f.on("no_update"):
        loop.optimizer.step()
    with torch.no_grad():
        outside = ((ratio < 1 - low) & (b["advantages"] < 0)) | ((ratio > 1 + high) & (b["advantages"] > 0))
        mean = lambda x: float((x * mask).sum() / count)  # noqa: E731
        return {
            "loss": float(loss),
            "policy_loss": float(policy_loss),
            "grad_norm": float(norm),
            "approx_kl": mean(-gap),
            "approx_kl_k2": mean(0.5 * gap**2),
            "clip_frac": mean(outside.float()),
            "ratio_mean": mean(ratio),
        }


def _critic(loop: Any, b: dict[str, Any]) -> dict[str, float]:
    f, mask = loop.faults, b["mask"]
    ids = torch.cat([b["prompts"], b["answers"]], 1)[:, :-1]
    values = loop.critic(ids)[0].squeeze(-1)[:, b["prompts"].shape[1] - 1 :]
    loss = 0.5 * (((values - b["returns"]) ** 2) * mask).sum() / mask.sum().clamp(min=1)
    loop.value_optimizer.zero_grad()
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(loop.critic.parameters(), 1.0)
    if not f.on("value_frozen") and bool(norm.isfinite()):
        loop.value_optimizer.step()
    return {"value_loss": float(loss.detach()), "grad_norm_value": float(norm)}
