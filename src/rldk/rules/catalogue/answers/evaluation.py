"""EVAL: which cases an evaluation counts."""

from __future__ import annotations

from rldk.rules.answers_view import AnswersView
from rldk.rules.rule import Signal, rule

ALL_COPIES = 0.9
SOME = 0.01


@rule(
    "EVAL013",
    "samples-are-copies",
    severity="warn",
    tier=2,
    data="P",
    subject="answers",
    needs=("copies",),
    causes=("the temperature is 0", "all samples have the same seed", "answers come from a cache"),
    fixes=("sample with a temperature above 0 and different seeds, or take one sample",),
)
def samples_are_copies(a: AnswersView) -> Signal | None:
    """Fires when the several answers to a prompt are one and the same text, for nearly all prompts.

    Why it matters: pass@k equals pass@1, the spread over seeds is 0, and the evaluation costs k times as much.
    How it is computed: Of the prompts with two answers of forty characters or more at one step, the share whose answers
    are all equal; its 95 % interval is above 90 %.
    When it is wrong: A model without any entropy left repeats itself although it samples.
    Source: 90 % is our own choice; the same fault in a configuration is EVAL005.
    """
    c = a.copies
    if c is None or not c.low > ALL_COPIES:
        return None
    message = (
        f"all answers to a prompt are the same text for {100 * c.value:.0f} % of {c.n:,} prompts, so that more samples "
        "say nothing"
    )
    return Signal(value=c.value, limit=ALL_COPIES, message=message, metric="response")


@rule(
    "EVAL015",
    "questions-repeat",
    severity="warn",
    tier=0,
    data="P",
    subject="answers",
    needs=("repeated",),
    causes=("the data set was put together from parts that overlap", "rows were repeated for several samples of each"),
    fixes=("remove the copies", "give copies one id, so that they count as one prompt"),
)
def questions_repeat(a: AnswersView) -> Signal | None:
    """Fires when prompts under different ids are the same text.

    Why it matters: They count as independent cases, so that intervals are too narrow and one question weighs double.
    How it is computed: The share of ids whose prompt (case and spaces ignored) another id of the same task has before
    it. It is above 1 %.
    When it is wrong: The prompt column may hold a fixed instruction, and the question stands elsewhere.
    Source: An identity; 1 % is our own choice.
    """
    r = a.repeated
    if r is None or not r.share > SOME:
        return None
    shown = f", as {' and '.join(r.examples[:2])}" if r.examples else ""
    message = f"{r.count:,} of {r.n:,} prompts ({r.share:.1%}) repeat the text of another one under another id{shown}"
    return Signal(value=r.share, limit=SOME, message=message, metric="prompt_id")


@rule(
    "EVAL016",
    "ids-name-several-prompts",
    severity="warn",
    tier=0,
    data="P",
    subject="answers",
    needs=("ambiguous",),
    causes=("ids were counted from 0 in each of several parts", "few-shot examples are drawn anew for each answer"),
    fixes=("put the name of the part before the id", "map `prompt_id` to another column with --column-mapping"),
)
def ids_name_several(a: AnswersView) -> Signal | None:
    """Fires when answers to different prompts share an id.

    Why it matters: They are taken for answers to one prompt: pass@k mixes questions, and a comparison pairs the wrong
    ones.
    How it is computed: The share of ids with several answers whose prompts (case and spaces ignored) differ. It is
    above 1 %. Paraphrases, counterfactual pairs and stances are meant to differ and are not looked at.
    When it is wrong: The examples of a few-shot prompt may differ around the same question.
    Source: An identity; 1 % is our own choice.
    """
    r = a.ambiguous
    if r is None or not r.share > SOME:
        return None
    shown = f", as {', '.join(r.examples[:3])}" if r.examples else ""
    message = f"{r.count:,} of {r.n:,} ids with several answers stand for different prompts{shown}"
    return Signal(value=r.share, limit=SOME, message=message, metric="prompt_id")


@rule(
    "EVAL017",
    "failed-samples-left-out",
    severity="warn",
    tier=0,
    data="P",
    subject="answers",
    needs=("errors",),
    causes=("the server was overloaded", "long prompts exceed the context", "a sandbox or tool failed"),
    fixes=("run the failed samples again", "report how many there are with the score"),
)
def failed_left_out(a: AnswersView) -> Signal | None:
    """Fires when samples that ended with an error have no score.

    Why it matters: The score is that of the rest. Long and hard samples fail more often, so that it is too high.
    How it is computed: The share of samples that state an error and have no score. It is above 1 %.
    When it is wrong: Errors that have nothing to do with the sample cost only precision.
    Source: An identity; 1 % is our own choice.
    """
    e = a.errors
    if e is None or not e.share > SOME:
        return None
    shown = f'; the first: "{e.examples[0][:80]}"' if e.examples else ""
    message = f"{e.count:,} of {e.n:,} samples ({e.share:.1%}) ended with an error and have no score{shown}"
    return Signal(value=e.share, limit=SOME, message=message, metric="error")
