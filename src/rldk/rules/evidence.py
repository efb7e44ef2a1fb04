"""Questions that rules of several families ask beside their own metric: is reward lost, is the task solved?"""

from __future__ import annotations

import math
from functools import lru_cache

from rldk.core.algorithms import OFF_POLICY
from rldk.core.text import later
from rldk.rules.knobs import keys_of
from rldk.rules.rule import Context, Frame

CRITIC_GROWN = 100.0  # times the first losses
CRITIC = ("loss", "value_loss")
"""The names of the critic's loss: DQN logs the first, the others log the second."""


# trainers of environments rather than language models
CLASSIC = frozenset(
    "sb3 stable_baselines3 rllib cleanrl baselines spinup rsl_rl rl_games skrl mlagents sample_factory pufferlib"
    " tianshou dopamine dreamer keras_rl acme tf_agents garage rlkit cs285 benchmarl gymnasium".split()
)
CONTROL = ("env_steps", "episode_count", "episode_success_rate", "exploration_rate")  # what only environments have
LANGUAGE = (
    "kl",
    "truncation_frac",
    "tokens_total",
    "tokens_step",
    "entropy_seq_sum",
    "zero_std_group_frac",
    "logp_chosen",
)
EACH = 0.8  # of the runs of equal values are long: an episode has one or two steps now and then
OFTEN = 0.5  # of the rows before the present value
GAUSSIAN = 0.5 * math.log(2 * math.pi * math.e)  # entropy of one action dimension at the usual start, std 1


_EPISODE = later(r"(?:(?<![A-Za-z])ep|Ep)s?[_/. ]?(?:[Ll]en|[Rr]ew|[Rr]et)|[Ee]pisod|(?<![A-Za-z])[Rr]eturn")


@lru_cache(maxsize=256)
def _names_an_episode(key: str) -> bool:
    return _EPISODE.search(key) is not None


def about_episodes(f: Frame) -> bool:
    """Whether rows are about episodes of an environment: the trainer, an exploration rate, or the names of return and
    length say so (`ep_len_mean`, `EpRet`, `episode_reward`, `return`), or the rows count episodes or steps of an
    environment and have no metric of language models (TRL's PPO counts samples as episodes)."""
    if f.framework() in CLASSIC or f.gap("exploration_rate") >= 0:
        return True
    if any(_names_an_episode(f.source_name(name)) for name in ("reward_mean", "response_length_mean")):
        return True
    return any(f.gap(name) >= 0 for name in CONTROL) and not any(f.gap(name) >= 0 for name in LANGUAGE)


def repeats_each(f: Frame, name: str) -> bool:
    """Whether the log repeats each value until the next one is known, as a row for each step of an environment does
    with the return of the last episode. Its rows are no trials of their own."""
    return f.held(name) > EACH


def repeats_most(f: Frame, name: str) -> bool:
    """Whether that can be so: more than half of the rows repeat the one before. It is known from the first rows on, but
    a reward that is seldom found repeats itself as well."""
    often, held = f.recurrence(name), repeats_each(f, name)
    return held or often > OFTEN


def about_language(f: Frame) -> bool:
    """Whether rows are about responses: a metric of language models is there, or their trainer is known."""
    return f.framework() not in CLASSIC | {""} or any(f.gap(name) >= 0 for name in LANGUAGE)


def lost_share(f: Frame) -> float:
    """The share of the reward gained so far that the run has lost again; NaN unless the loss matters.

    The loss matters when it is above five times the noise and a fifth of the best level. Levels are running means over
    about ten rows, and the gain counts from the first ten rows. The noise is taken from row to row or over five rows,
    whichever is larger, because an autocorrelated reward wanders by ten times its steps. The newest ten rows must also
    lie below the median of the run's past by that noise, because a single outlier raises a running mean and then lets
    it fall again."""
    level, best = f.ewma("reward_mean", 0.1), f.peak("reward_mean", 0.1)
    start, noise, slow = (
        f.early("reward_mean", 0, 10),
        f.noise("reward_mean", 20),
        f.wander("reward_mean", 30, lag=5, before=10),
    )
    now, past = f.median("reward_mean", 10), f.past("reward_mean", before=10)
    lost, gained = best - level, best - start
    material = gained > 0 and lost > 0.2 * abs(best) and lost > 5 * noise and not lost <= 5 * slow
    return lost / gained if material and now < past - noise and not now >= past - slow else math.nan


def has_kept_gain(f: Frame) -> bool:
    """Whether the reward has risen by three times its noise and a running mean still has more than half of that gain.

    The gain counts from the first ten rows to the best running mean (about ten rows)."""
    start, best, level = f.early("reward_mean", 0, 10), f.peak("reward_mean", 0.1), f.ewma("reward_mean", 0.1)
    noise = f.noise("reward_mean", 20)
    return best - start > 3 * noise and level - start > 0.5 * (best - start)


def reward_rises(f: Frame) -> bool:
    """Whether the newest three rewards are above the eight before them by more than the row-to-row noise."""
    now, before = f.median("reward_mean", 3), f.median("reward_mean", 8, before=3)
    return now > before + f.noise("reward_mean", 20)


