"""A group-relative policy gradient on a tiny model, written by hand, with places where it can be broken.

The policy has 3,000 weights and writes 12 tokens after a prompt of 4. It is paid for one of the tokens. The task ends
each answer after a number of tokens that has nothing to do with the reward, as its samples say."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

VOCABULARY, PROMPT, ANSWER = 24, 4, 12
PROMPTS, GROUP = 8, 4
GOOD = 3


class Block(nn.Module):
    """Mixes a position with the mean of those before it."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.mix, self.out = nn.Linear(2 * width, 2 * width), nn.Linear(2 * width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        steps = torch.arange(1, x.shape[1] + 1, device=x.device, dtype=x.dtype)
        mean = x.cumsum(1) / steps[None, :, None]
        return x + self.dropout(self.out(torch.tanh(self.mix(torch.cat([x, mean], -1)))))


class Policy(nn.Module):
    """A causal language model. `adapter`: only a low-rank addition to the head is trained."""

    def __init__(self, *, width: int = 16, dropout: float = 0.0, adapter: bool = False) -> None:
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, width)
        self.layers = nn.ModuleList(Block(width, dropout) for _ in range(2))
        self.head = nn.Linear(width, VOCABULARY)
        self.down = nn.Linear(width, 4, bias=False) if adapter else None
        self.up = nn.Linear(4, VOCABULARY, bias=False) if adapter else None
        self.cut = False  # the fault: the body has no part in the gradient
        with torch.no_grad():
            self.head.weight.mul_(4.0)  # a policy with opinions, so that temperature matters
        if self.up is not None:
            nn.init.zeros_(self.up.weight)
            for part in (self.embed, self.layers, self.head):
                part.requires_grad_(False)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embed(ids)
        for layer in self.layers:
            x = layer(x)
        if self.cut:
            x = x.detach()
        logits = self.head(x)
        return logits if self.up is None or self.down is None else logits + self.up(self.down(x))


@dataclass
class Loop:
    """One training. `fault`: what is broken, from iteration `onset` on; "" for nothing."""

    folder: Path
    fault: str = ""
    seed: int = 0
    steps: int = 8
    onset: int = 1
    lr: float = 1e-2
    beta: float = 0.02
    epochs: int = 1
    accumulate: int = 1
    dropout: float = 0.0
    adapter: bool = False
    optimizer: str = "adamw"
    dtype: torch.dtype = torch.float32
    schedule: str = "constant"
    sampler_dtype: torch.dtype | None = None
    start: int = 0
    interval: int = 10
    samples: bool = True
    alerts: list[Any] = field(default_factory=list)

    def broken(self, fault: str, iteration: int) -> bool:
        return self.fault == fault and iteration >= self.onset


def generate(model: nn.Module, prompts: Tensor, draw: torch.Generator, *, temperature: float = 1.0, top_k: int = 0):
    """Tokens sampled after the prompts, and their log-probabilities as the sampler computes them."""
    ids, told = prompts, []
    with torch.no_grad():
        for _ in range(ANSWER):
            logits = model(ids)[:, -1].float() / temperature
            if top_k:
                logits = logits.masked_fill(logits < logits.topk(top_k, -1).values[:, -1:], float("-inf"))
            logp = logits.log_softmax(-1)
            token = torch.multinomial(logp.exp(), 1, generator=draw)
            told.append(logp.gather(1, token))
            ids = torch.cat([ids, token], 1)
    return ids, torch.cat(told, 1)


def logps(model: nn.Module, ids: Tensor, *, temperature: float = 1.0) -> tuple[Tensor, Tensor]:
    """Log-probabilities of the answer's tokens, and the policy's entropy at each of them."""
    every = (model(ids[:, :-1])[:, PROMPT - 1 :].float() / temperature).log_softmax(-1)
    entropy = -(every.exp() * every).sum(-1)
    return every.gather(2, ids[:, PROMPT:, None]).squeeze(2), entropy


def optimizer_of(loop: Loop, model: nn.Module) -> torch.optim.Optimizer:
    """The optimizer, broken where the fault says so."""
    trained = [p for p in model.parameters() if p.requires_grad]
    kind = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam, "sgd": torch.optim.SGD}[loop.optimizer]
    if loop.fault == "optimizer-of-a-copy":
        trained = list(copy.deepcopy(model).parameters())
    if loop.fault == "head-not-in-the-optimizer":
        trained = [p for name, p in model.named_parameters() if not name.startswith("head")]
    groups = [{"params": trained}]
    if loop.fault == "group-without-a-rate":
        groups = [{"params": trained[:-2]}, {"params": trained[-2:], "lr": 0.0}]
    return kind(groups, lr=loop.lr)


