"""REW: rewards of single samples: missing ones, and verdicts that contradict the response."""

from __future__ import annotations

from rldk.rules.rule import Signal, rule
from rldk.rules.sample_view import SampleView

LEAST = 16
UNPARSED, MISJUDGED = 0.95, 0.2


@rule(
    "REW029",
    "samples-without-reward",
    severity="critical",
    tier=0,
    data="P",
    subject="records",
    needs=("unrewarded",),
    causes=(
        "a reward function returns None or NaN for some inputs: an empty response, a parse error, a time-out",
        "no reward function applies to these samples",
    ),
    fixes=("call {reward_fn} on one of these samples", "return a number for every input, and count the failures apart"),
)
def samples_without_reward(s: SampleView) -> Signal | None:
    """Fires when samples of a step have no reward although the others do, or when a reward is not a number.

    Why it matters: The mean of a group that holds NaN is NaN, and so is the loss. A sample without a reward counts as
    0, which is a verdict that nobody gave.
    How it is computed: A reward is None or NaN in the record, and no reward function gave a number. It is critical
    where NaN itself is in the record, and a warning where it is None.
    When it is wrong: A trainer may leave out such samples. Where several reward functions share the work, None is
    normal and is counted only when all of them say it. TRL's tables cannot tell NaN from None.
    Source: An identity (trl PR#5775, trl#1447, verl PR#6361). Measured: see docs/samples.md.
    """
    none, not_numbers = s.unrewarded, s.not_numbers
    if none is None or not none.hits:
        return None
    nan = not_numbers is not None and not_numbers.hits > 0
    missing = {name: int(n) for name, n in none.parts.items() if n}
    message = f"{none.hits} of {none.of} samples have no reward{' (NaN)' if nan else ''}"
    return Signal(
        value=none.share,
        limit=0.0,
        metric="reward",
        message=message,
        severity="critical" if nan else "warn",
        evidence={"without_score": missing} if missing else {},
    )


@rule(
    "REW030",
    "no-answer-found",
    severity="warn",
    tier=0,
    data="P",
    subject="records",
    needs=("unparsed",),
    rows=3,
    causes=(
        "the parser looks for a format that the prompt does not ask for, or that the template already opens",
        "responses are cut before their answer",
        "the model does not know the format yet",
    ),
    fixes=(
        "call the parser on a right answer in the format of the prompt",
        "raise {max_new_tokens}",
        "show the format in the prompt",
    ),
)
def no_answer_found(s: SampleView) -> Signal | None:
    """Fires when the reward function finds an answer in hardly any response.

    Why it matters: Every reward is then that of a missing answer, whatever the response says.
    How it is computed: The record names the answer that was found. It is empty, None or [INVALID] in at least 95 % of
    at least 16 responses, on three steps in a row.
    When it is wrong: A model that does not know the format yet needs some steps. Whether it learns is what the reward
    shows.
    Source: trl#6966 and open-r1#255 (a template that opens the thought, and a pattern anchored at the start); 95 % is
    our own choice. Measured: see docs/samples.md.
    """
    unparsed = s.unparsed
    if unparsed is None or unparsed.of < LEAST or not unparsed.share >= UNPARSED:
        return None
    message = f"no answer was found in {unparsed.hits} of {unparsed.of} responses"
    return Signal(
        value=unparsed.share, limit=UNPARSED, metric="parsed", message=message, evidence={"end": unparsed.example}
    )


@rule(
    "REW031",
    "right-answers-judged-wrong",
    severity="warn",
    tier=0,
    data="P",
    subject="records",
    needs=("misjudged",),
    rows=2,
    within=3,
    causes=(
        "the parser takes another part of the response for the answer",
        "the comparison is by text and fails on spaces, signs or units",
        "rewards and responses are in different orders",
    ),
    fixes=("call {reward_fn} on the example of this finding", "check that rewards and responses have the same order"),
)
def right_answers_judged_wrong(s: SampleView) -> Signal | None:
    """Fires when responses that end in the right answer get the lowest reward.

    Why it matters: The model is trained away from what is asked for.
    How it is computed: The last boxed answer (or the text behind ####) equals the right answer letter for letter,
    spaces, commas and dollar signs left out. More than a fifth of such responses, three at least, have the lowest
    reward of the step, which is not above that of all others unless it is 0 or less. This holds on two of three steps.
    When it is wrong: A penalty for something else, such as a missing thought, may take the whole reward.
    Source: trl#4202 and open-r1#257 (verdicts of parsers); a fifth is our own choice. Measured: see docs/samples.md.
    """
    wrong = s.misjudged
    if wrong is None or wrong.hits < 3 or not wrong.share > MISJUDGED:
        return None
    message = f"{wrong.hits} of {wrong.of} responses that end in the right answer have the lowest reward"
    return Signal(value=wrong.share, limit=MISJUDGED, metric="reward", message=message, evidence={"end": wrong.example})
