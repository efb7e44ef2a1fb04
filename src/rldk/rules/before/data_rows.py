"""DATA: what the rows of a data set say before they are trained on."""

from __future__ import annotations

from functools import partial

from rldk.core.model import Severity
from rldk.rules.rule import Signal, rule
from rldk.rules.setup import DataFacts, SetupView

_data_rule = partial(rule, tier=0, data="P", subject="setup", needs=("data",))
_MANY_CUT, _MANY_REPEATED = 0.01, 0.05  # shares of the rows


def _example(data: DataFacts, name: str) -> dict[str, str]:
    return {"example": data.examples[name]} if name in data.examples else {}


@_data_rule(
    "DATA037",
    "prompts-beyond-limit",
    severity="warn",
    needs=("data.over_limit",),
    causes=("the limit was set for another data set", "few-shot examples or a system prompt were added"),
    fixes=("raise {max_prompt_tokens}, or leave out the rows that do not fit",),
)
def prompts_beyond_limit(s: SetupView) -> Signal | None:
    """Fires when prompts are longer than the configured limit.

    Why it matters: The trainer cuts them (on the left, the question goes first), drops them or stops. A cut question
    has a reward that no answer can reach.
    How it is computed: The prompts are rendered and tokenised, up to 2,000 of them. More than 1 % have more tokens than
    the configured limit.
    When it is wrong: The trainer may be set to leave out such rows.
    Source: verl's `prompt_length/clip_ratio` and `data.truncation`; 1 % is that of the rule catalogue (F75).
    """
    data = s.data
    if data is None or not data.over_limit or not data.seen or data.limit is None:
        return None
    share = data.over_limit / data.seen
    if share <= _MANY_CUT:
        return None
    message = f"{share:.1%} of the prompts have more than {data.limit:,} tokens (the longest has {data.longest:,})"
    return Signal(value=share, limit=_MANY_CUT, metric="max_prompt_length", message=message)


@_data_rule(
    "DATA038",
    "answers-missing",
    severity="critical",
    needs=("data.no_answer",),
    causes=("the column has another name in this split", "a join or a parser left it empty"),
    fixes=("fill the column, or leave out the rows without an answer",),
)
def answers_missing(s: SetupView) -> Signal | None:
    """Fires when the answer column is empty in rows of the data set.

    Why it matters: The reward function compares with nothing. Every completion of such a prompt gets the same reward,
    so that the group has no signal.
    How it is computed: The share of rows whose answer is None, an empty text or an empty list. It is critical above 5 %
    and a warning below.
    When it is wrong: The reward may not use the column.
    Source: F03 of the rule catalogue (constant rewards); 5 % is our own choice.
    """
    data = s.data
    if data is None or not data.no_answer or not data.seen:
        return None
    share = data.no_answer / data.seen
    message = f"{data.no_answer:,} of {data.seen:,} rows ({share:.1%}) have nothing in the column `{data.answer}`"
    severity: Severity = "critical" if share > _MANY_REPEATED else "warn"
    return Signal(value=share, limit=0.0, metric=data.answer, message=message, severity=severity)


@_data_rule(
    "DATA039",
    "prompts-missing",
    severity="critical",
    needs=("data.no_prompt",),
    causes=("the column has another name in this split",),
    fixes=("leave out the rows without a prompt",),
)
def prompts_missing(s: SetupView) -> Signal | None:
    """Fires when prompts are empty.

    Why it matters: The policy samples from nothing and the reward judges nothing, or the tokenizer fails in mid-run.
    How it is computed: The number of rows whose prompt is None, an empty text or an empty list.
    When it is wrong: Unconditional generation has empty prompts on purpose.
    Source: An identity.
    """
    data = s.data
    if data is None or not data.no_prompt:
        return None
    message = f"{data.no_prompt:,} of {data.seen:,} rows have an empty prompt"
    return Signal(value=float(data.no_prompt), limit=0.0, metric=data.prompt, message=message)


@_data_rule(
    "DATA040",
    "repeated-prompts",
    severity="info",
    needs=("data.repeated",),
    causes=("several sources were joined", "rows were repeated to weigh a source"),
    fixes=("remove repeated rows, by exact text first",),
)
def repeated_prompts(s: SetupView) -> Signal | None:
    """Fires when more than one row in twenty repeats the prompt of an earlier row.

    Why it matters: Repeated prompts are learnt by heart, and they make a batch smaller than it looks.
    How it is computed: The share of rows whose prompt, with runs of white space as one blank, an earlier row has, above
    5 %.
    When it is wrong: Preference data has several pairs of a prompt on purpose, and so has data with weights.
    Source: F76 of the rule catalogue, with its limit of 5 %.
    """
    data = s.data
    if data is None or not data.repeated or not data.seen:
        return None
    share = data.repeated / data.seen
    if share <= _MANY_REPEATED:
        return None
    message = f"{share:.1%} of the rows repeat the prompt of an earlier row"
    return Signal(value=share, limit=_MANY_REPEATED, metric=data.prompt, message=message)


@_data_rule(
    "DATA041",
    "one-prompt-two-answers",
    severity="warn",
    needs=("data.split",),
    causes=("the same question comes from two sources with different answers", "the answer column is shifted"),
    fixes=("look at the rows in `--json`, and keep one answer a prompt",),
)
def one_prompt_two_answers(s: SetupView) -> Signal | None:
    """Fires when the same prompt comes with different answers.

    Why it matters: A correct answer is rewarded in one row and punished in another.
    How it is computed: The number of prompts that occur with at least two different texts in the answer column.
    When it is wrong: The texts may be two ways to write one answer.
    Source: An identity: an answer column names one correct answer.
    """
    data = s.data
    if data is None or not data.split:
        return None
    some = "prompt comes" if data.split == 1 else "prompts come"
    message = f"{data.split:,} {some} with different answers in the column `{data.answer}`"
    return Signal(
        value=float(data.split), limit=0.0, metric=data.answer, message=message, evidence=_example(data, "split")
    )


@_data_rule(
    "DATA042",
    "fewer-rows-than-a-batch",
    severity="critical",
    needs=("data.needed",),
    causes=("the data was filtered, and the batch was not made smaller", "a debug slice of the data was left in"),
    fixes=("lower {batch} or {grad_accum}, or give more rows",),
)
def fewer_rows_than_a_batch(s: SetupView) -> Signal | None:
    """Fires when the data set has fewer prompts than one step takes.

    Why it matters: The data loader drops the last, incomplete batch. There is then no batch at all and the run ends at
    step 0, or each step sees the same rows again.
    How it is computed: The number of rows is below the number of prompts of one optimizer step, by the configured batch
    sizes.
    When it is wrong: A sampler may repeat rows on purpose.
    Source: The data loaders of TRL and verl (drop_last).
    """
    data = s.data
    if data is None or data.needed is None or data.rows >= data.needed:
        return None
    message = f"the data set has {data.rows:,} rows, and one step takes {data.needed:,} prompts"
    return Signal(value=float(data.rows), limit=float(data.needed), metric="train_dataset", message=message)
