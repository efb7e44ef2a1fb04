"""PPO and GRPO of a small language model in one loop, logged as the frameworks for large ones do."""

from __future__ import annotations

import copy
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.corpus import lm_model as lm
from benchmarks.corpus.label import tolerate_cut_answers
from benchmarks.corpus.lm_faults import Faults
from benchmarks.corpus.lm_logs import Log
from benchmarks.corpus.lm_loss import advantages_of, learn
from benchmarks.corpus.lm_rewards import Rewards


def train(folder: Path, run: dict[str, Any]) -> None:
    """Trains in `folder`."""
    torch.set_num_threads(1)
    loop = Loop(run)
    log = Log(folder, run["dialect"], run["args"]["sink"], all_keys=bool(run["args"].get("all_keys")))
    loop.run(log)
    log.close()
    loop.check()
    tolerate_cut_answers(run, loop.cut)


class Loop:
    """The training: policy, reference, critic, optimisers, and the faults that are switched on as it goes."""

    def __init__(self, run: dict[str, Any]) -> None:
        a = self.a = {**DEFAULTS, **run["args"]}
        self.ppo, self.faults = run["algo"] == "ppo", Faults(run["fault"], run["onset"] or 0)
        torch.manual_seed(a["seed"])
        self.rng = np.random.default_rng(a["seed"])
        drop = 0.2 if run["fault"] == "dropout_mismatch" else 0.0
        self.policy = lm.Net(a["net"], a["vocab"], a["width"], a["vocab"], dropout=drop)
        self.policy.eval()
        lm.pretrain(self.policy, vocab=a["vocab"], prompt=a["prompt"], length=a["mean_length"], steps=a["pretrain"])
        self.reference = copy.deepcopy(self.policy)
        if run["fault"] == "ref_wrong":
            torch.manual_seed(1234)
            self.reference = lm.Net(a["net"], a["vocab"], a["width"], a["vocab"])
        self.critic = lm.Net("gru", a["vocab"], a["width"], 1)
        self.optimizer = torch.optim.Adam(self.policy.parameters(), lr=a["lr"])
        self.value_optimizer = torch.optim.Adam(self.critic.parameters(), lr=a["value_lr"])
        self.kl_coef, self.tokens, self.episodes = a["kl_coef"], 0, 0
        self.old, self.stale, self.kept = self.policy, [], []
        self.rewards = Rewards(a, self.faults)
        self.first = [p.detach().clone() for p in self.policy.parameters()]
        self.since: list[Any] | None = None
        self.saved: Any = None
        self.cut: list[float] = []

    def run(self, log: Log) -> None:
        """All steps; at `resume_at` the run goes back to its last checkpoint, as after a crash."""
        a, step = self.a, 1
        resume = a.get("resume_at")
        while step <= a["steps"]:
            if resume and step == resume - a["lost"]:
                self.saved = copy.deepcopy((self.policy, self.critic, self.kl_coef, self.tokens, self.episodes))
            if resume and step == resume:
                self.restore()
                resume, step = None, step - a["lost"]
            self.faults.step = step
            if self.since is None and self.faults.on():
                self.since = [p.detach().clone() for p in self.policy.parameters()]
            row = {"step": float(step), **self.step(step)}
            self.cut.append(row["truncated_frac"])
            if a["every"] == 1 or step % a["every"] == 0 or (a.get("irregular") and self.rng.random() < 0.3):
                log.add(row)
            if a.get("eval_every") and step % a["eval_every"] == 0:
                log.add({"step": float(step), "eval_reward_mean": self.evaluate()})
            step += 1

    def restore(self) -> None:
        """Goes back to the checkpoint; the optimisers start afresh, as in many trainers."""
        self.policy, self.critic, self.kl_coef, self.tokens, self.episodes = self.saved
        self.old, self.stale = self.policy, []
        self.optimizer = torch.optim.Adam(self.policy.parameters(), lr=self.a["lr"])
        self.value_optimizer = torch.optim.Adam(self.critic.parameters(), lr=self.a["value_lr"])

    def rate(self, step: int) -> float:
        """The learning rate of this step."""
        a, done = self.a, step / self.a["steps"]
        if step <= a["warmup"]:
            return float(a["lr"]) * step / a["warmup"]
        shape = {"constant": 1.0, "linear": 1 - done, "cosine": 0.5 * (1 + np.cos(np.pi * done))}[a["schedule"]]
        return float(a["lr"] * shape)

    def step(self, step: int) -> dict[str, float]:
        """One batch: sample, judge, learn; the row of the log."""
        a, f, start = self.a, self.faults, time.perf_counter()
        batch = self.sample()
        row = dict(self.rewards.judge(batch, self.rng))
        kl = batch["logp"] - batch["ref"]
        k3 = (-kl).exp() - 1 + kl
        mask = batch["mask"]
        total = mask.sum()
        row |= {
            "kl": float(((kl if self.ppo else k3) * mask).sum() / total),
            "kl_sum": float((kl * mask).sum(1).mean()),
            "kl_coef": self.kl_coef,
        }
        rate = f.rate(self.rate(step))
        for optimizer, lr in (
            (self.optimizer, rate),
            (self.value_optimizer, 0.0 if f.on("value_lr_zero") else a["value_lr"]),
        ):
            optimizer.param_groups[0]["lr"] = lr
        row |= advantages_of(self, batch)
        row |= learn(self, batch)
        self.control(row["kl_sum"])
        self.tokens += int(total)
        self.episodes += len(mask)
        if f.on("memory_leak"):
            self.kept.append(np.ones(int(1.5e6)))
        if f.on("throughput_rot"):
            time.sleep(min(0.4, 0.01 * (step - f.onset + 1)))
        spent = time.perf_counter() - start
        if not a["use_kl"]:
            for key in ("kl", "kl_sum", "kl_coef"):
                row.pop(key)
        return row | {
            "learning_rate": rate,
            "tokens_step": float(total),
            "time_step_s": spent,
            "memory_cpu_gb": _memory(),
            "tokens_seen": float(self.tokens),
            "episodes": float(self.episodes),
            "tokens_per_s": float(total) / spent,
        }

    def sample(self) -> dict[str, Any]:
        """A batch of answers with all that is known of them before the update."""
        a, f = self.a, self.faults
        size = 4 if f.on("batch_tiny") else a["batch"]
        groups = 1 if self.ppo else a["group"]
        prompts = torch.randint(1, a["vocab"], (max(1, size // groups), a["prompt"]))
        prompts = prompts.repeat_interleave(groups, 0)
        actor = self.actor()
        answers = lm.generate(
            actor,
            prompts,
            a["length"],
            temperature=f.temperature(),
            top_p=0.5 if f.on("top_p") else 1.0,
            eos=not f.on("no_eos"),
        )
        mask = lm.mask_of(answers)
        self.policy.train(f.on("dropout_mismatch"))
        with torch.no_grad():
            logp, _ = lm.logp_entropy(actor, prompts, answers)
            now, entropy = lm.logp_entropy(self.policy, prompts, answers)
            reference = self.policy if f.on("ref_is_policy", "ref_follows") else self.reference
            ref, _ = lm.logp_entropy(reference, prompts, answers)
            with_end = torch.cat([prompts, answers], 1)[:, :-1]
            values = self.critic(with_end)[0].squeeze(-1)[:, a["prompt"] - 1 :]
        if f.on("ref_follows"):
            ref = now
        return {
            "prompts": prompts,
            "answers": answers,
            "mask": mask,
            "logp": logp,
            "now": now,
            "ref": ref,
            "entropy": entropy,
            "values": values,
            "groups": groups,
        }

    def actor(self) -> Any:
        """The model that samples: the policy, or what it was some updates ago."""
        if not self.faults.on("stale_rollouts"):
            return self.policy
        self.stale = [*self.stale, copy.deepcopy(self.policy)][-(self.a["lag"] + 1) :]
        return self.stale[0]

    def control(self, kl: float) -> None:
        """The KL coefficient of the next step."""
        f, a = self.faults, self.a
        if a["adaptive"] and not f.on("controller_stuck"):
            self.kl_coef *= 1 + float(np.clip(kl / a["kl_target"] - 1, -0.2, 0.2)) * a["gain"]
        if f.on("kl_coef_zero"):
            self.kl_coef = 0.0
        if f.starts("kl_coef_huge"):
            self.kl_coef *= 100
        if f.starts("kl_sign"):
            self.kl_coef *= -1

    def evaluate(self) -> float:
        """The mean reward on fresh prompts, at temperature 1."""
        a = self.a
        prompts = torch.randint(1, a["vocab"], (32, a["prompt"]))
        answers = lm.generate(self.policy, prompts, a["length"])
        return float(lm.reward(a["task"], prompts, answers).mean())

    def check(self) -> None:
        """Makes sure that the fault was there."""
        now = list(self.policy.parameters())
        still = self.since is not None and all(p.equal(q) for p, q in zip(now, self.since, strict=True))
        if self.faults.name not in {
            "reward_nan",
            "zero_reward",
            "constant_reward",
        }:  # whose updates may all be left out or 0
            frozen = self.faults.name in {"lr_zero", "no_update", "loss_nan"}
            assert still == frozen, "the weights moved" if frozen else "the weights did not move"


DEFAULTS: dict[str, Any] = {
    "net": "gru",
    "vocab": 24,
    "width": 48,
    "prompt": 3,
    "length": 16,
    "mean_length": 6.0,
    "pretrain": 60,
    "batch": 64,
    "group": 8,
    "lr": 2e-3,
    "value_lr": 3e-3,
    "kl_coef": 0.05,
    "kl_target": 3.0,
    "adaptive": False,
    "gain": 0.5,
    "lag": 5,
    "use_kl": True,
    "schedule": "constant",
    "warmup": 0,
    "every": 1,
    "epochs": 1,
    "minibatches": 2,
    "clip": 0.2,
    "clip_high": None,
    "entropy_coef": 0.0,
    "max_grad_norm": 1.0,
    "lam": 0.95,
    "noise": 0.0,
    "task": "share",
    "lost": 8,
    "whiten": True,
    "scale_std": True,
}


def _memory() -> float:
    text = Path("/proc/self/statm").read_text().split()
    return int(text[1]) * 4096 / 2**30
