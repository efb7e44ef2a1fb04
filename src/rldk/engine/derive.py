"""Metrics that a row implies: its own position, and values the trainer did not log but its losses determine."""

from __future__ import annotations

import math

from rldk.core.table import Row

KL_MATERIAL = 1e-3  # nats; below it (loss - policy_loss) / kl divides rounding by rounding


def derived(row: Row) -> dict[str, float]:
    """The row's values and, beside them, `step`, `segment` and what follows from identities.

    `kl_coef_implied` = (loss - policy_loss) / kl, where all three are there and |kl| is material: the coefficient of a
    trainer that adds beta * KL to its loss. Rules decide whether it was constant enough to mean that.
    `kl_coef_paid` = -(KL part of the reward) / kl: the coefficient of a trainer that puts the KL into the reward.
    `loss_per_kl` = loss / kl where no policy loss is logged: the coefficient, as far as the KL dominates the loss.
    `reward_per_step` = return / length of an episode (of a response, where rows are about language).
    `sampled_nll_surplus` = sampled_nll - entropy: 0 in expectation for tokens sampled from the trainer's policy.
    `grad_ratio_log10` = log10(grad_norm_policy / grad_norm_value), where both are positive.
    """
    values = dict(row.values)
    values["step"] = float(row.step)
    values["segment"] = float(row.segment)
    loss, policy, kl = values.get("loss", math.nan), values.get("policy_loss", math.nan), values.get("kl", math.nan)
    implied = (loss - policy) / kl if abs(kl) > KL_MATERIAL else math.nan
    if math.isfinite(implied):
        values["kl_coef_implied"] = implied
    elif abs(kl) > KL_MATERIAL and policy != policy and math.isfinite(loss):
        values["loss_per_kl"] = loss / kl
    paid = -values.get("reward_kl_penalty", math.nan) / kl if abs(kl) > KL_MATERIAL else math.nan
    if math.isfinite(paid):
        values["kl_coef_paid"] = paid
    paid_per_step = values.get("reward_mean", math.nan) / (values.get("response_length_mean", math.nan) or math.nan)
    if math.isfinite(paid_per_step):
        values["reward_per_step"] = paid_per_step
    surplus = values.get("sampled_nll", math.nan) - values.get("entropy", math.nan)
    if math.isfinite(surplus):
        values["sampled_nll_surplus"] = surplus
    actor, critic = values.get("grad_norm_policy", 0.0), values.get("grad_norm_value", 0.0)
    if 0.0 < actor < math.inf and 0.0 < critic < math.inf:
        values["grad_ratio_log10"] = math.log10(actor) - math.log10(critic)
    return values
