"""The metrics that a run needs before anything can be said about it, for each kind of training: data, no logic.

A run is judged when each of its needs is met, which means that one of the metrics of a need was there. `parts` names
the metrics as a reader would, so that a report can say what is missing. Rules outside of MET look at every metric
listed here."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from rldk.core.algorithms import PREFERENCE, REFERENCE_FREE, REWARD_MODEL, SUPERVISED, VALUE_BASED


class Need(Struct, frozen=True):
    """A need is met by one of the metrics of any of its parts."""

    parts: Mapping[str, tuple[str, ...]]

    @property
    def metrics(self) -> tuple[str, ...]:
        return tuple(name for names in self.parts.values() for name in names)


_LOSS = {"loss": ("loss", "policy_loss", "value_loss")}
_GRADIENTS = {"gradients": ("grad_norm", "grad_norm_policy", "grad_norm_value")}
_REWARD = Need({"reward or return": ("reward_mean", "eval_reward_mean", "elo")})
_OUTCOME = Need({"accuracy": ("pref_accuracy", "eval_pref_accuracy"), "margin": ("pref_margin",)})
_OPTIMISATION = Need(
    {**_LOSS, "KL": ("kl", "kl_policy_update"), "entropy": ("entropy",), **_GRADIENTS}
)  # each has rules that see a broken update

# The goal is the first need of each.
POLICY_NEEDS = (_REWARD, _OPTIMISATION)
PREFERENCE_NEEDS = (_OUTCOME, Need(_LOSS))
VALUE_NEEDS = (_REWARD, Need({**_LOSS, **_GRADIENTS}))
SUPERVISED_NEEDS = (Need(_LOSS), Need({**_GRADIENTS, "evaluation loss": ("eval_loss",), "learning rate": ("lr",)}))


LOSS_ALONE = frozenset(
    {"transformers"}
)  # when a log of these trainers has no reward and no preference, the training is supervised


def needs_of(algorithm: str | None, *, framework: str | None = None, plain: bool = False) -> tuple[Need, ...]:
    """The needs of a run. With an unknown algorithm, it is taken for a policy that learns from reward.

    `plain`: no column of the log, known or unknown, can be a reward or a preference."""
    if algorithm in PREFERENCE | REFERENCE_FREE | REWARD_MODEL:
        return PREFERENCE_NEEDS
    if algorithm in SUPERVISED or (algorithm is None and framework in LOSS_ALONE and plain):
        return SUPERVISED_NEEDS
    return VALUE_NEEDS if algorithm in VALUE_BASED else POLICY_NEEDS
