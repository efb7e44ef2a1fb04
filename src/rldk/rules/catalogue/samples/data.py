"""DATA: samples that are not what the trainer takes them for: templates, repeated answers, ranks, prompts."""

from __future__ import annotations

from rldk.rules.rule import Signal, rule
from rldk.rules.sample_view import SampleView

LEAST = 16  # prompts or responses of a step
ALIKE, ROLES = 0.3, 0.1


@rule(
    "DATA002",
    "two-start-tokens",
    severity="critical",
    tier=0,
    data="P",
    subject="records",
    needs=("doubled_start",),
    causes=(
        "the chat template writes the start token, and the tokenizer adds it once more",
        "a text that was rendered by the template is tokenised with special tokens",
    ),
    fixes=("tokenise rendered prompts with `add_special_tokens=False`", "compare the first tokens of a prompt by eye"),
)
def two_start_tokens(s: SampleView) -> Signal | None:
    """Fires when prompts begin with two start tokens.

    Why it matters: The model has never seen that. It answers worse, from the first step to the last, and no metric
    says why.
    How it is computed: A known start token stands twice at the beginning of a prompt. Where prompts are token ids, all
    of them (eight or more, different ones) begin with the same token twice, and with another one after that.
    When it is wrong: A model may have been trained with two start tokens.
    Source: An identity (unsloth#416, lm-evaluation-harness issues on double BOS). Measured: see docs/samples.md.
    """
    doubled = s.doubled_start
    if doubled is None or not doubled.hits:
        return None
    message = f"{doubled.hits} of {doubled.of} prompts begin with two start tokens"
    return Signal(
        value=doubled.share, limit=0.0, metric="prompt", message=message, evidence={"example": doubled.example}
    )


@rule(
    "DATA014",
    "prompt-without-turn-of-the-model",
    severity="warn",
    tier=0,
    data="P",
    subject="records",
    needs=("unannounced",),
    causes=("the chat template was applied without `add_generation_prompt=True`", "the prompt was cut at its end"),
    fixes=("apply the template with `add_generation_prompt=True`", "cut long prompts at their beginning"),
)
def prompt_without_turn_of_the_model(s: SampleView) -> Signal | None:
    """Fires when prompts in a chat format do not end in the turn of the model.

    Why it matters: The model has to write its own header first, or goes on as the user. Rewards and lengths are then
    about that.
    How it is computed: The last role that a prompt announces, in one of the known chat formats, is not the model's.
    This holds for more than half of at least 16 prompts of a step.
    When it is wrong: The training may be meant to continue a turn of the user.
    Source: trl#6966; an identity of the formats in `core/samples/chat.py`. Measured: see docs/samples.md.
    """
    bare = s.unannounced
    if bare is None or bare.of < LEAST or not bare.share > 0.5:
        return None
    message = f"{bare.hits} of {bare.of} prompts do not announce the turn of the model"
    return Signal(value=bare.share, limit=0.5, metric="prompt", message=message, evidence={"end": bare.example})


@rule(
    "DATA015",
    "responses-speak-for-the-user",
    severity="warn",
    tier=0,
    data="P",
    subject="records",
    needs=("foreign_roles",),
    rows=2,
    within=3,
    causes=(
        "the end-of-turn token is not a stop token of the rollout engine",
        "the end-of-turn token has no loss, so that the model unlearns it",
    ),
    fixes=("add the end-of-turn token to the stop tokens", "check that it is among the tokens with a loss"),
)
def responses_speak_for_the_user(s: SampleView) -> Signal | None:
    """Fires when responses go on with a turn of the user or the system.

    Why it matters: The response did not stop where it ended. What follows is trained on, and may be what is rewarded.
    How it is computed: The header of a user or system turn stands in more than a tenth of at least 16 responses, on two
    of three steps. A header that a tool's reply follows is left out.
    When it is wrong: A response may hold a whole conversation with a simulated user.
    Source: An identity of the formats in `core/samples/chat.py`; a tenth is our own choice. Measured: see
    docs/samples.md.
    """
    roles = s.foreign_roles
    if roles is None or roles.of < LEAST or not roles.share > ROLES:
        return None
    message = f"{roles.share:.0%} of the responses go on as the user"
    return Signal(
        value=roles.share, limit=ROLES, metric="response", message=message, evidence={"example": roles.example}
    )


