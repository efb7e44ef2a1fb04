"""Metrics that follow from others: the position of a row, and values that the trainer did not log."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from rldk.engine.features.window import NAN

KL_MATERIAL = 1e-3  # nats; below it, (loss - policy_loss) / kl divides one rounding error by another

SOURCES = (
    "kl", "loss", "policy_loss", "reward_kl_penalty", "sampled_nll", "entropy", "grad_norm_policy", "grad_norm_value",
    "reward_mean", "response_length_mean",
)  # fmt: skip
# what can follow from them, in the order in which a row has them
DERIVED = (
    "kl_coef_implied", "loss_per_kl", "kl_coef_paid", "reward_per_step", "sampled_nll_surplus", "grad_ratio_log10",
)  # fmt: skip
Columns = Mapping[str, Sequence[float]]


def derive_columns(columns: Columns) -> dict[str, list[float]]:
    """Derives metrics from logged ones by identities, as columns. A value is NaN where it cannot be derived. All inputs
    are finite.

    `kl_coef_implied` = (loss - policy_loss) / kl, where all three are present and |kl| is material. This is the
    coefficient of a trainer that adds beta * KL to its loss. Rules decide whether it was constant enough to mean that.

    `kl_coef_paid` = -(KL part of the reward) / kl: the coefficient of a trainer that puts the KL into the reward.

    `loss_per_kl` = loss / kl where no policy loss is logged: the coefficient, as far as the KL dominates the loss.

    `reward_per_step` = return / length of an episode (of a response, where rows are about language).

    `sampled_nll_surplus` = sampled_nll - entropy: 0 in expectation for tokens sampled from the trainer's policy.

    `grad_ratio_log10` = log10(grad_norm_policy / grad_norm_value), where both are positive."""
    made: dict[str, list[float]] = {}
    kl, loss, policy = columns.get("kl"), columns.get("loss"), columns.get("policy_loss")
    penalty, nll, entropy = columns.get("reward_kl_penalty"), columns.get("sampled_nll"), columns.get("entropy")
    if kl is not None and loss is not None and policy is not None:
        made["kl_coef_implied"] = _ratio([x - y for x, y in zip(loss, policy, strict=True)], kl)
    elif kl is not None and loss is not None:
        made["loss_per_kl"] = _ratio(loss, kl)
    if kl is not None and penalty is not None:
        made["kl_coef_paid"] = _ratio([-x for x in penalty], kl)
    reward, length = columns.get("reward_mean"), columns.get("response_length_mean")
    if reward is not None and length is not None:
        made["reward_per_step"] = [_finite(x / y) if y else NAN for x, y in zip(reward, length, strict=True)]
    if nll is not None and entropy is not None:
        made["sampled_nll_surplus"] = [_finite(x - y) for x, y in zip(nll, entropy, strict=True)]
    actor, critic = columns.get("grad_norm_policy"), columns.get("grad_norm_value")
    if actor is not None and critic is not None:
        log = math.log10
        made["grad_ratio_log10"] = [log(x) - log(y) if x > 0.0 < y else NAN for x, y in zip(actor, critic, strict=True)]
    return made


def derive_values(values: Mapping[str, float]) -> dict[str, float]:
    """The same for the values of one row, which need not be finite."""
    found = derive_columns(
        {name: (values[name],) for name in SOURCES if name in values and math.isfinite(values[name])}
    )
    return {name: x for name, (x,) in found.items() if x == x}


def _ratio(above: Sequence[float], below: Sequence[float]) -> list[float]:
    return [_finite(x / y) if abs(y) > KL_MATERIAL else NAN for x, y in zip(above, below, strict=True)]


def _finite(x: float) -> float:
    return x if x - x == 0.0 else NAN
