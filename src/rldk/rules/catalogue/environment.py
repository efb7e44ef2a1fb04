"""ENV: what passes between an agent and its environment."""

from __future__ import annotations

from rldk.rules.rule import Frame, Signal, rule

SATURATED = 0.5


@rule(
    "ENV003",
    "observation-not-finite",
    severity="warn",
    tier=0,
    each=("observation_nonfinite_frac", "reward_nonfinite_frac"),
    causes=(
        "the simulation diverged: a step too long, a body that left the world",
        "a division by zero in the environment, or in a wrapper that normalises by a variance of 0",
        "an action that is not finite reached the environment: the policy broke first",
    ),
    fixes=(
        "stop the environment at the first value that is not finite, and look at the state before it",
        "end the episode when the simulation diverges, and clip what a normaliser gives",
    ),
)
def not_finite(f: Frame) -> Signal | None:
    """Fires when an observation or a reward of the environment is NaN or infinite.

    Why it matters: One such number makes the output of the policy, and after the next update its weights, NaN. The
    trainer then stops with an error about its distribution, far from the cause.
    How it is computed: The share of elements that are not finite, of the observations or of the rewards since the last
    row, is above 0. The hooks count it where the environment returns it, and record it at that step.
    When it is wrong: An environment that marks missing values by NaN on purpose, for a policy that masks them.
    Source: An identity: no observation or reward is allowed to be NaN (the environment checker of Stable-Baselines3
    refuses such environments).
    """
    value, what = f[f.metric], f.metric.partition("_")[0]
    if value > 0:
        message = f"{value:.3g} of the elements of the {what}s since the last row are NaN or infinite"
        return Signal(value=value, limit=0.0, message=message)
    return None


@rule(
    "ENV004",
    "actions-saturated",
    severity="info",
    tier=1,
    needs=("action_bound_frac",),
    rows=5,
    causes=(
        "the policy's mean lies far outside of the bounds: the updates were too large, or nothing pulls it back",
        "the bounds of the action space are narrower than the task needs",
        "actions are scaled twice, or not at all",
    ),
    fixes=(
        "compare the bounds of the action space with what the environment does with an action",
        "lower {lr}, or use a policy whose output is squashed",
    ),
)
def actions_saturated(f: Frame) -> Signal | None:
    """Fires when most actions lie at a bound of the action space.

    Why it matters: At a bound an action does not depend on the policy any more, so nothing is learnt from it.
    How it is computed: More than half of the elements of the actions lie within a thousandth of the range of a bound,
    or beyond it, on five rows in a row.
    When it is wrong: The best control of many tasks switches between the bounds (a swing-up, a car on a hill). It is
    therefore information.
    Source: The share of 0.5 over five updates is a convention of ours.
    """
    value = f["action_bound_frac"]
    if value > SATURATED:
        message = f"{value:.0%} of the actions lie at a bound of the action space"
        return Signal(value=value, limit=SATURATED, message=message)
    return None
