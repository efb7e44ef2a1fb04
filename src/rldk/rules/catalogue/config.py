"""CFG: configurations that cannot mean what they say; the rules look at them before the first row."""

from __future__ import annotations

from rldk.core.algorithms import GROUP, LLM_POLICY, POLICY
from rldk.rules.rule import Context, Signal, rule
from rldk.rules.subject import ConfigView

_LLM_GROUPS = GROUP


def _unknown_algorithm(context: Context) -> str | None:
    """The reason to skip a run whose algorithm is unknown: the same setting means something else in other trainings."""
    return (
        None
        if context.algorithm
        else "defined for some algorithms only, and this log does not say which algorithm it is of"
    )


def _quote(c: ConfigView, concept: str) -> str:
    """The setting as its trainer writes it: `num_generations` = 1."""
    return f"`{c.key(concept)}` is {c.get(concept)}"


@rule(
    "CFG003",
    "group-of-one",
    severity="critical",
    tier=0,
    data="C",
    subject="config",
    needs=("group_size",),
    algorithms=_LLM_GROUPS,
    unless=_unknown_algorithm,
    causes=("a default was never raised, or a smoke test's setting stayed",),
    fixes=("raise {group_size}: 4 to 16 are usual", "or use an algorithm with a critic"),
)
def group_of_one(c: ConfigView) -> Signal | None:
    """Fires when advantages are relative to a group and the group is a single completion.

    Why it matters: The mean of such a group is the completion's own reward. The advantage is then 0, or the bare reward
    where the trainer leaves a lone completion alone. Either way nothing is compared.
    How it is computed: The configured number of completions per prompt is below 2.
    The rule is silent where a teacher is distilled (verl's `distillation.enabled`), whose loss needs no group.
    When it is wrong: A trainer may group by something other than the prompt, or a callback may raise the group size.
    Source: An identity (x - mean(x) = 0 for one x); TRL refuses fewer than 2 generations, verl does not.
    """
    size = c.number("group_size")
    if size < 2 and not c.is_on("distillation.enabled"):
        return Signal(value=size, limit=2.0, message=f"{_quote(c, 'group_size')}: a group of one has no advantage")
    return None


@rule(
    "CFG004",
    "greedy-sampling",
    severity="warn",
    tier=0,
    data="C",
    subject="config",
    needs=("temperature",),
    algorithms=LLM_POLICY,
    unless=_unknown_algorithm,
    causes=("the sampling settings of an evaluation are used for training",),
    fixes=("set {temperature} to 1, or near it",),
)
def greedy_sampling(c: ConfigView) -> Signal | None:
    """Fires when completions for training are sampled without randomness.

    Why it matters: Every completion of a prompt is the same, so nothing is explored and groups carry no signal.
    How it is computed: The configured temperature is 0 or less, or the sampler takes only the best token (top-k of
    exactly 1).
    When it is wrong: A trainer may sample for training with other settings than those it logs.
    Source: An identity: the sampler's distribution is a point.
    """
    temperature, best = c.number("temperature"), c.number("top_k")
    if temperature <= 0:
        return Signal(value=temperature, limit=0.0, message=f"{_quote(c, 'temperature')}: every sample is the same")
    if best == 1:
        return Signal(value=best, limit=1.0, message=f"{_quote(c, 'top_k')}: every sample is the same")
    return None


@rule(
    "CFG005",
    "discount-out-of-range",
    severity="critical",
    tier=0,
    data="C",
    subject="config",
    needs=("gamma",),
    algorithms=POLICY,
    unless=_unknown_algorithm,
    causes=("the decimal point is in the wrong place", "gamma and another setting were swapped"),
    fixes=("set {gamma} between 0.9 and 1, {gae_lambda} between 0.9 and 1",),
)
def discount_out_of_range(c: ConfigView) -> Signal | None:
    """Fires when the discount factor or the GAE lambda is outside 0 to 1.

    Why it matters: Above 1, returns grow without bound with the length of an episode. Below 0, they change their sign.
    How it is computed: Gamma or lambda is outside [0, 1].
    When it is wrong: Never, for trainers that mean a discount by it.
    Source: An identity: both are factors of a geometric sum that has to converge.
    """
    gamma, weight = c.number("gamma"), c.number("gae_lambda")
    if gamma > 1 or gamma < 0:
        return Signal(value=gamma, limit=1.0, message=f"{_quote(c, 'gamma')}, which is outside 0 to 1")
    if weight > 1 or weight < 0:
        return Signal(value=weight, limit=1.0, message=f"{_quote(c, 'gae_lambda')}, which is outside 0 to 1")
    return None


