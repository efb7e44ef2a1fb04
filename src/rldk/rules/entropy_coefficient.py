"""ENT: the coefficient of the entropy bonus, where it is logged."""

from __future__ import annotations

from rldk.core.algorithms import POLICY_GRADIENT
from rldk.rules.rule import Frame, Signal, rule
from rldk.rules.witness import factor

ABSURD = 0.5


@rule(
    "ENT010",
    "entropy-coefficient-broken",
    severity="warn",
    tier=0,
    needs=("entropy_coef",),
    algorithms=POLICY_GRADIENT,
    cooldown=10**9,
    causes=(
        "the sign of the entropy term is turned: loss = policy loss - coefficient * entropy",
        "the coefficient was overwritten (configuration reload, resume, a schedule meant for another parameter)",
    ),
    fixes=("set {entropy_coef} back to a small positive number, or 0", "check what writes it"),
)
def entropy_coefficient_broken(f: Frame) -> Signal | None:
    """Fires when the entropy coefficient is negative or huge, or was one number from the start and is now another.

    Why it matters: a negative coefficient pays for determinism; a jump pays for noise. Entropy follows some rows later.
    How it is computed: below 0; above 0.5; or bitwise constant over its first ten rows and now off by more than
    a factor of three.
    When it is wrong: a stepwise schedule of the coefficient that is meant. Coefficients that adapt on every row (SAC)
    are not looked at.
    Source: sign identity, and what the run itself guaranteed; 0.01 is the usual coefficient (PPO paper, known from
    the literature), fifty times that and the factor: ours.
    """
    name = "entropy_coef"
    value, usual, spread = f[name], f.early(name, 0, 10), f.spread(name, 0, 10)
    if value > ABSURD:
        return Signal(value=value, limit=ABSURD, message=f"the entropy coefficient is {value:.3g}")
    if value < 0:
        return Signal(value=value, limit=0.0, message=f"the entropy coefficient is {value:.3g}")
    if spread == 0.0 and usual > 0 and value > 0 and factor(value, usual) > 3:
        message = f"the entropy coefficient was {usual:.3g} from the start and is now {value:.3g}"
        return Signal(value=value, limit=usual, message=message)
    return None
