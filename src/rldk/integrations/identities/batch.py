"""Identities of one batch: log-probabilities that must agree, advantages that must add up, tokens that must count."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
LEAST_TOKENS = 16  # fewer give no slope


def array(values: Any) -> Array:
    """The values of a tensor, an array or nested lists, as an array of doubles."""
    if hasattr(values, "detach"):
        values = values.detach().float().cpu().numpy()
    return np.asarray(values, dtype=np.float64)


def masked(values: Any, mask: Any = None) -> Array:
    """The values where the mask is true, flat; all of them without a mask."""
    flat = array(values)
    return flat.ravel() if mask is None else flat[array(mask).astype(bool)]


def first_minibatch(logp: Any, old_logp: Any, mask: Any = None) -> dict[str, float]:
    """How far the ratio is from 1 where it must be 1: on the first mini-batch after a rollout, before any step."""
    gap = masked(logp, mask) - masked(old_logp, mask)
    gap = gap[np.isfinite(gap)]
    if not gap.size:
        return {}
    ratio = np.exp(np.clip(gap, -20.0, 20.0))
    return {
        "ratio_first_minibatch_dev": float(np.abs(ratio - 1.0).mean()),
        "logprob_first_minibatch_gap": float(np.abs(gap).mean()),
    }


def rollout_gap(logp_train: Any, logp_rollout: Any, mask: Any = None) -> dict[str, float]:
    """How the trainer's log-probabilities of the sampled tokens relate to those of the sampler.

    The slope is that of a line through the origin-free cloud of both, 1 where both use one temperature."""
    x, y = masked(logp_rollout, mask), masked(logp_train, mask)
    good = np.isfinite(x) & np.isfinite(y)
    x, y = x[good], y[good]
    if not x.size:
        return {}
    gap = y - x
    ratio = np.exp(np.clip(gap, -20.0, 20.0))
    found = {
        "rollout_logprob_diff_mean": float(np.abs(gap).mean()),
        "rollout_logprob_diff_max": float(np.abs(gap).max()),
        "rollout_is_ratio_mean": float(ratio.mean()),
    }
    if x.size >= LEAST_TOKENS and x.std() > 1e-3 and y.std() > 1e-6:
        found["rollout_logprob_corr"] = float(np.corrcoef(x, y)[0, 1])
        found["rollout_logprob_slope"] = float(y.std() / x.std())
        found["rollout_logprob_offset"] = float(np.median(gap))
        found["rollout_logprob_spread"] = float(np.median(np.abs(gap - np.median(gap))))
    return found


def advantages(values: Any, mask: Any = None) -> dict[str, float]:
    """Mean and standard deviation of the advantages, and their number."""
    x = masked(values, mask)
    x = x[np.isfinite(x)]
    if not x.size:
        return {}
    return {
        "advantage_mean": float(x.mean()),
        "advantage_std": float(x.std()),
        "advantage_count": float(x.size),
    }


def group_sums(values: Any, groups: Any) -> dict[str, float]:
    """How far the advantages of each group are from adding up to 0, as a share of their size.

    `values`, `groups`: one advantage and one group for each response."""
    x, ids = array(values).ravel(), np.asarray(groups).ravel()
    if x.size != ids.size or not x.size:
        return {}
    _, index = np.unique(ids, return_inverse=True)
    counts = np.bincount(index)
    if counts.max() < 2:
        return {}
    means = np.bincount(index, weights=x) / counts
    scale = float(np.abs(x).mean())
    return {"advantage_group_dev": float(np.abs(means[counts > 1]).max()) / scale if scale > 0 else 0.0}


def valid_tokens(mask: Any) -> dict[str, float]:
    """The share of the response tokens that the loss sees, of a mask of shape (responses, tokens)."""
    m = array(mask)
    return {"valid_token_frac": float(m.mean())} if m.size else {}


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
