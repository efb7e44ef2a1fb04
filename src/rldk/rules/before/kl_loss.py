"""KL: estimators whose gradient is not that of the KL."""

from __future__ import annotations

from rldk.core.algorithms import LLM_POLICY
from rldk.rules.rule import Context, Signal, rule
from rldk.rules.subject import ConfigView

_FIRST = frozenset({"k1", "kl"})  # log p - log q, by the names of OpenRLHF and verl


def _foreign(context: Context) -> str | None:
    if context.framework in ("verl", "openrlhf"):
        return None
    return "defined for verl and OpenRLHF, where the estimator is chosen"


@rule(
    "KL030",
    "kl-loss-without-gradient",
    severity="warn",
    tier=0,
    data="C",
    subject="config",
    needs=("kl_estimator",),
    algorithms=LLM_POLICY,
    unless=_foreign,
    causes=("the estimator of the reward penalty (k1) is used for the loss",),
    fixes=("set {kl_estimator} to k2, or to the variant with a straight-through gradient (verl: k1+, k3+)",),
)
def kl_loss_without_gradient(c: ConfigView) -> Signal | None:
    """Fires when the KL is a term of the loss and its estimator is k1.

    Why it matters: The gradient of k1 = log p - log q on the policy's own samples is zero on average. The term adds
    noise and holds nothing back.
    How it is computed: The KL loss is on and the estimator is `k1` (verl also calls it `kl`), without the suffix `+` of
    verl, and without the unbiased gradient of OpenRLHF.
    When it is wrong: Importance weights of later epochs on the same rollout give it a small gradient.
    Source: Schulman, Approximating KL Divergence; the docstring of `kl_penalty` in verl 0.9.1; the advice that
    OpenRLHF 0.11.2 prints. The expected gradient of a score function is zero (an identity).
    """
    on = c.is_on("actor_rollout_ref.actor.use_kl_loss", "algo.kl.use_loss") and not c.is_on("algo.kl.unbiased_gradient")
    estimator = str(c.get("kl_estimator"))
    if not on or estimator not in _FIRST:
        return None
    return Signal(value=1.0, message=f"`{c.key('kl_estimator')}` is {estimator}, whose gradient is zero on average")
