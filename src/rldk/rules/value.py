"""Rules on the critic: explains nothing, explains too much, clipped."""

from __future__ import annotations

from rldk.core.algorithms import ACTOR_CRITIC
from rldk.rules.rule import Frame, Signal, rule

EXPLAINED = "value_explained_variance"


@rule(
    "VAL001",
    "critic-explains-nothing",
    severity="info",
    tier=1,
    needs=(EXPLAINED,),
    rows=3,
    algorithms=ACTOR_CRITIC,
    causes=(
        "the reward scale does not suit the critic",
        "the critic learns too slowly or from wrong targets",
        "returns are nearly constant",
    ),
    fixes=("turn on {reward_scale}", "raise {lr_value}", "warm the critic up before the policy moves"),
)
def critic_useless(f: Frame) -> Signal | None:
    """Fires when the critic is worse than a constant on most of the last 50 updates.

    Why it matters: its advantages are then noisier than rewards minus their mean.
    How it is computed: explained variance below 0 on more than 60 % of the last 50 rows, past a fifth of a run of
    known length. A NaN (returns without variance) is the defined answer and is not looked at.
    When it is wrong: small healthy runs live around 0 or slightly below, so this is information, not a warning.
    Source: below 0 is worse than a constant (openai/baselines#454), 60 % of 50 after 20 % of the budget; lowered from
    a warning as 28 of 28 healthy runs with a critic in faultbench are like that.
    """
    share, usual = f.share(EXPLAINED, 50, below=0.0), f.median(EXPLAINED, 50)
    if share > 0.6 and not f.progress() < 0.2:
        message = f"the explained variance was below 0 on {share:.0%} of the last 50 rows (typically {usual:.2g})"
        return Signal(value=usual, limit=0.0, message=message)
    return None


@rule(
    "VAL002",
    "critic-too-good",
    severity="info",
    tier=1,
    needs=(EXPLAINED,),
    algorithms=ACTOR_CRITIC,
    causes=(
        "the answer or the reward leaks into what the critic sees",
        "returns are next to constant",
        "a critic that was trained before",
    ),
    fixes=("compare critic inputs with the reward function's inputs", "ignore this if the critic was pre-trained"),
)
def critic_too_good(f: Frame) -> Signal | None:
    """Fires when the critic explains more than 99 % of the returns from the first updates on.

    Why it matters: a fresh critic cannot know that; something tells it.
    How it is computed: explained variance above 0.99 on every row so far, five at least.
    When it is wrong: pre-trained critics, nearly deterministic returns. Information only.
    Source: 0.99 from the first update, from the catalogue of critic faults; five rows: ours.
    """
    least, count = f.lowest(EXPLAINED, before=0), f.count(EXPLAINED)
    if least > 0.99 and count >= 5:
        message = f"the explained variance has been above {least:.3f} since the first row"
        return Signal(value=f[EXPLAINED], limit=0.99, message=message)
    return None


@rule(
    "VAL006",
    "value-clip-saturation",
    severity="info",
    tier=1,
    needs=("value_clip_frac",),
    rows=3,
    algorithms=ACTOR_CRITIC,
    causes=("the value clip range is small against the scale of the returns", "the critic's learning rate is too high"),
    fixes=("raise {clip_value}", "turn on {reward_scale}", "lower {lr_value}"),
)
def value_clip_saturation(f: Frame) -> Signal | None:
    """Fires when typically more than half of the value predictions were clipped over the last 20 updates.

    Why it matters: the critic learns only from the other half and lags behind the policy.
    How it is computed: the median clipped share of 20 rows is above 0.5, three rows running.
    When it is wrong: during the first updates after a jump of the reward scale.
    Source: the 20 updates of the rule for the policy's ratio; 0.5: ours.
    """
    usual = f.median("value_clip_frac", 20)
    if usual > 0.5:
        return Signal(value=usual, limit=0.5, message=f"typically {usual:.0%} of the value predictions are clipped")
    return None
