"""The metrics without which nothing can be said of a run, by kind of training: data, no logic.

A run is judged when each of its needs is met: one of the metrics of a need was there. `parts` names them as a reader
would, so that what is missing can be said. Every metric here is one that rules outside of MET look at."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from rldk.core.algorithms import PREFERENCE, REFERENCE_FREE, REWARD_MODEL, SUPERVISED, VALUE_BASED


class Need(Struct, frozen=True):
    """One of the metrics of any part is enough."""

    parts: Mapping[str, tuple[str, ...]]

    @property
    def metrics(self) -> tuple[str, ...]:
        return tuple(name for names in self.parts.values() for name in names)


_LOSS = {"loss": ("loss", "policy_loss", "value_loss")}
_GRADIENTS = {"gradients": ("grad_norm", "grad_norm_policy", "grad_norm_value")}
_REWARD = Need({"reward or return": ("reward_mean", "eval_reward_mean")})
_OUTCOME = Need({"accuracy": ("pref_accuracy", "eval_pref_accuracy"), "margin": ("pref_margin",)})
_OPTIMISATION = Need(
    {**_LOSS, "KL": ("kl", "kl_policy_update"), "entropy": ("entropy",), **_GRADIENTS}
)  # each has rules that see a broken update

# The goal is the first need of each.
POLICY_NEEDS = (_REWARD, _OPTIMISATION)
PREFERENCE_NEEDS = (_OUTCOME, Need(_LOSS))
VALUE_NEEDS = (_REWARD, Need({**_LOSS, **_GRADIENTS}))
SUPERVISED_NEEDS = (Need(_LOSS), Need({**_GRADIENTS, "evaluation loss": ("eval_loss",), "learning rate": ("lr",)}))


LOSS_ALONE = frozenset({"transformers"})  # trainers of which a log without reward or preference is supervised


def needs_of(algorithm: str | None, *, framework: str | None = None, plain: bool = False) -> tuple[Need, ...]:
    """What a run is judged by; of an unknown algorithm it is taken for a policy that learns from reward.

    `plain`: no column of the log, known or not, may be a reward or a preference."""
    if algorithm in PREFERENCE | REFERENCE_FREE | REWARD_MODEL:
        return PREFERENCE_NEEDS
    if algorithm in SUPERVISED or (algorithm is None and framework in LOSS_ALONE and plain):
        return SUPERVISED_NEEDS
    return VALUE_NEEDS if algorithm in VALUE_BASED else POLICY_NEEDS
