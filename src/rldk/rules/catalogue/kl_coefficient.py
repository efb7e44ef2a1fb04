"""KL: the coefficient that ties the policy to its reference, as logged or as losses and rewards imply it."""

from __future__ import annotations

import math

from rldk.core.algorithms import LLM_POLICY
from rldk.rules.before.stated import negative_kl_coefficient
from rldk.rules.evidence import factor
from rldk.rules.knobs import setting
from rldk.rules.rule import Frame, Signal, rule

# logged; (loss - policy loss) / KL; -(KL part of the reward) / KL; loss / KL where no policy loss is logged
COEFFICIENT = ("kl_coef", "kl_coef_implied", "kl_coef_paid", "loss_per_kl")
LOOSE = 0.15  # share of the median: twenty rows within it are one coefficient, whatever policy loss is in the loss
GONE = 0.01
BEYOND = 2.0
REST = 0.15  # of loss / KL: what a policy loss off the first pass may leave
ROWS = {"kl_coef": 20, "kl_coef_implied": 30, "kl_coef_paid": 10}  # the first ones, which tell whether it is constant


@rule(
    "KL007",
    "kl-sign-wrong",
    severity="critical",
    tier=0,
    each=COEFFICIENT,
    algorithms=LLM_POLICY,
    before=negative_kl_coefficient,
    causes=(
        "the KL term is subtracted where it should be added, or added to the reward",
        "the coefficient was set negative",
    ),
    fixes=("make {kl_coef} positive", "check the sign of the KL term: loss = policy loss + coefficient * KL"),
)
def kl_sign(f: Frame) -> Signal | None:
    """Fires when the KL coefficient is negative, either in the log or as the losses imply it.

    Why it matters: The policy is then paid for leaving the reference.
    How it is computed: A logged coefficient below 0 fires at once. Where none is logged, (loss - policy loss) / KL is
    the coefficient if it was constant within 2 % over its first 30 rows. The rule fires when two rows in a row are
    below minus half of that constant, or when the constant itself is negative while the KL is positive. -(KL part of
    the reward) / KL is the coefficient by definition, and three rows below 0 fire. Where only the loss is logged,
    twenty rows fire on which loss / KL is one negative number above -1 within 15 %, although the KL, above 0.05, has
    moved by a third. `rldk preflight` looks at the configured coefficient: below 0.
    When it is wrong: A framework may log the coefficient with its sign turned.
    Source: An identity for the sign (verl's KL loss was maximised, Unakar/Logic-RL#58); 2 % and 30 rows were measured
    on faultbench.
    """
    name, value = f.metric, f[f.metric]
    if name == "kl_coef":
        return Signal(value=value, limit=0.0, message=f"the KL coefficient is {value:.3g}") if value < 0 else None
    if name == "kl_coef_paid":
        message = f"the KL is rewarded, not penalised: its part of the reward implies a coefficient of {value:.3g}"
        paid = f.max(name, 3) < 0 and not f.stated("kl_coef")
        return Signal(value=value, limit=0.0, message=message) if paid else None
    if name == "loss_per_kl":
        return _loss_is_minus_kl(f)
    usual, spread, before = f.early(name, 0, 30), f.spread(name, 0, 30), f.previous(name)
    turned = max(value, before) < -0.5 * abs(usual) and f["kl"] > 0
    if turned and spread <= 0.02 * abs(usual) and not f.stated("kl_coef"):
        message = f"loss and policy loss imply a KL coefficient of {value:.3g}: the KL is being maximised"
        return Signal(value=value, limit=0.0, message=message)
    return None