def is_unsolved(f: Frame) -> bool:
    """Whether a running mean of the reward (about ten rows) is below its best by more than a quarter of its range.

    This is the slow form of `is_below_best`, for rules on lasting states: single batches of a solved task miss their
    best, too."""
    level, best = f.ewma("reward_mean", 0.1), f.peak("reward_mean", 0.1)
    return level < best - 0.25 * (f.highest("reward_mean", before=0) - f.lowest("reward_mean", before=0))


def is_below_best(f: Frame) -> bool:
    """Whether the last known reward is below its best by more than a tenth of its range: the task is not solved."""
    best, least, last = (
        f.highest("reward_mean", before=0),
        f.lowest("reward_mean", before=0),
        f.median("reward_mean", 1),
    )
    return last < best - 0.1 * (best - least)


def is_solved(f: Frame) -> bool:
    """Whether the task is solved and stays so: every step pays, the return is within a tenth of its best, and it has
    moved by no more than that over 20 rows. A critic then has almost nothing to explain."""
    best, high, low = f.highest("reward_mean", before=0), f.max("reward_mean", 20), f.min("reward_mean", 20)
    pay = f.ewma("reward_per_step", 1.0)
    return low > 0.9 * best > 0 and high - low <= 0.1 * best and pay > 0


def exploration_falls(f: Frame) -> bool:
    """Whether the share of random actions has fallen by a tenth over the last twenty rows. Each row then mixes random
    and chosen actions differently, and random episodes may be the better ones (they end sooner)."""
    rate, before = f.ewma("exploration_rate", 1.0), f.previous("exploration_rate", 20)
    return rate < 0.9 * before or (rate > 0.1 and before != before)


def is_still_learning(f: Frame) -> bool:
    """Whether the return of an environment has risen by three times its noise and is near its best (`is_unsolved`).

    Such a run shows by itself that it does not need a published limit on its updates."""
    start, best, noise = f.early("reward_mean", 0, 10), f.peak("reward_mean", 0.1), f.noise("reward_mean", 20)
    away = is_unsolved(f)
    return about_episodes(f) and best - start > 3 * noise and not away


def is_negligible(f: Frame, loss: float) -> bool:
    """Whether the critic's loss is too small to matter: its root is below a hundredth of what one step pays."""
    pay = f.ewma("reward_per_step", 1.0)
    return loss < 1e-4 * pay * pay


def starting_entropy(f: Frame) -> float:
    """The larger of two numbers: the first entropy, and the median entropy of rows 5 to 25 (once these exist)."""
    first, early = f.first("entropy"), f.early("entropy")
    return early if early > first else first


def has_bounded_entropy(f: Frame) -> bool:
    """Whether entropy has a floor of 0, as for tokens or a few discrete actions. For continuous actions its ratios mean
    nothing.

    Actions count as continuous when the run has no metric of language models and its entropy was ever negative, began
    above log 20, or began at a multiple of a unit Gaussian's (within 1.5 %)."""
    first, least = f.first("entropy"), f.lowest("entropy", before=0)
    if any(f.gap(name) >= 0 for name in LANGUAGE):
        return True
    dimensions = first / GAUSSIAN if first == first else 0.0
    return least >= 0 and first < 3.0 and not (dimensions > 0.5 and abs(dimensions - round(dimensions)) < 0.015)


def factor(a: float, b: float) -> float:
    """The ratio of two positive numbers, the larger one on top; NaN when one of them is not positive."""
    return max(a / b, b / a) if a > 0 and b > 0 else math.nan


def episodic(context: Context) -> str | None:
    """The reason why a rule on responses does not apply: rows are about episodes of an environment."""
    if context.framework in CLASSIC:
        return f"defined for language models; {context.framework} logs episodes of an environment"
    return None


def not_episodic(context: Context) -> str | None:
    """The reason why a rule on episodes does not apply: rows are not about an environment."""
    return None if context.framework in CLASSIC else "defined for environments (Stable-Baselines3, RLlib, CleanRL)"


def synced_reference(context: Context) -> str | None:
    """The reason why a rule that needs a fixed reference does not apply: the reference is synced."""
    synced = any(context.config.get(key) is True for key in keys_of("sync_ref"))
    return "the reference is synced with the policy on purpose" if synced else None


def not_off_policy(context: Context) -> str | None:
    if context.algorithm in OFF_POLICY and context.framework in CLASSIC:
        return None
    return (
        "defined for dqn, sac, td3 of Stable-Baselines3, RLlib and CleanRL; the log does not say that it is one of them"
    )


def runs_away(f: Frame, name: str) -> bool:
    """Whether the newest three losses of the critic are a hundred times its first ten, and the errors are larger than
    what the first episodes earned. The second condition is there because losses that began near 0 grow by such factors
    in healthy runs."""
    loss, first, start = f.min(name, 3), f.early(name, 0, 10), f.early("reward_mean", 0, 5)
    return loss > CRITIC_GROWN * first > 0 and loss > start * start


def is_rated(f: Frame) -> bool:
    """Whether the run plays against copies of itself and logs a rating: its reward then says nothing about progress."""
    return f.gap("elo") >= 0
