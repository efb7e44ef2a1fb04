"""A language model of a few thousand weights, its critic, and its tasks."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

EOS = 0


class Net(nn.Module):
    """A recurrent or attentive network over tokens, with `outputs` numbers at each position."""

    def __init__(self, kind: str, vocab: int, width: int, outputs: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.kind, self.embed, self.drop = kind, nn.Embedding(vocab, width), nn.Dropout(dropout)
        self.head = nn.Linear(width, outputs)
        if kind == "gru":
            self.body: Any = nn.GRU(width, width, batch_first=True)
        else:
            self.place = nn.Embedding(96, width)
            self.body = nn.TransformerEncoderLayer(width, 4, 2 * width, dropout=0.0, batch_first=True, norm_first=True)

    def forward(self, ids: Any, state: Any = None) -> tuple[Any, Any]:
        """The outputs at each position, and the state after the last (None without one)."""
        x = self.drop(self.embed(ids))
        if self.kind == "gru":
            x, state = self.body(x, state)
        else:
            size = ids.shape[1]
            x = x + self.place(torch.arange(size))
            x = self.body(x, src_mask=nn.Transformer.generate_square_subsequent_mask(size), is_causal=True)
        return self.head(self.drop(x)), state


@torch.no_grad()
def generate(
    policy: Net, prompts: Any, length: int, *, temperature: float = 1.0, top_p: float = 1.0, eos: bool = True
) -> Any:
    """Sampled answers `(rows, length)`; after the end token only end tokens."""
    ids, state, x, done = [], None, prompts, torch.zeros(len(prompts), dtype=torch.bool)
    context = prompts
    for _ in range(length):
        out, state = policy(x if policy.kind == "gru" else context, state)
        logits = out[:, -1] / temperature
        if not eos:
            logits[:, EOS] = -1e9
        p = logits.softmax(-1)
        if top_p < 1:
            ordered, where = p.sort(descending=True)
            ordered[ordered.cumsum(-1) - ordered > top_p] = 0
            p = torch.zeros_like(p).scatter(1, where, ordered)
        token = torch.multinomial(p, 1).squeeze(1).masked_fill(done, EOS)
        done = done | (token == EOS)
        ids.append(token)
        x = token.unsqueeze(1)
        context = torch.cat([context, x], 1)
    return torch.stack(ids, 1)


def mask_of(answers: Any) -> Any:
    """1 up to and with the end token."""
    ended = (answers == EOS).float()
    return (ended.cumsum(1) - ended < 1).float()


def logp_entropy(policy: Net, prompts: Any, answers: Any, temperature: float = 1.0) -> tuple[Any, Any]:
    """Log-probabilities of the answers' tokens, and the entropy at each."""
    out, _ = policy(torch.cat([prompts, answers], 1)[:, :-1])
    logs = (out[:, prompts.shape[1] - 1 :] / temperature).log_softmax(-1)
    return logs.gather(-1, answers.unsqueeze(-1)).squeeze(-1), -(logs.exp() * logs).sum(-1)


def reward(task: str, prompts: Any, answers: Any) -> Any:
    """The verifiable reward of each answer."""
    mask = mask_of(answers) * (answers != EOS)
    count = mask.sum(1).clamp(min=1)
    want = prompts.sum(1, keepdim=True) % 3
    hits = ((answers % 3 == want).float() * mask).sum(1)
    match task:
        case "share":
            return hits / count
        case "sparse":
            return ((hits / count > 0.75) & (count >= 2)).float()
        case "length":
            return 1 - (mask.sum(1) - (3 + want.squeeze(1))).abs() / 12
        case "rising":
            up = (answers[:, 1:] > answers[:, :-1]).float() * mask[:, 1:]
            return up.sum(1) / count + 0.1 * (count > 2)
        case "hard":  # the first token, a function of the prompt that is not learnt in so few steps
            wanted = (prompts * torch.tensor([3, 5, 11])[: prompts.shape[1]]).sum(1) % 7
            return ((answers[:, 0] % 7 == wanted) & (answers[:, 0] != EOS)).float()
        case "easy":
            return (count >= 1).float() * (hits > 0).float() + 0.05 * hits / count
    raise ValueError(task)


def pretrain(policy: Net, *, vocab: int, prompt: int, length: float, steps: int) -> None:
    """Teaches the model to end its answers after `length` tokens or so."""
    optimizer = torch.optim.Adam(policy.parameters(), lr=5e-3)
    for _ in range(steps):
        size = 64
        ids = torch.randint(1, vocab, (size, prompt + 40))
        end = (prompt + 1 + torch.empty(size).exponential_(1 / length)).long().clamp(max=prompt + 39)
        place = torch.arange(ids.shape[1])
        ids[place >= end.unsqueeze(1)] = EOS
        out, _ = policy(ids[:, :-1])
        keep = (place[1:] <= end.unsqueeze(1)) & (place[1:] >= prompt)
        loss = nn.functional.cross_entropy(out[keep], ids[:, 1:][keep])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
