"""DATA: tokenizers and chat templates that spoil every sample."""

from __future__ import annotations

from functools import partial

from rldk.core.algorithms import LLM_POLICY, SUPERVISED
from rldk.rules.rule import Signal, rule
from rldk.rules.setup import SetupView

_tokenizer_rule = partial(rule, tier=0, data="C", subject="setup", needs=("tokenizer",))
_ENOUGH_ENDS = 0.5  # of the examples: an end token in the labels of fewer means it is masked, not cut off by the limit


@_tokenizer_rule(
    "DATA001",
    "end-token-never-learnt",
    severity="critical",
    causes=(
        "padding uses the end token, and labels are masked wherever the padding token stands",
        "examples are cut at the length limit before their end",
        "the template does not write the end token",
    ),
    fixes=("give padding a token of its own", "mask labels by the attention mask instead of by the token"),
)
def end_token_never_learnt(s: SetupView) -> Signal | None:
    """Fires when the labels of training examples do not hold the end token.

    Why it matters: The model never learns to stop. Every rollout then runs to its length limit, and is punished for it.
    How it is computed: Fewer than half of the examples that preflight was given have an end token among the labels that
    count (those above -100). Where labels are not known, it is information that padding and end token are the same.
    When it is wrong: Examples may end on purpose without an end token (continued pre-training).
    Source: trl#1623, huggingface/blog#1302, unsloth#416 (padding equal to the end token masks it); half is our own
    choice: without the fault every example that fits has one.
    """
    t = s.tokenizer
    if t is None:
        return None
    shared = t.pad is not None and t.pad in (t.eos, *t.ends)
    if t.labels_end is not None:
        if t.labels_end >= _ENOUGH_ENDS:
            return None
        said = f"; padding uses the end token {t.pad}, too" if shared else ""
        message = f"the labels of {1 - t.labels_end:.0%} of the examples do not hold the end token{said}"
        return Signal(value=t.labels_end, limit=_ENOUGH_ENDS, metric="labels", message=message)
    if not shared:
        return None
    message = f"padding and end token are both {t.pad}: labels that are masked by that token never hold the end"
    return Signal(value=float(t.pad or 0), metric="pad_token_id", message=message, severity="info")


@_tokenizer_rule(
    "DATA030",
    "no-chat-template",
    severity="critical",
    causes=("the tokenizer is that of a base model", "the template file was not copied with the checkpoint"),
    fixes=("load the tokenizer of the chat model, or set its chat_template", "or give prompts as plain text"),
)
def no_chat_template(s: SetupView) -> Signal | None:
    """Fires when prompts are lists of messages and the tokenizer has no chat template.

    Why it matters: The trainer stops, or a default template of another model makes prompts that this one never saw.
    How it is computed: The prompts of the data set are messages, and the tokenizer's template is empty.
    When it is wrong: Never, for trainers that apply the tokenizer's own template.
    Source: The chat templates of transformers (apply_chat_template raises without one since 4.44).
    """
    t = s.tokenizer
    if t is None or t.template or not t.conversational:
        return None
    return Signal(value=0.0, metric="chat_template", message="prompts are messages, and the tokenizer has no template")


@_tokenizer_rule(
    "DATA031",
    "generation-prompt-missing",
    severity="critical",
    needs=("tokenizer.prompt_added",),
    causes=("the template ignores add_generation_prompt",),
    fixes=("add the assistant header to the template under add_generation_prompt",),
)
def generation_prompt_missing(s: SetupView) -> Signal | None:
    """Fires when the chat template renders the same text with and without a generation prompt.

    Why it matters: The model is not told that it is its turn. It then writes the header itself, or goes on with the
    user's text, and the answer parser finds nothing.
    How it is computed: A conversation that ends with a user's message is rendered both ways, and the texts are equal.
    When it is wrong: A template may always open the assistant's turn.
    Source: The chat templates of transformers; trl#6966 (rewards of zero from a template).
    """
    t = s.tokenizer
    if t is None or t.prompt_added is not False or not t.conversational:
        return None
    message = "the chat template opens no turn for the assistant when a generation prompt is asked for"
    return Signal(value=0.0, metric="chat_template", message=message)


