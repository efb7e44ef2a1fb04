"""ENT: exploration that never ends, or grows without paying."""

from __future__ import annotations

import math

from rldk.core.algorithms import POLICY_GRADIENT, VALUE_BASED
from rldk.rules.evidence import factor
from rldk.rules.rule import Frame, Signal, rule

ON_POLICY = frozenset({"ppo", "a2c"})
RUNAWAY = 5.0
ABSURD = 0.5
UNIFORM = tuple(math.log(actions) for actions in range(2, 65))  # entropies of policies that choose any action alike
NO_MOVE, NO_MOVE_ROWS = 1e-5, 100


@rule(
    "ENT009",
    "exploration-never-comes-down",
    severity="warn",
    tier=0,
    needs=("exploration_rate",),
    algorithms=VALUE_BASED,
    causes=("the exploration schedule is never updated, or is made for far more steps than the run has",),
    fixes=("check `exploration_fraction`, `exploration_final_eps` and {total_steps}",),
)
def exploration_never_comes_down(f: Frame) -> Signal | None:
    """Fires when a value-based agent has acted mostly at random, at exactly the same rate, since its first row.

    Why it matters: What the agent learns is never tried, so its returns stay those of chance.
    How it is computed: This is ENT003 for epsilon-greedy agents. The exploration rate is above one half and bitwise the
    same on all of at least 30 rows; a schedule that works falls with every step.
    When it is wrong: A run may collect data at random on purpose.
    Source: An identity of a falling schedule; one half and 30 rows are our own choice. It fires on one DQN of
    Stable-Baselines3 whose exploration is stuck at 1, and on none of 8 healthy ones.
    """
    rate, same, count = f["exploration_rate"], f.repeats("exploration_rate"), f.count("exploration_rate")
    if rate > 0.5 and same == count >= 30:
        return Signal(value=rate, limit=0.5, message=f"the exploration rate has been {rate:g} on all {count:.0f} rows")
    return None


@rule(
    "ENT013",
    "policy-still-uniform",
    severity="warn",
    tier=3,
    needs=("entropy", "reward_mean"),
    cooldown=1000,
    algorithms=POLICY_GRADIENT,
    causes=(
        "the reward is so sparse that nothing is ever learnt from it",
        "an entropy coefficient that outweighs the advantages",
        "the policy's parameters are not trained, or its learning rate is far too small",
    ),
    fixes=("a denser reward or a curriculum of easier tasks", "lower {entropy_coef}", "check {optimizer} and {lr}"),
)
def policy_still_uniform(f: Frame) -> Signal | None:
    """Fires when the policy has chosen among its actions with equal chances since the first of a hundred rows.

    Why it matters: such an agent acts at random, and its reward is that of chance.
    How it is computed: on all of at least 100 rows the entropy is within 1e-5 of one and the same logarithm of a whole
    number of actions, 2 to 64, which is the entropy of a uniform choice; the last known learning rate is not 0.
    When it is wrong: a reward so rare that the first success comes later still.
    Source: an identity of the uniform distribution. 1e-5 and 100 rows are ours: a policy that has made one useful
    update is away from the maximum by more than that. Of 107 runs with an entropy (public logs, and healthy runs
    trained for the purpose) one begins with more than two rows within it: the agent without progress that the rule was
    made for. 21 of the healthy ones have 100 rows.
    """
    high, low, count = f.highest("entropy", before=0), f.lowest("entropy", before=0), f.count("entropy")
    lr = f.ewma("lr", 1.0)
    if count < NO_MOVE_ROWS or high - low > NO_MOVE or lr == 0.0:
        return None
    if min(abs(high - entropy) for entropy in UNIFORM) < NO_MOVE:
        message = f"the entropy has been {high:.5g}, that of a uniform choice, on all {count:.0f} rows"
        return Signal(value=f["entropy"], limit=high, message=message)
    return None


@rule(
    "ENT011",
    "exploration-runs-away",
    severity="warn",
    tier=3,
    each=("train/std", "entropy_coef"),
    needs=("reward_mean",),
    algorithms=ON_POLICY | {"sac"},
    rows=5,
    causes=(
        "the entropy coefficient outweighs the reward",
        "the policy cannot reach the target entropy (SAC)",
        "advantages are close to 0, so that only the entropy bonus is left",
    ),
    fixes=("lower {entropy_coef}, or set it to 0", "scale rewards to the order of 1: {reward_scale}"),
)
def exploration_runs_away(f: Frame) -> Signal | None:
    """Fires when the noise of continuous actions, or SAC's entropy coefficient, grows without end and earns nothing.

    Why it matters: Actions are then noise that the environment clips to its bounds, and nothing can be learnt from
    them.
    How it is computed: This is ENT002 for policies whose entropy has no bounds. The standard deviation of the actions
    (`train/std` in SB3) or the entropy coefficient is above 5 times its first value and within 2 % of its largest value
    so far, and the median reward of 10 rows is not above that of the first 10 by twice its noise. The rule needs at
    least 20 rows.
    When it is wrong: A sparse reward may not have been found yet, or the coefficient may follow a rising schedule.
    Source: Our own choice. A unit Gaussian is the usual start, and 5 of its standard deviations leave any action
    bounds.
    """
    name = f.metric
    value, first, top = f[name], f.first(name), f.highest(name, before=0)
    now, start, noise = f.median("reward_mean", 10), f.early("reward_mean", 0, 10), f.noise("reward_mean", 20)
    if value > RUNAWAY * first > 0 and value > 0.98 * top and now <= start + 2 * noise:
        what = "the noise of the actions" if name == "train/std" else "the entropy coefficient"
        message = f"{what} grew from {first:.3g} to {value:.3g} and the reward has not risen"
        return Signal(value=value, limit=RUNAWAY * first, message=message)
    return None


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
    """Fires when the entropy coefficient is negative or huge, or was constant from the start and has changed.

    Why it matters: A negative coefficient pays for determinism, and a jump pays for noise. Entropy follows some rows
    later.
    How it is computed: The coefficient is below 0, or above 0.5, or was bitwise constant over its first ten rows and is
    now off by more than a factor of three.
    When it is wrong: A stepwise schedule of the coefficient may be intended. Coefficients that adapt on every row (SAC)
    are not looked at.
    Source: An identity for the sign, and what the run itself guaranteed. 0.01 is the usual coefficient (PPO paper,
    known from the literature); fifty times that and the factor are our own choice.
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
