"""OFF: whether the rollouts were sampled from the policy that is trained."""

from __future__ import annotations

import math

from rldk.core.algorithms import LLM_POLICY
from rldk.rules.rule import Frame, Signal, rule

ROWS = 20
LEAST_SHARE = 0.03  # of the entropy
Z = 5.0


@rule(
    "OFF005",
    "sampled-off-temperature",
    severity="warn",
    tier=2,
    each=("sampled_nll_surplus",),
    rows=3,
    algorithms=LLM_POLICY,
    causes=(
        "the rollout engine samples at another temperature, or with top-p, top-k or min-p, than the trainer assumes",
        "the rollout engine has older weights than the trainer",
    ),
    fixes=(
        "make {temperature} of rollouts and trainer the same, and top-p 1",
        "compute log-probabilities from the logits that were sampled from",
    ),
)
def sampled_off_temperature(f: Frame) -> Signal | None:
    """Fires when sampled tokens are steadily more, or less, likely than the entropy of the policy says.

    Why it matters: importance ratios, KL and entropy are then about another policy than the one that wrote the data.
    How it is computed: for tokens sampled from the policy the mean of -log p is its mean entropy. Over 20 rows the
    mean difference of the two is beyond five standard errors (from the row-to-row scatter) and 3 % of the entropy.
    Needs `sampled_nll` beside `entropy`, both at the rollouts and over the same tokens: no trainer logs it by itself.
    When it is wrong: when entropy and -log p are averaged over different tokens (per sequence, with padding, after
    the update).
    Source: an identity in expectation; the only scalar sign of cold sampling (docs/detectors.md). 20 rows, 5 and 3 %:
    ours. Not measured: no run of the corpus logs it.
    """
    name = f.metric
    surplus, noise, entropy = f.mean(name, ROWS), f.noise(name, ROWS), f.median("entropy", ROWS)
    limit = max(Z * noise / math.sqrt(ROWS), LEAST_SHARE * entropy)
    if not abs(surplus) > limit > 0:
        return None
    how = "less" if surplus > 0 else "more"
    message = (
        f"sampled tokens are {how} likely than the policy's entropy says, by {abs(surplus):.3g} of {entropy:.3g} nats"
    )
    return Signal(value=surplus, limit=limit, metric="sampled_nll", message=message)
