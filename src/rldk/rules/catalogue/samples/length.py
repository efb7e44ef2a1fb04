"""LEN and ENT: responses that do not end, that repeat themselves, or that consist of one word."""

from __future__ import annotations

from rldk.rules.rule import Signal, rule
from rldk.rules.sample_view import SampleView

LEAST = 16  # responses of a step
LOOPING, SPAM = 0.2, 0.1
LEAST_CAP = 256  # tokens; under a shorter limit a good response may be cut, too


@rule(
    "LEN005",
    "no-response-ends-by-itself",
    severity="warn",
    tier=1,
    data="P",
    subject="records",
    needs=("opening",),
    causes=(
        "the end token is masked in training, or equals the padding token",
        "the response length limit is below the length of nearly every answer",
        "the chat template does not announce the model's turn, so that the model never ends one",
    ),
    fixes=(
        "raise {max_new_tokens}, or check that the end token is among the tokens with a loss",
        "look at the end of a few responses; compare the template with the one the model was trained with",
    ),
)
def no_response_ends_by_itself(s: SampleView) -> Signal | None:
    """Fires when not one of the first responses of a run ended by itself, although the limit leaves room.

    Why it matters: The reward then measures the cut, not the answer, and the model is never paid for ending.
    How it is computed: At least 64 responses of the first steps were all cut, at a limit of 256 tokens or more. At
    least 95 % of this step's were cut, too.
    When it is wrong: A base model may write on for ever until it has learnt to stop. Under a limit below 256 tokens, or
    an unknown one, the rule does not look: a toy run is cut by construction.
    Source: trl#1623 and PR#3091 (end token masked), unsloth#416; 64 responses and 256 tokens are our own choice.
    Measured: see docs/samples.md.
    """
    opening, now = s.opening, s.cut
    if opening is None or now is None or opening.hits < opening.of or now.share < 0.95 or not s.cap >= LEAST_CAP:
        return None
    message = f"none of the first {opening.of} responses ended by itself: all were cut at {s.cap:.0f} tokens"
    return Signal(value=1.0, limit=0.95, metric="finish_reason", message=message, evidence={"example": opening.example})


@rule(
    "LEN006",
    "responses-loop",
    severity="warn",
    tier=2,
    data="P",
    subject="records",
    needs=("looping",),
    rows=2,
    within=3,
    causes=(
        "the policy repeats a phrase because nothing makes it stop: no penalty, or a reward for length",
        "the policy has collapsed",
        "weights of the rollout engine are broken or stale",
    ),
    fixes=(
        "read a few of these responses",
        "a soft penalty for overlong responses: {overlong_penalty}",
        "lower {lr}, raise {kl_coef}, and go back to a checkpoint from before",
    ),
)
def responses_loop(s: SampleView) -> Signal | None:
    """Fires when many responses end in a phrase that repeats up to their end.

    Why it matters: A loop fills the response up to the limit. It costs time, and its reward is that of the loop.
    How it is computed: A response loops when its last 160 characters or more are one phrase (of up to 200 characters)
    four times or more. More than a fifth of at least 16 responses loop, on two of three steps.
    When it is wrong: A task may ask for repetition. Random text, as of an untrained model, does not loop and is not
    reported: that it is no language is no finding about a training.
    Source: OpenRLHF#1120 and #1165, verl#2626; 160 characters, four times and a fifth are our own choice. Measured: see
    docs/samples.md.
    """
    looping = s.looping
    if looping is None or looping.of < LEAST or not looping.share > LOOPING:
        return None
    cut = s.looped_to_cap
    tail = f"; of those that were cut, {cut.share:.0%}" if cut is not None and cut.hits else ""
    message = f"{looping.share:.0%} of the responses end in a loop{tail}"
    return Signal(
        value=looping.share, limit=LOOPING, metric="response", message=message, evidence={"phrase": looping.example}
    )


@rule(
    "ENT004",
    "one-word-responses",
    severity="warn",
    tier=2,
    data="P",
    subject="records",
    needs=("spam",),
    rows=2,
    within=3,
    causes=(
        "the reward pays for one word or character",
        "the weights hold NaN: many engines then print token 0, which is often an exclamation mark",
        "the policy has collapsed",
    ),
    fixes=("read a few of these responses, and check the weights for NaN", "correct {reward_fn}; raise {kl_coef}"),
)
def one_word_responses(s: SampleView) -> Signal | None:
    """Fires when many responses consist of one word or one character, over and over.

    Why it matters: Such text is worthless, whatever its reward.
    How it is computed: One character makes more than 70 % of the characters of a response (of 64 or more, spaces left
    out), or one word more than 70 % of its words (of 32 or more). This holds for more than a tenth of at least 16
    responses, on two of three steps.
    When it is wrong: A toy task may pay for exactly this, as one that counts a letter does.
    Source: OpenLMLab/MOSS-RLHF#2, OpenRLHF#1120 (`!!!!` after NaN); 70 % and a tenth are our own choice. Measured: see
    docs/samples.md.
    """
    spam = s.spam
    if spam is None or spam.of < LEAST or not spam.share > SPAM:
        return None
    message = f"{spam.share:.0%} of the responses are one word or character, over and over"
    return Signal(value=spam.share, limit=SPAM, metric="response", message=message, evidence={"word": spam.example})
