"""REW: rewards that change their scale, or leave the level they had."""

from __future__ import annotations

from rldk.core.algorithms import LLM_POLICY, POLICY_GRADIENT
from rldk.rules.departure import departure
from rldk.rules.evidence import CLASSIC, about_episodes, about_language
from rldk.rules.rule import Context, Frame, Signal, rule


def _is_single(name: str) -> bool:
    """Whether the log calls its reward by no word of a batch (`reward`, `Total Reward`), unlike `rewards/mean`."""
    return name.lower().replace("_", " ") in ("reward", "rewards", "total reward", "totalreward")


def _episodes(context: Context) -> str | None:
    if context.framework in CLASSIC:
        return "the return of an environment grows by design, so its scale is not that of the reward"
    if context.algorithm is None and set(context.names) == {"reward_mean"} and _is_single(context.names["reward_mean"]):
        return "a log of nothing but rewards is mostly one of single episodes, which are often equal for twenty rows"
    return None


@rule(
    "REW005",
    "reward-changed-its-scale",
    severity="warn",
    tier=2,
    needs=("reward_mean",),
    algorithms=LLM_POLICY,
    unless=_episodes,
    causes=(
        "the reward model or verifier was changed, reloaded or lost its normalisation in mid-run",
        "noise was added to the reward (a sampled judge, a race in a running mean)",
        "a sign, a weight or a unit of a reward component changed",
    ),
    fixes=(
        "score the same ten completions before and after the first step named here",
        "pin the version and the sampling of {reward_fn}",
        "check {reward_scale} and {reward_weights}",
    ),
)
def reward_changed_its_scale(f: Frame) -> Signal | None:
    """Fires when the reward jumps far out of its range in one row, or when its spread grows to 2.5 times its level.

    Why it matters: Learning moves a reward step by step within its bounds. A jump means that something else is
    measured, and everything that the run learnt was about the old measure.
    How it is computed: The rule fires when, from the 20th row on, three rows are beyond everything seen before by more
    than its whole range, and the way there was one step of eight times the largest step so far. It fires when the
    spread of the reward (`reward_std`, within groups where that is logged) leaves its line by five scales and by a
    factor of 2.5, and is beyond 1.5 times its largest value so far. Where no spread is logged, it looks at the means of
    batches: their row-to-row noise over ten rows is eight times that of the twenty rows before. It does not look at
    returns of environments, which grow by such steps once an agent has found out how. A log that has the loss of a
    critic and no word of language (KL to a reference, truncation, tokens) is that of an environment, too.
    When it is wrong: A curriculum or another data set may begin at that step, or a sparse reward may be found all at
    once.
    Source: The factors were measured on labelled real trainings (docs/detectors.md).
    """
    name = "reward_mean"
    high, low, stride = f.highest(name, before=3), f.lowest(name, before=3), f.largest_step(name, before=3)
    least, most, count = f.min(name, 3), f.max(name, 3), f.count(name)
    step = max(abs(f[name] - f.previous(name, 3)), abs(f.previous(name, 2) - f.previous(name, 3)))
    spread, widest = departure(f, "reward_std"), f.highest("reward_std", before=3)
    noise, usual, logged = f.noise(name, 11), f.noise(name, 21, before=10), f.gap("reward_std") == 0.0
    extent, agent = high - low, f.gap("value_loss") >= 0 and not about_language(f)
    if about_episodes(f) or agent:
        return None
    beyond = least > high + extent or most < low - extent
    if count >= 20 and extent > 0 and beyond and step > 8 * stride:
        message = f"the reward left its whole earlier range ({low:.3g} to {high:.3g}) in one step: it is {f[name]:.3g}"
        return Signal(value=f[name], limit=high if least > high else low, message=message)
    if spread is not None and spread.up and (spread.reference or spread.now > 1.5 * widest):
        message = f"the spread of the reward {spread.how}"
        return Signal(value=spread.now, limit=2.5 * spread.level, metric="reward_std", message=message)
    if not logged and usual > 0 and noise > 8 * usual:
        message = f"the reward of a batch now varies by {noise:.3g} from row to row; it varied by {usual:.3g} before"
        return Signal(value=noise, limit=8 * usual, message=message)
    return None


def _unknown_agent(context: Context) -> str | None:
    if context.framework in CLASSIC and context.algorithm is None:
        return "defined for on-policy algorithms; this log does not say which algorithm it is of"
    return None


@rule(
    "REW016",
    "reward-below-its-start",
    severity="warn",
    tier=3,
    needs=("reward_mean",),
    rows=5,
    algorithms=POLICY_GRADIENT,
    unless=_unknown_agent,
    causes=(
        "the sign of the advantages, of the loss or of the reward is turned",
        "the critic gives advantages that point the wrong way",
        "a penalty (length, KL, entropy) outweighs the reward",
    ),
    fixes=("check the signs of advantage and loss on one batch", "lower {lr}", "look at {kl_coef} and {entropy_coef}"),
)
def reward_below_its_start(f: Frame) -> Signal | None:
    """Fires when an on-policy run earns less, for good, than before it was trained, and never earned more.

    Why it matters: The updates undo what the model could do from the start.
    How it is computed: From the 20th row on, the median reward of ten rows is below that of the first five by 30 % and
    by five times its slow wandering (differences over five rows without their trend). No running mean was ever above
    those first rows by that wandering.
    When it is wrong: A curriculum may begin easy. Value-based and off-policy agents are often worse than chance at
    first; the rule looks neither at them nor at agents of an unknown trainer.
    Source: The measurements on labelled real trainings used a guard below the start; 30 % and five are our own choice.
    """
    name = "reward_mean"
    now, start, count = f.median(name, 10), f.early(name, 0, 5), f.count(name)
    scale, best, unknown = f.wander(name, 20, lag=5), f.peak(name, 0.1), about_episodes(f)
    if unknown and f.framework() not in CLASSIC:
        return None
    fell = start - now > max(0.3 * abs(start), 5 * scale)
    if count >= 20 and fell and best <= start + scale:
        message = f"the reward began at {start:.4g} and is {now:.4g}; it has never been better than at the start"
        return Signal(value=now, limit=start, message=message)
    return None
