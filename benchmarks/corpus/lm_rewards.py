"""The rewards of the language model, and what spoils them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from benchmarks.corpus import lm_model as lm
from benchmarks.corpus.lm_faults import Faults


class Rewards:
    """Judges answers."""

    def __init__(self, a: dict[str, Any], faults: Faults) -> None:
        self.a, self.faults = a, faults

    def judge(self, batch: dict[str, Any], rng: np.random.Generator) -> dict[str, float]:
        """Puts the rewards into the batch; what the log says of them and of the lengths."""
        a = self.a
        raw = lm.reward(a["task"], batch["prompts"], batch["answers"]).double()
        raw = raw + torch.as_tensor(rng.normal(0, 1, len(raw))) * a["noise"]
        count = batch["mask"].sum(1)
        raw = self._spoil(raw, count, rng)
        batch["rewards"] = raw.float()
        finished = (batch["answers"] == lm.EOS).any(1).float()
        grouped = raw.view(-1, batch["groups"])
        row = {
            "reward_mean": raw.mean(),
            "reward_std": raw.std(),
            "reward_max": raw.max(),
            "reward_min": raw.min(),
            "response_length_mean": count.mean(),
            "truncated_frac": 1 - finished.mean(),
            "stop_rate": finished.mean(),
            "response_length_max": count.max(),
        }
        if batch["groups"] > 1:
            row |= {
                "zero_std_group_frac": (grouped.std(1) < 1e-6).double().mean(),
                "group_reward_std": grouped.std(1).mean(),
            }
        return {key: float(value) for key, value in row.items()}

    def _spoil(self, raw: Any, count: Any, rng: np.random.Generator) -> Any:
        match self.faults.name if self.faults.on() else "none":
            case "constant_reward":
                return raw * 0 + 0.4
            case "zero_reward":
                return raw * 0
            case "reward_nan":
                return raw.where(torch.as_tensor(rng.random(len(raw)) > 0.1), torch.nan)
            case "reward_scale":
                return raw * 100
            case "reward_noise":
                return raw + torch.as_tensor(rng.normal(0, 3, len(raw)))
            case "reward_saturate":
                return raw.clamp(max=0.0) + 1.0
            case "reward_sign":
                return -raw
            case "length_hack":
                return 0.2 * raw + 0.1 * count
        return raw