@_tokenizer_rule(
    "DATA032",
    "answer-does-not-extend-prompt",
    severity="warn",
    needs=("tokenizer.answer_extends_prompt",),
    causes=(
        "the template drops or rewrites earlier turns (thinking parts) when an answer follows",
        "the generation prompt opens with text that a finished answer does not have",
    ),
    fixes=("use a template for training whose rendered conversation begins with the rendered prompt",),
)
def answer_does_not_extend_prompt(s: SetupView) -> Signal | None:
    """Fires when a rendered conversation does not begin with its rendered prompt.

    Why it matters: Labels are cut at the length of the prompt. If the two texts differ, tokens of the answer are masked
    or tokens of the prompt are learnt, and what is trained is not what is generated.
    How it is computed: The user's message with a generation prompt is rendered, and the user's message with an answer.
    The second text must begin with the first.
    When it is wrong: Trainers that take the sampled token ids themselves (GRPO, PPO) do not render the answer again.
    Source: trl#5224 (retokenised turns), trl's own check of prompt and completion in the SFT trainer.
    """
    t = s.tokenizer
    sampled = s.algorithm in LLM_POLICY
    if t is None or t.answer_extends_prompt is not False or not t.conversational:
        return None
    message = "a rendered conversation does not begin with the rendered prompt"
    return Signal(
        value=0.0,
        metric="chat_template",
        message=message,
        severity="info" if sampled else "warn",
        evidence=dict(t.detail),
    )


@_tokenizer_rule(
    "DATA033",
    "answer-without-end",
    severity="warn",
    needs=("tokenizer.turn_ends",),
    causes=("the end token of generation is another than the template writes after an answer",),
    fixes=("set eos_token (and the generation configuration) to the token that the template writes after an answer",),
)
def answer_without_end(s: SetupView) -> Signal | None:
    """Fires when the template writes no end token after the assistant's answer.

    Why it matters: Generation stops at the end token only. A model that was trained on this template does not write it,
    so that responses run to the length limit.
    How it is computed: A conversation that ends with an answer is rendered and tokenised. None of the end tokens (of
    the tokenizer and of the model's generation configuration) is among the tokens after the answer.
    When it is wrong: The trainer may append the end token itself (as the SFT trainer of TRL does for plain text).
    Source: trl#1623, unsloth#416; the rule LEN008 sees the same in a log.
    """
    t = s.tokenizer
    if t is None or t.turn_ends is not False or not t.conversational:
        return None
    ends = ", ".join(map(str, t.ends)) or "none"
    message = f"the template writes no end token after an answer (end tokens: {ends})"
    return Signal(value=0.0, metric="eos_token_id", message=message)


@_tokenizer_rule(
    "DATA034",
    "prompt-begins-twice",
    severity="critical",
    needs=("tokenizer.doubled",),
    causes=("prompts were rendered with the template first, and tokenised with special tokens after that",),
    fixes=("tokenise rendered prompts with add_special_tokens=False", "or take the BOS token out of the template"),
)
def prompt_begins_twice(s: SetupView) -> Signal | None:
    """Fires when prompts begin with two BOS tokens.

    Why it matters: No model was trained on such a beginning, and the rollout engine may see only one of the two: the
    probabilities of every token differ.
    How it is computed: The prompts of the data set are tokenised as text, with special tokens, and begin with the BOS
    token twice.
    When it is wrong: A trainer may remove the second token itself.
    Source: DATA002 of the rule catalogue (two BOS tokens); llama.cpp, vLLM and transformers warn of the same.
    """
    t = s.tokenizer
    if t is None or not t.doubled:
        return None
    message = f"{t.doubled} of {t.tried} prompts begin with two BOS tokens ({t.bos})"
    return Signal(value=float(t.doubled), limit=0.0, metric="bos_token_id", message=message)


