"""REW: reward functions, tried out on real and on adversarial completions."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from statistics import fmean

from rldk.rules.rule import Signal, rule
from rldk.rules.setup import RewardFacts, RewardTrial, SetupView

_reward_rule = partial(rule, tier=0, data="P", subject="setup", needs=("rewards",))
_SLOW_S = 1.0  # for one completion: a batch of 512 then waits for more than eight minutes
_ORDINARY = frozenset({"gold", "wrong", "real"})


def _signal(reward: RewardFacts, message: str, *, value: float = 0.0, severity: str = "critical") -> Signal:
    return Signal(value=value, metric=reward.name, message=message, severity=severity)  # type: ignore[arg-type]  # a severity


def _faults(rewards: Iterable[RewardFacts], *faults: str) -> list[tuple[RewardFacts, RewardTrial]]:
    return [(r, trial) for r in rewards for trial in r.trials if trial.fault in faults]


def _others(found: list[tuple[RewardFacts, RewardTrial]]) -> str:
    kinds = list(dict.fromkeys(trial.kind for _, trial in found[1:] if trial.kind != found[0][1].kind))
    return f", and so on {', '.join(kinds)}" if kinds else ""


@_reward_rule(
    "REW050",
    "reward-function-raises",
    severity="critical",
    causes=("the function expects an answer that can be parsed", "its signature differs from what the trainer passes"),
    fixes=("return 0 (or None, where the trainer allows it) for what cannot be parsed", "accept **kwargs"),
)
def reward_raises(s: SetupView) -> Signal | None:
    """Fires when a reward function raises an exception on a completion.

    Why it matters: One such completion among thousands ends the run, usually at night.
    How it is computed: The function is called on the gold answer, wrong answers, an empty, a cut, a very long and an
    odd completion, each in the trainer's own form (text or messages) with the columns of the data set.
    When it is wrong: It may need an argument that preflight does not pass: give `reward_kwargs`.
    Source: trl#3452, open-r1#255 (signatures); the interface of reward functions in TRL 1.16.
    """
    found = _faults(s.rewards or (), "raises")
    if not found:
        return None
    found.sort(key=lambda pair: pair[1].kind not in _ORDINARY)
    reward, trial = found[0]
    return _signal(reward, f"`{reward.name}` raises on {trial.kind} ({trial.detail}){_others(found)}")


@_reward_rule(
    "REW051",
    "reward-of-wrong-shape",
    severity="critical",
    causes=("the function returns one number for a whole batch", "a value is a text or a tensor"),
    fixes=("return a list with one number for each completion",),
)
def reward_of_wrong_shape(s: SetupView) -> Signal | None:
    """Fires when a reward function does not return one number for each completion.

    Why it matters: The trainer stops, or broadcasts one number over a whole batch, which gives groups without signal.
    How it is computed: The result is no list (or array) with as many entries as completions, or an entry is no number.
    When it is wrong: verl's `compute_score` returns a dictionary on purpose; its entry "score" is read.
    Source: The interface of reward functions in TRL 1.16 and verl 0.9.1.
    """
    found = _faults(s.rewards or (), "length", "type")
    if not found:
        return None
    reward, trial = found[0]
    return _signal(reward, f"`{reward.name}` returns {trial.detail} on {trial.kind}{_others(found)}")


@_reward_rule(
    "REW052",
    "reward-not-a-number",
    severity="critical",
    causes=("a division by the length of an empty completion", "a logarithm of zero"),
    fixes=("return 0 where the score is not defined",),
)
def reward_not_a_number(s: SetupView) -> Signal | None:
    """Fires when a reward function returns NaN or an infinite number.

    Why it matters: One NaN makes the mean and the standard deviation of its whole group NaN, and with them the
    gradient.
    How it is computed: The same calls as for REW050. None is not counted: TRL leaves such a reward out.
    When it is wrong: Never.
    Source: trl PR#5775, trl#1447, verl PR#6361.
    """
    found = _faults(s.rewards or (), "nan")
    if not found:
        return None
    reward, trial = found[0]
    return _signal(reward, f"`{reward.name}` returns {trial.detail} on {trial.kind}{_others(found)}")


@_reward_rule(
    "REW053",
    "gold-answer-not-rewarded",
    severity="critical",
    causes=(
        "the parser looks for a format that the template or the model does not write",
        "completions are lists of messages, and the function reads text",
        "the column of the answer has another name, so that the function compares with None",
    ),
    fixes=("call the function by hand on three gold answers and three wrong ones", "print what its parser finds"),
)
def gold_not_rewarded(s: SetupView) -> Signal | None:
    """Fires when the gold answer gets no more reward than wrong answers, or none at all.

    Why it matters: The reward is then constant over every group. The run costs its full price and learns nothing.
    How it is computed: The mean reward of completions that hold the row's own answer (plain, in a sentence and in
    \\boxed{}; the best of the three counts) is not above the mean of completions with another row's answer. The rule
    looks only at functions that gave both a number, and it says so where the function ignores the answer. Where several
    functions are given, at least one of them has to tell the two apart; functions about format alone need not.
    When it is wrong: The reward may be about style, not about the answer.
    Source: trl#6966, trl#4202, open-r1#257 (parsers that never match); F03 of the rule catalogue.
    """
    judged = [r for r in s.rewards or () if r.of("gold") and r.of("wrong")]
    if not judged or any(fmean(r.of("gold")) > fmean(r.of("wrong")) for r in judged):
        return None
    worst = min(judged, key=lambda r: fmean(r.of("gold")) - fmean(r.of("wrong")))
    gold, wrong = fmean(worst.of("gold")), fmean(worst.of("wrong"))
    names = "`" + "`, `".join(r.name for r in judged) + "`"
    some = "pay" if len(judged) > 1 else "pays"
    message = f"{names} {some} the gold answer {gold:.3g} and wrong answers {wrong:.3g}"
    return Signal(value=gold, limit=wrong, metric=worst.name, message=message)


@_reward_rule(
    "REW054",
    "empty-completion-rewarded",
    severity="critical",
    causes=("a length penalty outweighs the reward", "an empty text counts as a match (`'' in answer`)"),
    fixes=("pay an empty completion less than any answer",),
)
def empty_rewarded(s: SetupView) -> Signal | None:
    """Fires when an empty completion gets as much reward as the gold answer.

    Why it matters: The shortest way to that reward is to say nothing, and the policy finds it within hundreds of steps.
    How it is computed: The reward of the empty completion, summed over all functions, is at least that of the gold
    answer, and the gold answer gets more than wrong answers do.
    When it is wrong: The weights of the functions are not known to preflight unless they are given.
    Source: Length collapse (F42 of the rule catalogue); an identity of the two rewards.
    """
    both = [r for r in s.rewards or () if r.of("gold") and r.of("empty")]
    telling = any(r.of("wrong") and fmean(r.of("gold")) > fmean(r.of("wrong")) for r in both)
    if not both or not telling:
        return None
    gold, empty = sum(fmean(r.of("gold")) for r in both), sum(fmean(r.of("empty")) for r in both)
    if empty < gold:
        return None
    return Signal(
        value=empty,
        limit=gold,
        metric=both[0].name,
        message=f"an empty completion is paid {empty:.3g}, and the gold answer {gold:.3g}",
    )


@_reward_rule(
    "REW055",
    "wrong-answer-rewarded",
    severity="warn",
    causes=("the match is a search for the answer within the text", "a judge model says yes too often"),
    fixes=("compare the parsed answer, not the text", "measure the function on a hundred known-wrong answers"),
)
def wrong_rewarded(s: SetupView) -> Signal | None:
    """Fires when completions with wrong answers get the full reward of the gold answer.

    Why it matters: What the verifier accepts wrongly is what the policy learns.
    How it is computed: Among at least eight completions with another row's answer (or with all answers at once), more
    than a tenth get at least the reward of the gold answer, while the gold answer gets more than wrong answers on
    average.
    When it is wrong: Two rows may have the same answer in different words.
    Source: REW011 of the rule catalogue (false-positive rate above 2 %); a tenth of the few that preflight tries.
    """
    for r in s.rewards or ():
        gold, wrong = r.of("gold"), (*r.of("wrong"), *r.of("all answers"))
        if len(wrong) < 8 or not gold or fmean(gold) <= fmean(wrong):
            continue
        share = sum(score >= max(gold) for score in wrong) / len(wrong)
        if share > 0.1:
            message = f"`{r.name}` pays {share:.0%} of {len(wrong)} wrong answers as much as the gold answer"
            return _signal(r, message, value=share, severity="warn")
    return None


@_reward_rule(
    "REW056",
    "reward-not-repeatable",
    severity="warn",
    causes=("a judge model samples", "the function draws random numbers, or depends on time or on its last call"),
    fixes=("set the judge's temperature to 0, or average several calls", "give each call its own state"),
)
def reward_not_repeatable(s: SetupView) -> Signal | None:
    """Fires when the same completion gets another reward when the function is called again.

    Why it matters: Noise in the reward is noise in the advantage, and two runs with the same seed differ.
    How it is computed: Every ordinary completion is scored twice.
    When it is wrong: A judge may be meant to sample.
    Source: An identity of a deterministic function; verl PR#7027 (deterministic rewards).
    """
    for r in s.rewards or ():
        if r.changed:
            message = f"`{r.name}` gives {', '.join(r.changed)} another reward when it is called again"
            return _signal(r, message, value=float(len(r.changed)), severity="warn")
    return None


@_reward_rule(
    "REW057",
    "reward-function-slow",
    severity="warn",
    causes=("the function calls a server or a sandbox for one completion at a time", "a pattern backtracks for ever"),
    fixes=("score a batch at once, or in parallel, and set a time limit for one completion",),
)
def reward_slow(s: SetupView) -> Signal | None:
    """Fires when a reward function takes more than a second for one completion.

    Why it matters: A batch of 512 completions then waits for more than eight minutes while the accelerators idle.
    How it is computed: The longest time of one call, divided by its completions. A call that does not return within the
    time limit of preflight counts as that limit.
    When it is wrong: The first call may load a model; a remote function may answer many calls at once.
    Source: 1 s x 512 completions is our own choice.
    """
    for r in s.rewards or ():
        if r.seconds > _SLOW_S:
            slowest = max(r.trials, key=lambda trial: trial.seconds)
            message = f"`{r.name}` takes {r.seconds:.3g} s for one completion ({slowest.kind})"
            return Signal(value=r.seconds, limit=_SLOW_S, metric=r.name, message=message)
    return None


@_reward_rule(
    "REW058",
    "reward-never-given",
    severity="critical",
    causes=("the function returns None where it should return 0", "it looks for a task that the rows do not name"),
    fixes=("return a number for the rows that the function is meant for",),
)
def reward_never_given(s: SetupView) -> Signal | None:
    """Fires when every reward function returns None for every ordinary completion.

    Why it matters: None means that a function does not apply. When none applies, there is no reward at all.
    How it is computed: No call on gold, wrong or real completions gave a number, and all of them returned None.
    When it is wrong: The rows that preflight took may be of a kind that no function is meant for.
    Source: The interface of reward functions in TRL 1.16 (None is left out of the sum).
    """
    rewards = s.rewards or ()
    ordinary = [t for r in rewards for t in r.trials if t.kind in _ORDINARY]
    if not ordinary or not all(t.fault == "none" for t in ordinary):
        return None
    names = ", ".join(f"`{r.name}`" for r in rewards)
    return Signal(value=0.0, metric=rewards[0].name, message=f"{names}: None for every ordinary completion")