@rule(
    "DATA004",
    "same-response-to-different-prompts",
    severity="warn",
    tier=2,
    data="P",
    subject="records",
    needs=("same_answer",),
    rows=2,
    within=3,
    causes=(
        "the policy has found one text that the reward likes",
        "prompts do not reach the model",
        "a cache is mixed up",
    ),
    fixes=(
        "read this response: does it answer anything?",
        "check what the model gets as its prompt",
        "correct {reward_fn}",
    ),
)
def same_response_to_different_prompts(s: SampleView) -> Signal | None:
    """Fires when different prompts get the same long response, word for word.

    Why it matters: The response does not depend on the prompt, so there is nothing in it that could be learnt.
    How it is computed: More than 30 % of at least 16 responses of 64 characters or more stand after two different
    prompts of the same step, on two of three steps.
    When it is wrong: A refusal, or a fixed form, may be the right answer to many prompts.
    Source: Reward models that one text satisfies (OpenRLHF#1165); 30 % is our own choice. Measured: see
    docs/samples.md.
    """
    same = s.same_answer
    if same is None or same.of < LEAST or not same.share > ALIKE:
        return None
    message = f"{same.share:.0%} of the long responses answer several prompts word for word alike"
    return Signal(value=same.share, limit=ALIKE, metric="response", message=message, evidence={"example": same.example})


@rule(
    "DATA005",
    "ranks-share-samples",
    severity="critical",
    tier=0,
    data="P",
    subject="records",
    needs=("same_ranks",),
    causes=("every rank has the same seed for data and for sampling", "the sampler of the data is not distributed"),
    fixes=("give each rank its own part of the data, and its own seed: {seed}", "check the sampler of {dataloader}"),
)
def ranks_share_samples(s: SampleView) -> Signal | None:
    """Fires when two ranks hold the same samples.

    Why it matters: The run costs as much as all its ranks and learns as much as one.
    How it is computed: Two ranks of one step have the same prompts with the same responses, four or more of 64
    characters or more each.
    When it is wrong: Ranks of tensor or pipeline parallelism hold the same samples by design. Their records must be
    written by one of them.
    Source: An identity: equal long texts have a probability near zero (verl#1589). Measured: see docs/samples.md.
    """
    same = s.same_ranks
    if same is None or not same.hits:
        return None
    message = f"{same.hits} of {same.of} ranks hold the same samples as another rank"
    return Signal(value=float(same.hits), limit=0.0, metric="rank", message=message, evidence={"example": same.example})


@rule(
    "DATA007",
    "same-prompts-every-step",
    severity="info",
    tier=2,
    data="P",
    subject="records",
    needs=("same_prompts",),
    rows=10,
    causes=("the data set is one batch long", "the data loader starts again at every step"),
    fixes=("count the different prompts of the run", "check {dataloader} and {resume}"),
)
def same_prompts_every_step(s: SampleView) -> Signal | None:
    """Fires when step after step has the prompts of the step before.

    Why it matters: The policy learns these prompts by heart.
    How it is computed: All prompts of a step, eight or more, were in the step before. This holds ten steps in a row.
    When it is wrong: A trial on one batch is meant to do this.
    Source: Our own choice. Measured: see docs/samples.md.
    """
    same = s.same_prompts
    if same is None or same.hits < same.of:
        return None
    message = f"every step has the same {same.of} prompts as the step before"
    return Signal(value=1.0, limit=1.0, metric="prompt", message=message)
