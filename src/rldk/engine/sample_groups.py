"""Counts what only several samples show together: groups, ranks, repeated answers and prompts."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

from rldk.engine.sample_batch import RunningTally, SampleFacts

CENTRED = 0.02  # of the largest advantage: the mean of a group is 0 up to rounding in half precision
LEAST_RANK = 4  # long responses of a rank that can be compared with those of another
LEAST_PROMPTS = 8  # fewer prompts are often the whole data set of a trial
Fill = Callable[[str], RunningTally]


def count_together(facts: Sequence[SampleFacts], count: Fill, *, whole: bool, group_size: float) -> None:
    """Fills the counts of one step. `whole`: all its samples are there; groups are looked at only then.

    `group_size`: the configured number of responses to a prompt, NaN where it is unknown."""
    _answers(facts, count)
    _ranks(facts, count)
    _starts(facts, count)
    _verdicts(facts, count)
    if whole:
        _groups(facts, count, group_size)


def prompts_of(facts: Sequence[SampleFacts]) -> frozenset[bytes]:
    return frozenset(f.prompt for f in facts if f.prompt is not None)


def count_same_prompts(now: frozenset[bytes], before: frozenset[bytes], count: Fill) -> None:
    """Counts the prompts that were in the step before, too."""
    if min(len(now), len(before)) >= LEAST_PROMPTS:
        for prompt in now:
            count("same_prompts").add(prompt in before)


def _key(fact: SampleFacts) -> str | bytes | None:
    return fact.group if fact.group is not None else fact.prompt


def _answers(facts: Sequence[SampleFacts], count: Fill) -> None:
    """Long responses that stand twice: in one group, or after different prompts."""
    groups: defaultdict[str | bytes, Counter[bytes]] = defaultdict(Counter)
    prompts: defaultdict[bytes, set[bytes]] = defaultdict(set)
    long = [f for f in facts if f.long and f.answer is not None]
    for f in long:
        key = _key(f)
        if key is not None and f.answer is not None:
            groups[key][f.answer] += 1
        if f.prompt is not None and f.answer is not None:
            prompts[f.answer].add(f.prompt)
    several = len(prompts_of(long)) > 1
    for f in long:
        key = _key(f)
        if key is not None and f.answer is not None and groups[key].total() > 1:
            count("twins").add(groups[key][f.answer] > 1, f.tail)
        if several and f.prompt is not None and f.answer is not None:
            count("same_answer").add(len(prompts[f.answer]) > 1, f.tail)
    if count("twins").of:
        count("twins").parts["groups"] = sum(group.total() > 1 for group in groups.values())


def _ranks(facts: Sequence[SampleFacts], count: Fill) -> None:
    held: defaultdict[int, Counter[tuple[bytes | None, bytes | None]]] = defaultdict(Counter)
    for f in facts:
        if f.rank is not None and f.long:
            held[f.rank][f.prompt, f.answer] += 1
    alike = Counter(frozenset(pairs.items()) for pairs in held.values() if pairs.total() >= LEAST_RANK)
    if alike.total() > 1:
        for rank, pairs in sorted(held.items()):
            if pairs.total() >= LEAST_RANK:
                count("same_ranks").add(alike[frozenset(pairs.items())] > 1, f"rank {rank}")


def _starts(facts: Sequence[SampleFacts], count: Fill) -> None:
    """Token ids that open every prompt with the same token twice. A third one would be padding."""
    if count("doubled_start").of or len(prompts_of(facts)) < 2:
        return
    opened = [f.double_ids for f in facts if len(f.double_ids) == 3]
    if len(opened) < LEAST_PROMPTS:
        return
    twice = len({ids[:2] for ids in opened}) == 1 and all(a == b != c for a, b, c in opened)
    for ids in opened:
        count("doubled_start").add(twice, f"token {ids[0]} twice")


def _verdicts(facts: Sequence[SampleFacts], count: Fill) -> None:
    rewards = [f.reward for f in facts if math.isfinite(f.reward)]
    if not rewards:
        return
    low, high = min(rewards), max(rewards)
    for f in facts:
        if f.boxed_right and math.isfinite(f.reward):
            count("misjudged").add(f.reward == low and (low < high or low <= 0), f.tail)


def _groups(facts: Sequence[SampleFacts], count: Fill, group_size: float) -> None:
    named: defaultdict[str, list[SampleFacts]] = defaultdict(list)
    groups: defaultdict[str | bytes, list[SampleFacts]] = defaultdict(list)
    for f in facts:
        if f.group is not None:
            named[f.group].append(f)
        key = _key(f)
        if key is not None:
            groups[key].append(f)
    for name, members in named.items():
        prompts = {f.prompt for f in members if f.prompt is not None}
        if len(members) > 1 and prompts:
            count("strangers").add(len(prompts) > 1, f"group {name} has {len(prompts)} prompts")
    sizes = {name: len(members) / _stated(members, group_size) for name, members in named.items()}
    if any(size >= 1 for size in sizes.values()):  # else the records are a part of each group
        for name, size in sizes.items():
            if size == size:
                count("odd_groups").add(size != 1, f"group {name} has {len(named[name])} responses")
    for members in groups.values():
        share = len(members) / _stated(members, group_size)  # a prompt may stand twice in a step
        if share >= 1 and share == int(share) and len(members) > 1:
            _centre([f.advantage for f in members], count)


def _stated(members: Sequence[SampleFacts], group_size: float) -> float:
    """The size that a group should have; NaN where neither the record nor the configuration says it."""
    stated = members[0].group_size or group_size
    return stated if stated > 0 else math.nan


def _centre(advantages: Sequence[float], count: Fill) -> None:
    largest = max(map(abs, advantages))
    if math.isfinite(sum(advantages)) and largest > 0:
        mean = sum(advantages) / len(advantages)
        count("off_centre").add(
            abs(mean) > CENTRED * largest, f"advantages {', '.join(f'{a:.3g}' for a in advantages[:6])}"
        )
