"""Patterns that look odd but are normal by construction. A report prints the first paragraph of their docstrings."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from rldk.core.algorithms import CLIPPED, GROUP, POLICY
from rldk.core.registry import Registry
from rldk.rules.catalogue.metrics import is_written_twice
from rldk.rules.evidence import repeats_each
from rldk.rules.knobs import lacks, setting
from rldk.rules.page import read_page
from rldk.rules.rule import ABOVE_ZERO, Body, Context, Frame, Rule, Signal, above, options_of

normals: Registry[Rule] = Registry("topic", group="rldk.normals")


def normal(topic: str, **options: Any) -> Callable[[Body], Rule]:
    """Registers a pattern that looks odd but is normal by construction. Its signal becomes a note in the report."""

    def decorate(body: Body) -> Rule:
        made = Rule(
            code=topic,
            name=topic,
            severity="info",
            tier=0,
            note=True,
            body=body,
            page=read_page(body.__doc__, where=topic),
            **options_of(options),
        )
        return normals.register(topic, made)

    return decorate


def _not_group(context: Context) -> str | None:
    """The reason to skip all but group methods. An unknown algorithm is skipped, too, because a note must be true."""
    return None if context.algorithm in GROUP else "this note is about group methods"


@normal("first-grpo-loss-is-zero", needs=("loss",), unless=_not_group, calm=above(1e-6))
def first_grpo_loss_is_zero(f: Frame) -> Signal | None:
    """A loss of exactly 0 on the first step is right: the advantages of a group sum to 0 and the ratio is still 1.

    Why it matters: This is the most asked question about GRPO. The gradient is not 0.
    How it is computed: The first loss of the run is below 1e-6 in size.
    When it is wrong: If the gradient norm is 0 as well, see OPT002.
    Source: trl#2703, huggingface/open-r1#239.
    """
    loss, n = f["loss"], f.count("loss")
    return Signal(value=loss) if n == 1 and abs(loss) < 1e-6 else None


@normal("grpo-loss-says-little", needs=("loss",), unless=_not_group)
def grpo_loss_says_little(f: Frame) -> Signal | None:
    """The loss hovers around 0 by design (group advantages sum to 0); judge the run by reward, KL and entropy instead.

    Why it matters: A GRPO loss neither falls while learning goes well nor rises when it does not.
    How it is computed: The median loss of 20 rows is below 0.05 in size.
    When it is wrong: A loss with a large KL term has the size of that term.
    Source: trl#2703; 0.05 is our own choice.
    """
    middle = f.median("loss", 20)
    return Signal(value=middle) if abs(middle) < 0.05 else None


@normal("kl-below-zero", needs=("kl",), calm=above(0.0))
def kl_below_zero(f: Frame) -> Signal | None:
    """A KL below 0 now and then is noise of the k1 estimator, which is a mean of log-ratios; the true KL is not below
    0.

    Why it matters: Trainers warn of it although nothing is wrong.
    How it is computed: The value is below 0, the estimator is not k2 or k3, and less than half of the last 20 values
    are below 0.
    When it is wrong: If most values are below 0, the sampling settings differ from the policy.
    Source: trl#925 (maintainers), trl#1161; half is our own choice.
    """
    kl, often = f["kl"], f.share("kl", 20, below=0.0)
    nonnegative = {"k2", "k3", "analytic"} & set(f.estimator("kl").split())
    return Signal(value=kl) if kl < 0 and not nonnegative and not often >= 0.5 else None


@normal("kl-zero-without-penalty", needs=("kl",), calm=ABOVE_ZERO)
def kl_zero_without_penalty(f: Frame) -> Signal | None:
    """The KL is 0 because its coefficient is 0: the trainer does not compute it, so it says nothing about the policy.

    Why it matters: A KL of 0 with a coefficient above 0 is a fault, but this is not.
    How it is computed: The KL is exactly 0 on 5 rows while the logged or configured coefficient is 0.
    When it is wrong: The configuration in the log may not be the one in use.
    Source: TRL's documentation of `beta`.
    """
    kl, same, coefficient = f["kl"], f.repeats("kl"), f["kl_coef"]
    if coefficient != coefficient:
        coefficient = setting(f, "kl_coef")
    return Signal(value=0.0) if kl == 0 and same >= 5 and coefficient == 0 else None


@normal("entropy-falls-while-learning", needs=("entropy", "reward_mean"), algorithms=POLICY)
def entropy_falls_while_learning(f: Frame) -> Signal | None:
    """Entropy falls while the reward rises. That is what learning looks like; it matters once the reward stops rising.

    Why it matters: A falling entropy alone is not a collapse.
    How it is computed: Over 40 rows entropy fell by 10 % of its first value and is still above 70 % of it, and the
    reward rose by more than its row-to-row noise.
    When it is wrong: A rising reward that is being exploited looks the same, so read samples.
    Source: Measured on healthy trainings; the shares are our own choice.
    """
    fall, start, entropy = f.gain("entropy", 40), f.first("entropy"), f["entropy"]
    rise, noise = f.gain("reward_mean", 40), f.noise("reward_mean", 40)
    if fall < -0.1 * start < 0 and entropy > 0.7 * start and rise > noise:
        return Signal(value=fall)
    return None


@normal("dpo-starts-at-ln-2", needs=("loss", "pref_accuracy"), algorithms=frozenset({"dpo"}))
def dpo_starts_at_ln_2(f: Frame) -> Signal | None:
    """Loss 0.693 (ln 2) and accuracy 0 on the first step are right: policy and reference are equal, and a tie counts as
    0.

    Why it matters: An accuracy of 0 looks like reversed labels.
    How it is computed: On the first row, at step 0 or 1, the loss is within 0.02 of ln 2 and the accuracy is exactly 0.
    When it is wrong: If the accuracy stays below one half, the labels may be reversed.
    Source: TRL compares with a strict `>`; ln 2 is the loss at a margin of 0.
    """
    loss, accuracy, n = f["loss"], f["pref_accuracy"], f.count("loss")
    start = n == 1 and f.step <= 1 and accuracy == 0 and abs(loss - math.log(2.0)) < 0.02
    return Signal(value=loss) if start else None


@normal("learning-rate-zero-at-an-end", needs=("lr",), calm=ABOVE_ZERO)
def learning_rate_zero_at_an_end(f: Frame) -> Signal | None:
    """A learning rate of 0 is normal on the first row of a warm-up and on the last row of a schedule.

    Why it matters: A rate of 0 in between is a fault (OPT004).
    How it is computed: The rate is exactly 0 on the first row, or it is 0 where the last two rows were heading.
    When it is wrong: Training may go on for long after the schedule has ended.
    Source: The linear and cosine schedules of transformers and verl.
    """
    lr, n, top = f["lr"], f.count("lr"), f.highest("lr")
    last, before = f.previous("lr"), f.previous("lr", 2)
    arrived = last > 0 and 2 * last - before <= 0.05 * top
    return Signal(value=0.0) if lr == 0 and (n == 1 or arrived) else None


@normal("explained-variance-at-first", needs=("value_explained_variance",), nonfinite=True, calm=above(-1.0))
def explained_variance_at_first(f: Frame) -> Signal | None:
    """Explained variance may be NaN (all returns equal) or far below 0 in the first updates: the critic still has to
    learn.

    Why it matters: Neither says that the critic is broken.
    How it is computed: It is NaN on any row, or below -1 among the first 10 values.
    When it is wrong: If it stays below 0 for good, see VAL001.
    Source: Its definition 1 - Var(return - value) / Var(return); A2C and PPO logs of stable-baselines3.
    """
    x, n = f["value_explained_variance"], f.count("value_explained_variance")
    return Signal(value=x) if x != x or (x < -1 and n <= 10) else None


@normal("no-clipping-on-policy", needs=("clip_frac",), algorithms=CLIPPED, calm=ABOVE_ZERO)
def no_clipping_on_policy(f: Frame) -> Signal | None:
    """Nothing is ever clipped because every update uses fresh rollouts: the ratio is exactly 1, so the clip has no
    effect.

    Why it matters: It is a choice of configuration, not a fault; a clip range then changes nothing.
    How it is computed: On all of at least 10 rows, the clip fraction is exactly 0, and either the ratio is exactly 1 or
    the update KL exactly 0.
    When it is wrong: With several updates per rollout batch the ratio must move: see CLIP002.
    Source: verl and TRL with one mini-batch and one epoch.
    """
    clip, rows = f["clip_frac"], f.count("clip_frac")
    ratio, kl = f["ratio_mean"], f["kl_policy_update"]
    always = f.repeats("clip_frac") == rows
    still = f.repeats("ratio_mean") >= rows, f.repeats("kl_policy_update") >= rows
    on_policy = (ratio == 1 and still[0]) or (kl == 0 and still[1])
    return Signal(value=0.0) if rows >= 10 and clip == 0 and always and on_policy else None


@normal("ragged-rows", needs=("grad_norm",), unless=_not_group)
def ragged_rows(f: Frame) -> Signal | None:
    """Rewards and lengths are on only a part of the rows, because several updates share one set of rollouts.

    Why it matters: The gaps are not missing data.
    How it is computed: After 10 rows, the reward is on less than 70 % of the rows that have a gradient norm.
    When it is wrong: A logger may drop values.
    Source: TRL with `num_iterations` or `steps_per_generation` above 1.
    """
    n = f.count("grad_norm")
    share = f.coverage("reward_mean")
    return Signal(value=share) if n >= 10 and share < 0.7 and f.coverage("grad_norm") > 0.95 else None


@normal("reward-component-none", each=("reward_fn/*/mean",), needs=("reward_mean",), absent=True)
def reward_component_none(f: Frame) -> Signal | None:
    """A reward function gave no value on some rows; returning None means "does not apply to these samples".

    Why it matters: The mean of the others is still right: None is left out, it is not counted as 0.
    How it is computed: The total reward is on the row, but the component, which was logged before, is not.
    When it is wrong: The function may be meant to apply to every sample.
    Source: TRL averages over the values that are not None.
    """
    gap = f.gap(f.metric)
    return Signal(value=gap) if gap >= 1 else None


def _not_sb3(context: Context) -> str | None:
    return None if context.framework in ("sb3", "stable_baselines3") else "this note is about stable-baselines3 logs"


@normal("last-row-twice", needs=("step",), unless=_not_sb3)
def last_row_twice(f: Frame) -> Signal | None:
    """The last row is there twice: stable-baselines3 dumps its logger once more when training ends.

    Why it matters: It is not a second update.
    How it is computed: A row repeats the step and at least two values of the row before it.
    When it is wrong: In the middle of a log, the trainer is not the cause.
    Source: `learn()` of stable-baselines3 2.9.2.
    """
    return Signal(value=f["step"]) if is_written_twice(f) else None


@normal("gradient-norm-above-clip", needs=("grad_norm",), unless=lacks("max_grad_norm"))
def gradient_norm_above_clip(f: Frame) -> Signal | None:
    """Gradient norms above the configured clip do not mean that clipping is broken: they are logged before clipping.

    Why it matters: The step that is taken has the clipped norm.
    How it is computed: A norm is above the configured clip.
    When it is wrong: GRAD003 reports when nearly all gradients are clipped by a wide margin.
    Source: transformers logs what `clip_grad_norm_` returns; modelscope/ms-swift#3713.
    """
    norm, clip = f["grad_norm"], setting(f, "max_grad_norm")
    return Signal(value=norm, limit=clip) if norm > clip > 0 else None


@normal("reward-repeats-until-the-next", needs=("reward_mean",))
def reward_repeats_until_the_next(f: Frame) -> Signal | None:
    """Each reward is repeated until the next one is known (a row for each step, with the return of the last episode);
    rules that take rows for trials do not judge such rewards: log one row for each episode.

    Why it matters: A fall or a standstill of so many rows is an episode or two, so that those rules would alarm about
    chance.
    How it is computed: Of the runs of equal rewards before the present one, five or more, more than four fifths have
    three rows or more.
    When it is wrong: The reward may really stand still for three rows again and again.
    Source: Our own choice; seen in a public log of CartPole with a row for each step.
    """
    return Signal(value=f["reward_mean"]) if repeats_each(f, "reward_mean") else None
