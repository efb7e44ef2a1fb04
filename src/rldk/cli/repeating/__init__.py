"""Commands that run a training again: whether it gives the same, and what changed."""