@rule(
    "CFG006",
    "warmup-longer-than-the-run",
    severity="warn",
    tier=0,
    data="C",
    subject="config",
    needs=("warmup", "total_steps"),
    causes=("the run was shortened and its warm-up was not", "the warm-up counts micro-batches, the run updates"),
    fixes=("lower {warmup}, or raise {total_steps}",),
)
def warmup_longer_than_run(c: ConfigView) -> Signal | None:
    """Fires when the warm-up of the learning rate lasts as long as the run, or longer.

    Why it matters: The configured learning rate is never reached.
    How it is computed: The number of warm-up steps is at least the number of steps of the run. A warm-up below 1 is a
    share and is not judged.
    When it is wrong: A run may be meant to continue later with the same schedule.
    Source: An identity.
    """
    warmup, total = c.number("warmup"), c.number("total_steps")
    if warmup >= 1 and 0 < total <= warmup:
        message = f"{_quote(c, 'warmup')} and {_quote(c, 'total_steps')}: the learning rate never reaches its value"
        return Signal(value=warmup, limit=total, message=message)
    return None


@rule(
    "CFG007",
    "clip-range-upside-down",
    severity="warn",
    tier=0,
    data="C",
    subject="config",
    needs=("clip_range", "clip_high"),
    algorithms=POLICY,
    unless=_unknown_algorithm,
    causes=("the two bounds were swapped", "the lower bound was raised and the upper one kept its default"),
    fixes=("set {clip_high} to {clip_range} or above: 0.2 and 0.28 are usual",),
)
def clip_upside_down(c: ConfigView) -> Signal | None:
    """Fires when the ratio may fall further than it may rise.

    Why it matters: The upper bound is there to let rare tokens grow. When it is below the lower one, it drives entropy
    down.
    How it is computed: The upper clip range is above 0 and below the lower one.
    When it is wrong: An experiment may do exactly this on purpose.
    Source: DAPO (clip-higher) and the trainers' own documentation of both bounds.
    """
    low, high = c.number("clip_range"), c.number("clip_high")
    if 0 < high < low:
        message = f"{_quote(c, 'clip_high')}, which is below the lower bound ({_quote(c, 'clip_range')})"
        return Signal(value=high, limit=low, message=message)
    return None


@rule(
    "CFG008",
    "no-learning-rate",
    severity="critical",
    tier=0,
    data="C",
    subject="config",
    needs=("lr",),
    causes=("a dry run's setting stayed", "the value was given as text and was not read as a number"),
    fixes=("set {lr}",),
)
def no_learning_rate(c: ConfigView) -> Signal | None:
    """Fires when the configured learning rate is 0 or negative.

    Why it matters: Nothing is learnt with a rate of 0, and a negative rate makes the loss grow.
    How it is computed: The configured number is 0 or below.
    When it is wrong: A dry run may be intended, or the rate of the optimiser may be set elsewhere.
    Source: An identity.
    """
    lr = c.number("lr")
    if lr <= 0:
        return Signal(value=lr, limit=0.0, message=f"{_quote(c, 'lr')}: nothing can be learnt")
    return None


@rule(
    "CFG009",
    "minibatch-larger-than-batch",
    severity="warn",
    tier=0,
    data="C",
    subject="config",
    needs=("minibatch", "batch"),
    algorithms=LLM_POLICY,
    unless=lambda context: None if context.framework == "verl" else "defined for verl, whose two sizes count prompts",
    causes=("one of the two was scaled with the number of devices and the other was not",),
    fixes=("lower {minibatch}, or raise {batch}",),
)
def minibatch_larger(c: ConfigView) -> Signal | None:
    """Fires when one update should take more prompts than a whole batch has.

    Why it matters: The trainer stops, or takes fewer prompts than configured, so that the number of updates changes.
    How it is computed: The mini-batch size of verl is above its train batch size; both count prompts.
    When it is wrong: Never, while both sizes count the same.
    Source: The trainer's own check of its configuration (verl).
    """
    small, large = c.number("minibatch"), c.number("batch")
    if small > large > 0:
        message = f"{_quote(c, 'minibatch')}, which is more than a batch ({_quote(c, 'batch')})"
        return Signal(value=small, limit=large, message=message)
    return None
