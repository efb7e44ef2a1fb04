"""Rules on single samples. `distilled` reads metrics that the engine computes from them; the others read the counts of
each step (`rules.sample_view`)."""

from rldk.rules.catalogue.samples import advantage, data, distilled, length, reward, tokens

__all__ = ["advantage", "data", "distilled", "length", "reward", "tokens"]