@rule(
    "KL013",
    "kl-coefficient-broken",
    severity="warn",
    tier=0,
    each=COEFFICIENT,
    algorithms=LLM_POLICY,
    cooldown=10**9,
    causes=(
        "the coefficient was overwritten (configuration reload, resume, a schedule meant for another parameter)",
        "the controller is no longer called, or it has hit a bound",
    ),
    fixes=(
        "set {kl_coef} back and check what writes it",
        "check that the controller gets KL in the unit of {kl_target}",
    ),
)
def coefficient_broken(f: Frame) -> Signal | None:
    """Fires when the KL coefficient breaks: it drops to exactly 0, leaves a constant value, jumps, or gets stuck.

    Why it matters: Only the coefficient ties the policy to its reference.
    How it is computed: The rule uses exact conditions only, on the logged coefficient or on the one that the losses
    imply (see KL007). Off: exactly 0 on two rows after a value above a tenth of its largest. Moved: exactly constant
    over its first 20 rows (30 and 2 % for the implied one), and now off by a factor of two. Jumped: a factor of three
    in one row, which is five times its two steps before. Stuck: it moved on nearly every row for 20 rows, then stood
    still for nine while the KL rose by a quarter or is 30 % off its target.
    When it is wrong: A stepwise schedule of the coefficient may be intended. The rule is quiet about the sliding end of
    a decay to 0. A loss / KL that scattered by less than a quarter around one positive number over twenty rows, and is
    within 15 % of it around 0 on five, counts as gone, too.
    Source: Measured on faultbench dev: healthy controllers move at most 2 % a row; published ones at most double in a
    row (adaptive-KL rules known from the literature); no false alarm on 44 healthy runs.
    """
    name, value = f.metric, f[f.metric]
    if name == "loss_per_kl":
        return _loss_without_kl(f)
    same, left, longest, count = f.repeats(name), f.departed(name), f.longest_run(name), f.count(name)
    implied, rows = name != "kl_coef", ROWS[name]
    usual, spread, largest = f.early(name, 0, rows), f.spread(name, 0, rows), f.highest(name, before=0)
    steps = [f.previous(name, lag) for lag in (1, 2, 3)]
    level, before, target = f.median("kl", 5), f.median("kl", 5, before=9), setting(f, "kl_target")
    if implied and (f.stated("kl_coef") or not spread <= 0.02 * abs(usual)):
        return None
    what = "implied KL coefficient" if implied else "KL coefficient"
    if name == "kl_coef_paid" and abs(value) < GONE * abs(usual) and same >= 2:
        return Signal(value=value, limit=usual, message=f"the {what} went from {usual:.3g} to {value:.3g}")
    if value == 0.0 and same >= 2 and left > 0.1 * largest:
        return Signal(value=0.0, limit=left, message=f"the {what} went from {left:.3g} to exactly 0")
    slack = 0.02 * abs(usual) if implied else 0.0
    if spread <= slack and factor(value, usual) > 2 and factor(steps[0], usual) > 1.02:
        return Signal(
            value=value, limit=usual, message=f"the {what} was {usual:.3g} from the start and is now {value:.3g}"
        )
    last, usual_step = factor(value, steps[0]), max(factor(steps[0], steps[1]), factor(steps[1], steps[2]))
    if not implied and count >= 10 and last > 3 and math.log(last) > 5 * math.log(usual_step):
        return Signal(value=value, limit=steps[0], message=f"the {what} jumped from {steps[0]:.3g} to {value:.3g}")
    stuck = not implied and same >= 9 and longest <= 2 and count - same >= 20
    off_target = abs(level / target - 1) > 0.3 if target > 0 else level > 1.25 * before
    if stuck and off_target:
        message = f"the {what} used to move on every row but was {value:.3g} on {same:.0f} rows while the KL moved"
        return Signal(value=value, message=message)
    return None


def _loss_is_minus_kl(f: Frame) -> Signal | None:
    name = "loss_per_kl"
    typical, best, worst = f.median(name, 20), f.max(name, 20), f.min(name, 20)
    least, most = f.min("kl", 20), f.max("kl", 20)
    if not (-1.0 < best < 0 and best - worst < LOOSE * abs(typical) and most > 1.3 * least and least > 0.05):
        return None
    message = f"the loss is {typical:.3g} times the KL, row after row: the KL is being maximised"
    return Signal(value=typical, limit=0.0, message=message)


def _loss_without_kl(f: Frame) -> Signal | None:
    name = "loss_per_kl"
    usual, scatter = f.median(name, 20, before=5), f.mad(name, 20, before=5)
    most, least = f.max(name, 5), f.min(name, 5)
    if not (usual > 0 and scatter < 0.25 * usual and most < REST * usual and least > -REST * usual):
        return None
    message = f"the loss used to be about {usual:.3g} times the KL and has lost that part: it is now close to 0"
    return Signal(value=most, limit=usual, metric="loss", message=message)


@rule(
    "KL018",
    "kl-coefficient-above-all-published",
    severity="warn",
    tier=1,
    each=("kl_coef", "kl_coef_paid"),
    algorithms=LLM_POLICY,
    causes=(
        "the exponent has a typing error",
        "a coefficient for a mean over tokens is used on a sum",
    ),
    fixes=("lower {kl_coef}: 0.001 to 0.2 is usual",),
)
def coefficient_above_all_published(f: Frame) -> Signal | None:
    """Fires when the run began with a KL coefficient larger than any published one.

    Why it matters: The policy is held so near its reference that the reward cannot move it.
    How it is computed: The logged coefficient, or -(KL part of the reward) / KL, is one number within 2 % over its
    first ten rows, and it is above 2.
    When it is wrong: Rewards of the order of 100 need a coefficient of that order. An adaptive coefficient that is
    driven up is not looked at.
    Source: Defaults are 0.001 (verl), 0.01 (OpenRLHF), 0.05 (TRL's PPO), 0.2 at most in the literature; 2 is ten times
    that. Measured: at most 0.2 in 103 healthy small trainings; 5 of 5 with a coefficient of 10 or 20.
    """
    name, value = f.metric, f[f.metric]
    usual, spread, count = f.early(name, 0, 10), f.spread(name, 0, 10), f.count(name)
    if count <= 20 and usual > BEYOND and spread <= 0.02 * usual:
        message = f"the KL coefficient is {value:.3g}; the largest published ones are about 0.2"
        return Signal(value=value, limit=BEYOND, message=message)
    return None
