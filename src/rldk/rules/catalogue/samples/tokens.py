"""OFF and DATA: tokens that are trained on but were not sampled."""

from __future__ import annotations

from rldk.rules.rule import Signal, rule
from rldk.rules.sample_view import SampleView

BROKEN = 0.05


@rule(
    "DATA008",
    "trained-on-other-tokens",
    severity="critical",
    tier=0,
    data="P",
    subject="records",
    needs=("retokenised",),
    causes=("the response is decoded to text and tokenised again before training", "the text is changed in between"),
    fixes=("train on the token ids that the rollout engine returns", "check what changes the text in between"),
)
def trained_on_other_tokens(s: SampleView) -> Signal | None:
    """Fires when the tokens that are trained on are not those that were sampled.

    Why it matters: A text has many tokenisations. The model is then trained on one that it would hardly ever sample,
    with log-probabilities of another.
    How it is computed: The record has both lists of token ids, and they differ.
    When it is wrong: A trainer may add an end token to a response that was cut.
    Source: An identity (trl#5224, rllm PR#272, SkyRL#123). Measured: see docs/samples.md.
    """
    changed = s.retokenised
    if changed is None or not changed.hits:
        return None
    message = f"{changed.hits} of {changed.of} responses are trained on other tokens than were sampled"
    return Signal(
        value=changed.share, limit=0.0, metric="response_ids", message=message, evidence={"example": changed.example}
    )


@rule(
    "OFF008",
    "turns-retokenised",
    severity="warn",
    tier=0,
    data="P",
    subject="records",
    needs=("broken_turns",),
    rows=2,
    within=3,
    causes=(
        "the conversation is rendered and tokenised again for each turn, and comes out otherwise",
        "the template removes the thoughts of earlier turns",
    ),
    fixes=("append tokens, not text, from turn to turn", "use a template that keeps earlier turns as they are"),
)
def turns_retokenised(s: SampleView) -> Signal | None:
    """Fires when a later turn does not begin with the tokens of the turns before it.

    Why it matters: The trainer joins the turns to one sequence. Its earlier tokens are then not those that were
    sampled, and their log-probabilities belong to other tokens.
    How it is computed: The prompt of a turn differs from the prompt and response of the turn before, after at least
    90 % of equal tokens, in more than 5 % of the conversations. This holds on two of three steps. A turn that shares
    less is another conversation and is not counted.
    When it is wrong: A trainer that makes a sample of its own from each turn is not hurt.
    Source: An identity for trainers that join turns (trl#5224, rllm PR#272, sglang PR#26555); 5 % and 90 % are our own
    choice. Measured: see docs/samples.md.
    """
    broken = s.broken_turns
    if broken is None or not broken.share > BROKEN:
        return None
    message = f"in {broken.share:.0%} of the conversations a turn changes the tokens of earlier ones"
    return Signal(
        value=broken.share, limit=BROKEN, metric="turns", message=message, evidence={"example": broken.example}
    )


@rule(
    "DATA009",
    "loss-on-tokens-of-others",
    severity="critical",
    tier=0,
    data="P",
    subject="records",
    needs=("loss_outside",),
    causes=("the loss mask covers the prompt, or the replies of tools", "the mask is shifted by one place"),
    fixes=(
        "set the mask to 0 wherever the model did not write the token",
        "print the tokens with a loss of one sample",
    ),
)
def loss_on_tokens_of_others(s: SampleView) -> Signal | None:
    """Fires when tokens that the model did not write have a loss.

    Why it matters: The model learns to write prompts and replies of tools, and the log-ratios of these tokens are
    meaningless.
    How it is computed: The loss mask is not 0 at a token of the prompt, at a token of another role, or at a token
    without a log-probability of the sampler (0 or missing) that the trainer finds unlikely (below -1). More than 5 % of
    the samples of a step have such a token.
    When it is wrong: Training on prompts may be meant, as in some supervised mixtures.
    Source: An identity (verl PR#6361, TRL on tool masks); 5 % is our own choice. Measured: see docs/samples.md.
    """
    outside = s.loss_outside
    if outside is None or not outside.share > BROKEN:
        return None
    message = f"{outside.hits} of {outside.of} samples have a loss on tokens that the model did not write"
    return Signal(
        value=outside.share, limit=BROKEN, metric="loss_mask", message=message, evidence={"example": outside.example}
    )