def train(loop: Loop) -> Loop:
    """Trains, watched by `rldk.watch`. The alerts are in `loop.alerts`."""
    import rldk

    torch.manual_seed(loop.seed)
    draw = torch.Generator().manual_seed(loop.seed + 1)
    model = Policy(dropout=loop.dropout, adapter=loop.adapter).to(loop.dtype)
    reference = model if loop.fault == "reference-is-the-policy" else copy.deepcopy(model)
    if loop.fault == "another-reference":
        reference = Policy().to(loop.dtype)
    if loop.fault != "reference-is-the-policy":
        reference.requires_grad_(False)
    if loop.fault == "frozen-model":
        model.requires_grad_(False)
    sampler = copy.deepcopy(model).requires_grad_(False).eval()
    if loop.sampler_dtype is not None:
        sampler = sampler.to(loop.sampler_dtype)
    optimizer = optimizer_of(loop, model)
    loose = torch.zeros((), requires_grad=True)  # so that a loss without the model still has a graph
    watch = rldk.watch(
        model, optimizer, reference, sampler, loop.folder, run_id="r", algorithm="grpo", echo=False,
        identity_interval=loop.interval, samples=4 if loop.samples else 0,
        config={"learning_rate": loop.lr, "beta": loop.beta, "num_generations": GROUP, "num_iterations": loop.epochs},
    )  # fmt: skip
    with watch as w:
        step, previous = loop.start, copy.deepcopy(model)
        for iteration in range(1, loop.steps + 1):
            batch = _rollout(loop, iteration, model, reference, sampler, draw)
            w.rollout()
            batch["old"] = _old(loop, iteration, model, previous, batch)
            previous = copy.deepcopy(model)
            for epoch in range(loop.epochs):
                step += 1
                _rate(loop, optimizer, iteration)
                if loop.fault == "sampler-synced-before-the-step":
                    _sync(loop, iteration, model, sampler)
                metrics = _update(loop, iteration, epoch, w, model, optimizer, batch, loose)
                if loop.fault != "sampler-synced-before-the-step":
                    _sync(loop, iteration, model, sampler)
                w.synced()
                if loop.broken("reference-follows-the-policy", iteration):
                    _follow(reference, model)
                w.step(metrics, step=step, samples=_records(batch) if epoch == 0 else None)
                loop.alerts += list(w.alerts)
    return loop


def _rollout(
    loop: Loop, iteration: int, model: Any, reference: Any, sampler: Any, draw: torch.Generator
) -> dict[str, Any]:
    seed = loop.seed * 1000 + iteration
    prompts = torch.randint(4, VOCABULARY, (PROMPTS, PROMPT), generator=torch.Generator().manual_seed(seed))
    prompts = prompts.repeat_interleave(GROUP, 0)
    cold = 0.4 if loop.broken("sampled-colder", iteration) else 1.0
    top_k = 4 if loop.broken("sampled-from-the-top", iteration) else 0
    ids, told = generate(sampler, prompts, draw, temperature=cold, top_k=top_k)
    answers = ids[:, PROMPT:]
    reward = (answers == GOOD).float().mean(1) + 0.05 * (answers == GOOD + 1).float().sum(1)
    groups = torch.arange(PROMPTS).repeat_interleave(GROUP)
    by_group = reward.view(PROMPTS, GROUP)
    spread = by_group.std(1, keepdim=True) + 1e-4
    advantage = ((by_group - by_group.mean(1, keepdim=True)) / spread).reshape(-1)
    mask = torch.ones_like(answers, dtype=torch.float32)
    if loop.broken("every-token-masked", iteration):
        mask.zero_()
        mask[0, 0] = 1.0
    with torch.no_grad():
        ref, _ = logps(reference.eval(), ids)
    reference.train(reference is model)
    return {
        "ids": ids, "told": told, "reward": reward, "groups": groups, "advantage": advantage, "mask": mask, "ref": ref,
        "lengths": torch.randint(4, ANSWER + 1, (len(ids),), generator=torch.Generator().manual_seed(seed)),
        "same": float((by_group.std(1) == 0).float().mean()), "prompts": prompts,
    }  # fmt: skip


def _old(loop: Loop, iteration: int, model: Any, previous: Any, batch: dict[str, Any]) -> Tensor:
    """The log-probabilities that the ratio is taken to."""
    ids = batch["ids"]
    model.train(loop.fault == "dropout-in-both-passes")
    source = previous if loop.broken("old-from-older-weights", iteration) else model
    temperature = 0.7 if loop.broken("old-at-another-temperature", iteration) else 1.0
    with torch.no_grad():
        old, _ = logps(source, ids, temperature=temperature)
    if loop.broken("old-shifted-by-one", iteration):
        old = old.roll(1, 1)
    model.train(loop.dropout > 0)
    return old