@_tokenizer_rule(
    "DATA035",
    "no-padding-token",
    severity="warn",
    causes=("the model was released without one",),
    fixes=("set pad_token to a token that no text holds (a reserved one), not to the end token",),
)
def no_padding_token(s: SetupView) -> Signal | None:
    """Fires when the tokenizer has no padding token.

    Why it matters: Batches cannot be padded. The trainer stops, or takes the end token instead, which then may be
    masked in the labels.
    How it is computed: The tokenizer's padding token is not set.
    When it is wrong: Trainers that pack or pad by themselves (verl) may not need it.
    Source: The documentation of the trainers of TRL.
    """
    t = s.tokenizer
    if t is None or t.pad is not None:
        return None
    quiet = s.algorithm in SUPERVISED or s.framework == "verl"
    message = "the tokenizer has no padding token"
    return Signal(value=0.0, metric="pad_token_id", message=message, severity="info" if quiet else "warn")


@rule(
    "DATA036",
    "vocabulary-beyond-embedding",
    severity="critical",
    tier=0,
    data="T",
    subject="setup",
    needs=("tokenizer", "model.embeddings"),
    causes=("tokens were added and the embedding was not resized", "tokenizer and model are of two releases"),
    fixes=("call model.resize_token_embeddings(len(tokenizer)), or load both from one place",),
)
def vocabulary_beyond_embedding(s: SetupView) -> Signal | None:
    """Fires when the tokenizer has more tokens than the model has embeddings.

    Why it matters: The first text with such a token reads beyond the embedding: an index error on the CPU, a
    device-side assertion that names nothing on a GPU.
    How it is computed: The size of the tokenizer with added tokens is above the rows of the input embedding.
    When it is wrong: The surplus tokens may never occur.
    Source: An identity: a token id is a row number.
    """
    t, m = s.tokenizer, s.model
    if t is None or m is None or m.embeddings is None or t.size <= m.embeddings:
        return None
    message = f"the tokenizer has {t.size:,} tokens, and the model has {m.embeddings:,} embeddings"
    return Signal(value=float(t.size), limit=float(m.embeddings), metric="vocab_size", message=message)


@rule(
    "DATA003",
    "padding-changes-the-output",
    severity="critical",
    tier=0,
    data="T",
    subject="setup",
    needs=("model.padding_gap",),
    causes=(
        "position ids count the padding",
        "the attention mask is not used, or padding is on the wrong side",
        "the attention kernel does not support padding",
    ),
    fixes=("pad on the left for generation and pass the attention mask and position ids",),
)
def padding_changes_output(s: SetupView) -> Signal | None:
    """Fires when the same sequence gets other probabilities in a padded batch than alone.

    Why it matters: The probabilities of sampling and of training are then those of two models. Ratios are wrong from
    the first step, the more so the shorter a sequence is among its batch.
    How it is computed: Log-probabilities of two short sequences of different lengths, each alone and both in one batch
    that is padded on the left and on the right, with the attention mask. The largest difference is above what rounding
    explains (0.02 in 32 bits, 0.3 in 16 bits).
    When it is wrong: A model with batch-dependent routing (mixture of experts with a capacity) differs by design.
    Source: trl#1623, the padding notes of NeMo RL. Measured without the fault on tiny models of twelve kinds
    (transformers 5.24, weights eight times the usual): at most 2e-6 in 32 bits and 0.033 in bf16.
    """
    m = s.model
    if m is None or m.padding_gap is None or m.padding_limit is None or m.padding_gap <= m.padding_limit:
        return None
    message = (
        f"log-probabilities change by up to {m.padding_gap:.3g} when the sequence is padded on the {m.padding_side}"
    )
    return Signal(value=m.padding_gap, limit=m.padding_limit, metric="padding", message=message)
