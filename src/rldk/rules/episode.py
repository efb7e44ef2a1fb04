"""REW: what one step of an environment pays, from the return and the length of its episodes."""

from __future__ import annotations

from rldk.rules.rule import Frame, Signal, rule
from rldk.rules.witness import not_episodic

CONSTANT, OFF, EXACT = 0.02, 0.1, 1e-6  # shares of the usual pay of a step


@rule(
    "REW017",
    "pay-of-a-step-changed",
    severity="warn",
    tier=0,
    each=("reward_per_step",),
    rows=3,
    unless=not_episodic,
    causes=(
        "a wrapper or a normaliser scales, clips, turns or replaces the reward from some step on",
        "the environment was reloaded with another reward",
    ),
    fixes=("step the environment by hand before and after that step and print its rewards", "check {reward_scale}"),
)
def pay_changed(f: Frame) -> Signal | None:
    """Fires when every step of an environment paid the same and no longer does.

    Why it matters: returns before and after are about two different tasks, and the critic knows the old one.
    How it is computed: what the run itself guaranteed. The return over the length of the episodes was one number
    within 2 % over its first ten rows (or within a millionth over its first five, whose returns differed) and is now
    off by more than 10 %, on three rows running.
    When it is wrong: environments that pay extra for an end that was never reached before.
    Source: an identity of environments that pay by the step (CartPole, MountainCar, Acrobot); 2 % and 10 %: ours.
    """
    name = f.metric
    value, usual, spread = f[name], f.early(name, 0, 10), f.spread(name, 0, 10)
    exact, exactly = f.early(name, 0, 5), f.spread(name, 0, 5)
    moved = f.spread("reward_mean", 0, 5) > OFF * abs(f.early("reward_mean", 0, 5))
    if moved and exactly <= EXACT * abs(exact):
        usual, spread = exact, exactly
    if usual != 0 and spread <= CONSTANT * abs(usual) and abs(value - usual) > OFF * abs(usual):
        message = f"a step used to pay {usual:.3g} and now pays {value:.3g}"
        return Signal(value=value, limit=usual, metric="reward_mean", message=message)
    return None
