"""ADV: groups of responses to one prompt: whether they are what the advantage takes them for."""

from __future__ import annotations

from rldk.core.algorithms import GROUP
from rldk.rules.rule import Context, Signal, rule
from rldk.rules.sample_view import SampleView

TWINS, TWIN_GROUPS = 0.5, 2
OFF_CENTRE = 0.25


def _not_by_group(context: Context) -> str | None:
    if context.algorithm in GROUP or (context.algorithm is None and context.framework in ("trl", "verl")):
        return None
    if context.algorithm is None:
        return "needs the algorithm: only advantages relative to a group sum to 0"
    return f"defined for {', '.join(sorted(GROUP))}; this run is {context.algorithm}"


@rule(
    "ADV002",
    "identical-responses-in-group",
    severity="warn",
    tier=2,
    data="P",
    subject="records",
    needs=("twins",),
    rows=3,
    within=5,
    causes=(
        "the temperature is close to 0, or top-k is 1",
        "every member of a group, or every rank, samples with the same seed",
        "the policy has collapsed onto one answer",
        "a cache of the rollout engine returns earlier completions",
    ),
    fixes=(
        "check {temperature}, {top_k} and the seed of each sample",
        "drop groups without signal: {dynamic_sampling}",
    ),
)
def identical_responses_in_group(s: SampleView) -> Signal | None:
    """Fires when most long responses of a step have an identical one in their group.

    Why it matters: Equal responses get equal rewards. Such a group costs as much as any other and teaches nothing.
    How it is computed: Of the responses of 64 characters or more, those are counted that stand twice in their group
    (same group id, or same prompt). Their share is above a half, over at least two groups, on three of five steps.
    When it is wrong: Some tasks have one right text of that length, such as copying. A policy that has learnt such a
    task is meant to repeat it.
    Source: An excess of duplicates over chance is the sign of shared seeds and of caches (jsboige/CoursIA#10603,
    verl#1589); 64 characters, a half and two groups are our own choice. Measured: see docs/samples.md.
    """
    twins = s.twins
    if twins is None or twins.parts.get("groups", 0) < TWIN_GROUPS or not twins.share > TWINS:
        return None
    message = f"{twins.share:.0%} of the long responses have an identical one in their group"
    return Signal(
        value=twins.share, limit=TWINS, metric="response", message=message, evidence={"example": twins.example}
    )


@rule(
    "ADV003",
    "groups-mixed-up",
    severity="critical",
    tier=0,
    data="P",
    subject="records",
    needs=("strangers",),
    causes=(
        "the group id is made for each row before prompts are repeated",
        "responses are reshaped or gathered in another order than prompts",
    ),
    fixes=("derive the group from the prompt's own id", "check the order in which prompts are repeated ({group_size})"),
)
def groups_mixed_up(s: SampleView) -> Signal | None:
    """Fires when responses to different prompts are in one group.

    Why it matters: The advantage then compares an easy prompt with a hard one. The run still learns a little, so that
    nothing else shows it.
    How it is computed: A group id stands beside two or more prompts in one step.
    When it is wrong: Agents may get prompts that differ in a date or a random name although the task is the same.
    Source: An identity (PeterGriffinJin/Search-R1#88, dllm-reasoning/d1#19). Measured: see docs/samples.md.
    """
    mixed = s.strangers
    if mixed is None or not mixed.hits:
        return None
    message = f"{mixed.hits} of {mixed.of} groups mix responses to different prompts"
    return Signal(value=mixed.share, limit=0.0, metric="group_id", message=message, evidence={"example": mixed.example})


@rule(
    "ADV015",
    "group-of-wrong-size",
    severity="warn",
    tier=0,
    data="P",
    subject="records",
    needs=("odd_groups",),
    rows=2,
    within=3,
    causes=("responses were lost, or gathered twice, between sampling and training", "a filter drops single responses"),
    fixes=("compare the number of responses with {group_size}", "drop whole groups, not single responses"),
)
def group_of_wrong_size(s: SampleView) -> Signal | None:
    """Fires when groups do not have as many responses as the configuration, or the records themselves, say.

    Why it matters: Mean and standard deviation of a group are then those of other samples than intended.
    How it is computed: A group id stands beside another number of responses than the record or the configuration
    states, on two of three steps. At least one group of the step has all its responses: where every group
    lacks some, records were thinned out when they were written.
    When it is wrong: A trainer may drop responses on purpose, for example those of an environment that failed.
    Source: An identity (Unakar/Logic-RL#41). Measured: see docs/samples.md.
    """
    odd = s.odd_groups
    if odd is None or not odd.hits:
        return None
    message = f"{odd.hits} of {odd.of} groups have another number of responses than stated"
    return Signal(value=odd.share, limit=0.0, metric="group_id", message=message, evidence={"example": odd.example})


@rule(
    "ADV016",
    "group-advantages-off-centre",
    severity="warn",
    tier=0,
    data="P",
    subject="records",
    needs=("off_centre",),
    rows=2,
    within=3,
    unless=_not_by_group,
    causes=(
        "advantages are computed over other groups than the prompts: a wrong interleave, or a wrong order",
        "advantages are centred over the batch instead of the group",
    ),
    fixes=("recompute the advantage of one prompt by hand from its rewards", "check the order after gathering ranks"),
)
def group_advantages_off_centre(s: SampleView) -> Signal | None:
    """Fires when the advantages of the responses to one prompt do not sum to zero.

    Why it matters: The advantage of a group is its distance from the mean of the group. If the sum is not zero, it was
    taken from other samples.
    How it is computed: More than a quarter of the groups of a step have a mean advantage above 2 % of their largest
    advantage, on two of three steps. Only groups of the stated size count.
    When it is wrong: Advantages may be centred over the batch on purpose (REINFORCE++), or clipped.
    Source: An identity of GRPO and RLOO; 2 % allows for half precision, a quarter is our own choice. Measured: see
    docs/samples.md.
    """
    off = s.off_centre
    if off is None or not off.share > OFF_CENTRE:
        return None
    message = f"the advantages of {off.hits} of {off.of} groups do not sum to zero"
    return Signal(
        value=off.share, limit=OFF_CENTRE, metric="advantage", message=message, evidence={"example": off.example}
    )
