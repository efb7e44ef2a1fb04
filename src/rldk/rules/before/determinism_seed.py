"""DET: configurations whose runs cannot be repeated."""

from __future__ import annotations

from rldk.rules.rule import Context, Signal, rule
from rldk.rules.subject import ConfigView


def _no_default_seed(context: Context) -> str | None:
    if context.framework in ("trl", "transformers", "openrlhf"):
        return None
    return "defined for trainers that have a seed by default (TRL, OpenRLHF), so that none means it was removed"


@rule(
    "DET003",
    "no-seed",
    severity="warn",
    tier=0,
    data="C",
    subject="config",
    unless=_no_default_seed,
    causes=("the seed was set to null to get different runs",),
    fixes=("set {seed} to a number, another one for each run",),
)
def no_seed(c: ConfigView) -> Signal | None:
    """Fires when the seed was taken out of a configuration that has one by default.

    Why it matters: The run cannot be repeated, and two runs cannot be told apart from chance.
    How it is computed: The trainer's seed is there and is null, or negative.
    When it is wrong: The script may seed its libraries itself.
    Source: DET003 of the rule catalogue; the defaults of transformers (42) and OpenRLHF (42).
    """
    for key in ("seed", "train.seed"):
        if key in c.values and (c.values[key] is None or (isinstance(c.values[key], int) and c.values[key] < 0)):
            return Signal(value=0.0, metric=key, message=f"`{key}` is {c.values[key]}: the run cannot be repeated")
    return None
