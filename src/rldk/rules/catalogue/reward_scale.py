"""REW: rewards that change their scale or leave their level, and what one step of an environment pays."""

from __future__ import annotations

from rldk.core.algorithms import LLM_POLICY, OFF_POLICY, POLICY_GRADIENT
from rldk.rules.departure import departure
from rldk.rules.evidence import (
    CLASSIC,
    CRITIC,
    about_episodes,
    about_language,
    not_episodic,
    not_off_policy,
    repeats_most,
    runs_away,
)
from rldk.rules.rule import Context, Frame, Signal, rule

CONSTANT, OFF, EXACT = 0.02, 0.1, 1e-6  # shares of the usual pay of a step
WAY = 3.0  # times the mean difference of a row
UNSCALED = 1e4
CHANCE_ROWS = 10
HARDLY, HARDLY_ROWS = 0.005, 100  # of the level: the same for all practical purposes; rows


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
    batches: their row-to-row noise over ten rows is eight times that of the twenty rows before, and three times what
    they moved on the way from the first of these rows to the last. It does not look at
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
    way = abs(f.rise(name, 10)) / 10  # of one row: a steady rise has large differences and no noise
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
    if not logged and usual > 0 and noise > max(8 * usual, WAY * way):
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
    those first rows by that wandering. The rule is quiet where more than half of the rows before repeat the value of
    the row before them.
    When it is wrong: A curriculum may begin easy. Value-based and off-policy agents are often worse than chance at
    first; the rule looks neither at them nor at agents of an unknown trainer.
    Source: The measurements on labelled real trainings used a guard below the start; 30 % and five are our own choice.
    """
    name = "reward_mean"
    now, start, count = f.median(name, 10), f.early(name, 0, 5), f.count(name)
    scale, best, unknown = f.wander(name, 20, lag=5), f.peak(name, 0.1), about_episodes(f)
    held = repeats_most(f, name)
    if unknown and f.framework() not in CLASSIC:
        return None
    fell = start - now > max(0.3 * abs(start), 5 * scale)
    if count >= 20 and fell and best <= start + scale and not held:
        message = f"the reward began at {start:.4g} and is {now:.4g}; it has never been better than at the start"
        return Signal(value=now, limit=start, message=message)
    return None


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
    """Fires when every step of an environment used to pay the same and no longer does.

    Why it matters: The returns before and after are about two different tasks, and the critic knows the old one.
    How it is computed: The rule compares the run with what it guaranteed itself. The return divided by the length of
    the episodes was one number within 2 % over its first ten rows (or within a millionth over its first five, whose
    returns differed), and it is now off by more than 10 %, on three rows in a row.
    Where all episodes are equally long, a mean over many of them is steady for other reasons, so the rule is silent.
    When it is wrong: An environment may pay extra for an end that was never reached before.
    Source: An identity of environments that pay by the step (CartPole, MountainCar, Acrobot); 2 % and 10 % are our own
    choice.
    """
    name = f.metric
    value, usual, spread = f[name], f.early(name, 0, 10), f.spread(name, 0, 10)
    exact, exactly = f.early(name, 0, 5), f.spread(name, 0, 5)
    moved = f.spread("reward_mean", 0, 5) > OFF * abs(f.early("reward_mean", 0, 5))
    lengths, typical = f.spread("response_length_mean", 0, 10), f.early("response_length_mean", 0, 10)
    same_length = lengths <= CONSTANT * typical and spread > EXACT * abs(usual)
    if moved and exactly <= EXACT * abs(exact):
        usual, spread = exact, exactly
    if same_length:
        return None
    if usual != 0 and spread <= CONSTANT * abs(usual) and abs(value - usual) > OFF * abs(usual):
        message = f"a step used to pay {usual:.3g} and now pays {value:.3g}"
        return Signal(value=value, limit=usual, metric="reward_mean", message=message)
    return None


@rule(
    "REW015",
    "return-never-varies",
    severity="warn",
    tier=0,
    needs=("reward_mean", "response_length_mean"),
    unless=not_episodic,
    causes=(
        "the reward is replaced by a constant: a wrapper, a normaliser, a failed reward function",
        "a sparse reward has not been found yet",
    ),
    fixes=("step the environment by hand with random actions and print its rewards", "check {reward_clip}"),
)
def return_never_varies(f: Frame) -> Signal | None:
    """Fires when the return of episodes has been the same since the first row and is not a count of their steps.

    Why it matters: This is REW001 for environments: without differences in return there is nothing to learn.
    How it is computed: The mean return is bitwise the same on all of at least 20 rows, and is not plus or minus the
    mean episode length. (A reward of 1 or -1 a step is constant in tasks that always, or never, run to their limit.)
    A negative return that has stayed within half a percent of itself on 100 rows counts as the same.
    When it is wrong: A sparse reward may not have been found yet. Such a run needs a change just as much.
    Source: A variance of exactly 0 (F03 of the rule catalogue); 20 rows are our own choice. It fires on two PPO runs of
    Stable-Baselines3 with a reward of 0 or a constant, and on none of 62 healthy trainings in environments.
    """
    value, same, count = f["reward_mean"], f.repeats("reward_mean"), f.count("reward_mean")
    steps = f["response_length_mean"]
    span = f.highest("reward_mean", before=0) - f.lowest("reward_mean", before=0)
    if abs(abs(value) - steps) <= 1e-6 * steps:
        return None
    if same == count >= 20:
        return Signal(value=value, message=f"the mean return has been exactly {value:.6g} on all {count:.0f} rows")
    if count >= HARDLY_ROWS and value < 0 and span < HARDLY * abs(value):
        message = f"the return has stayed within {span:.2g} of {value:.4g} on all {count:.0f} rows"
        return Signal(value=value, message=message)
    return None


@rule(
    "REW018",
    "rewards-far-too-large-for-the-critic",
    severity="warn",
    tier=1,
    each=CRITIC,
    rows=15,
    algorithms=OFF_POLICY,
    unless=not_off_policy,
    causes=("values run away (no target network, no twin critics)", "rewards are not scaled to the order of 1"),
    fixes=("turn on {reward_scale} (rescale, do not shift)", "lower {lr}"),
)
def too_large_for_the_critic(f: Frame) -> Signal | None:
    """Fires when the critic's loss stays above 10,000.

    Why it matters: This is REW007 for critics without an explained variance. Steps of such a size are noise to a
    network.
    How it is computed: The loss is above the limit on 15 rows in a row.
    When it is wrong: An environment may have returns in the ten thousands that are learnt nevertheless.
    Source: Rewards of the order of 1 are published for SAC and DQN. 10,000, ten times REW007's limit, is our own
    choice. Measured: below 1,000 in 33 healthy small trainings, 4e6 to 6e7 with rewards a thousand times the usual.
    """
    loss = f[f.metric]
    if loss > UNSCALED:
        return Signal(value=loss, limit=UNSCALED, message=f"the critic's loss stays above 10,000 (now {loss:.3g})")
    return None


@rule(
    "REW024",
    "agent-worse-than-at-first",
    severity="warn",
    tier=3,
    needs=("reward_mean",),
    rows=5,
    cooldown=100,
    algorithms=OFF_POLICY,
    unless=not_off_policy,
    causes=(
        "the values diverge, and the agent repeats the action that they overrate",
        "the target network is updated too often, the buffer is too small, or the rate is too high",
    ),
    fixes=(
        "look at the critic's loss and at the mean of the values",
        "lower {lr}",
        "check {target_update} and {gamma}",
    ),
)
def worse_than_at_first(f: Frame) -> Signal | None:
    """Fires when an agent earns less than its first, random actions did while the loss of its critic runs away.

    Why it matters: This is REW016 for agents that learn from a buffer. These may be worse than chance for a while, but
    not with values that diverge.
    How it is computed: The newest ten returns are all below the median of the first five by a fifth of its size. The
    newest three losses are above a hundred times the median of the first ten, and above the square of the first
    returns.
    When it is wrong: A large reward may be found late.
    Source: As for VAL013. A healthy small DQN spends 40 rows at half of what chance earns, with a loss that does not
    grow.
    """
    high, start = f.max("reward_mean", CHANCE_ROWS), f.early("reward_mean", 0, 5)
    away = [runs_away(f, name) for name in CRITIC]
    if high < start - 0.2 * abs(start) and any(away):
        message = (
            f"for {CHANCE_ROWS} rows the agent has earned at most {high:.4g}; its first actions earned {start:.4g}"
        )
        return Signal(value=high, limit=start, message=message)
    return None
