"""A policy gradient on a small torch model, watched from inside: `python examples/watched_loop.py`.

With `--break` the optimizer is made for a copy of the model, as happens when a model is wrapped too late. The loop logs
losses and gradients as usual, and rldk names the fault at the first step."""

from __future__ import annotations

import argparse
import copy
from pathlib import Path

import torch

import rldk

ACTIONS, BATCH = 8, 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--break", dest="broken", action="store_true", help="Train a copy of the model.")
    parser.add_argument("--out", type=Path, default=Path("artifacts/watched"), help="Folder of the files.")
    parser.add_argument("--steps", type=int, default=40)
    chosen = parser.parse_args()
    torch.manual_seed(0)
    policy = torch.nn.Sequential(torch.nn.Linear(4, 32), torch.nn.Tanh(), torch.nn.Linear(32, ACTIONS))
    trained = copy.deepcopy(policy) if chosen.broken else policy
    optimizer = torch.optim.AdamW(trained.parameters(), lr=5e-3)
    reference = copy.deepcopy(policy)
    with rldk.watch(policy, optimizer, ref_model=reference, output_dir=chosen.out, run_id="watched") as w:
        for _ in range(chosen.steps):
            state = torch.randn(BATCH, 4)
            logits = policy(state)
            every = logits.log_softmax(-1)
            action = torch.multinomial(every.exp().detach(), 1)
            entropy = -(every.exp() * every).sum(-1, keepdim=True)
            logp = every.gather(1, action)
            reward = (action.squeeze(1) == state.argmax(1)).float()
            w.rollout()
            w.minibatch(logp.detach(), logp.detach(), entropy=entropy.detach())
            advantage = (reward - reward.mean()) / (reward.std() + 1e-6)
            loss = -(logp.squeeze(1) * advantage).mean()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            w.step(
                {
                    "loss": loss.item(),
                    "reward_mean": reward.mean().item(),
                    "entropy": entropy.mean().item(),
                    "lr": optimizer.param_groups[0]["lr"],
                }
            )
    print(f"the files are in {chosen.out}")


if __name__ == "__main__":
    main()