def _update(
    loop: Loop, iteration: int, epoch: int, w: Any, model: Any, optimizer: Any, batch: dict[str, Any], loose: Tensor
) -> dict[str, Any]:
    model.cut = loop.broken("body-detached", iteration)
    if loop.fault != "dropout-in-both-passes":
        model.eval()
    parts = torch.arange(len(batch["ids"])).chunk(loop.accumulate)
    total, kl, entropies, ratios, clipped = 0.0, 0.0, 0.0, [], 0.0
    for part in parts:
        new, entropy = logps(model, batch["ids"][part])
        if epoch == 0 and part is parts[0]:
            w.minibatch(new.detach(), batch["old"][part], entropy=entropy.detach())
        ratio = (new - batch["old"][part]).exp()
        gain = batch["advantage"][part, None]
        gap = batch["ref"][part] - new
        k3 = gap.exp() - gap - 1
        if loop.broken("loss-without-the-policy", iteration):
            new, ratio, k3 = new.detach(), ratio.detach(), k3.detach()
        surrogate = -torch.min(ratio * gain, ratio.clamp(0.8, 1.2) * gain) + loop.beta * k3
        mask = batch["mask"][part]
        loss = (surrogate * mask).sum() / batch["mask"].sum() + 0.0 * loose
        loss.backward()
        total += float(loss.detach())
        kl += float(k3.detach().mean()) / len(parts)
        entropies += float(entropy.detach().mean()) / len(parts)
        clipped += float(((ratio - 1).abs() > 0.2).float().mean()) / len(parts)
        ratios.append(ratio.detach())
    norm = torch.nn.utils.clip_grad_norm_([p for p in model.parameters() if p.requires_grad], 1.0)
    if loop.broken("gradients-zeroed-before-the-step", iteration):
        optimizer.zero_grad(set_to_none=False)
    kept = copy.deepcopy(model.state_dict()) if loop.broken("update-taken-back", iteration) else None
    if not loop.broken("step-never-called", iteration):
        optimizer.step()
    if kept is not None:
        model.load_state_dict(kept)
    optimizer.zero_grad(set_to_none=False)
    model.zero_grad(set_to_none=False)
    both = torch.cat(ratios)
    metrics = {
        "loss": total, "grad_norm": float(norm), "kl": kl, "entropy": entropies, "lr": optimizer.param_groups[0]["lr"],
        "ratio_mean": float(both.mean()), "clip_frac": clipped,
    }  # fmt: skip
    if epoch == 0:
        reward = batch["reward"]
        metrics |= {
            "reward_mean": float(reward.mean()), "reward_std": float(reward.std()),
            "zero_std_group_frac": batch["same"],
        }  # fmt: skip
    return metrics


def _sync(loop: Loop, iteration: int, model: Any, sampler: Any) -> None:
    if loop.broken("sampler-never-synced", iteration):
        return
    with torch.no_grad():
        theirs = dict(sampler.named_parameters())
        for name, p in model.named_parameters():
            if not (loop.broken("sampler-misses-a-layer", iteration) and name.startswith("layers.1")):
                theirs[name].copy_(p)


def _follow(reference: nn.Module, model: nn.Module) -> None:
    with torch.no_grad():
        for theirs, ours in zip(reference.parameters(), model.parameters(), strict=True):
            theirs.lerp_(ours, 0.1)


def _rate(loop: Loop, optimizer: Any, iteration: int) -> None:
    if loop.fault == "group-without-a-rate":
        return
    share = 1.0
    if loop.schedule == "warmup":
        share = min(1.0, (iteration - 1) / 5)
    if loop.schedule == "linear":
        share = 1.0 - (iteration - 1) / loop.steps
    for group in optimizer.param_groups:
        group["lr"] = loop.lr * share


def _records(batch: dict[str, Any]) -> list[dict[str, Any]]:
    """The samples of an iteration."""
    rows = []
    for i in range(len(batch["ids"])):
        n = int(batch["lengths"][i])
        answer = batch["ids"][i, PROMPT : PROMPT + n].tolist()
        rows.append(
            {
                "group_id": int(batch["groups"][i]), "prompt": " ".join(map(str, batch["prompts"][i].tolist())),
                "response": " ".join(map(str, answer)), "token_ids": answer, "n_tokens": n,
                "reward": float(batch["reward"][i]), "advantage": float(batch["advantage"][i]),
                "logp_rollout": batch["told"][i, :n].tolist(), "logp_train": batch["old"][i, :n].tolist(),
                "loss_mask": batch["mask"][i, :n].tolist(), "finish_reason": "stop",
            }
        )  # fmt: skip
    return rows
