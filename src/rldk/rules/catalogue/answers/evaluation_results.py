"""EVAL: how results are read from answers."""

from __future__ import annotations

from rldk.rules.answers_view import AnswersView
from rldk.rules.rule import Signal, rule
from rldk.rules.score_view import interval

MANY_CUT = 0.05
MANY_UNPARSED = 0.05
APART = 0.05
FEW_SPELLINGS, SPELLING_SHARE = 3, 0.01
DOMINANT, VARIED = 0.8, 0.5
MOST_TEXT = 40


@rule(
    "EVAL010",
    "cut-answers-count-as-wrong",
    severity="warn",
    tier=2,
    data="P",
    subject="answers",
    needs=("cut",),
    causes=("the limit of new tokens is too low for the task", "the model does not stop by itself"),
    fixes=("raise the limit of new tokens of the evaluation", "report the share of cut answers with the score"),
)
def cut_answers(a: AnswersView) -> Signal | None:
    """Fires when many answers were cut at the length limit, and these are right less often.

    Why it matters: The score measures the limit. A model that writes longer loses points for its length.
    How it is computed: The 95 % interval of the share of cut answers is above 5 %, and that of the difference of the
    shares of right answers (cut minus the others) is below 0.
    When it is wrong: Hard questions have long answers, so that a part of the difference would stay.
    Source: 5 % is our own choice; zero accuracies by `max_gen_toks`: EleutherAI/lm-evaluation-harness#1274.
    """
    c = a.cut
    if c is None or not (c.share.low > MANY_CUT and c.difference.high < 0):
        return None
    message = (
        f"{100 * c.share.value:.1f} % of {c.share.n:,} answers were cut at the length limit; {100 * c.right_cut:.0f} % "
        f"of these are right, and {100 * c.right_ended:.0f} % of the others"
    )
    return Signal(value=c.share.value, limit=MANY_CUT, message=message, metric="finish_reason")


@rule(
    "EVAL011",
    "answers-without-a-result",
    severity="warn",
    tier=2,
    data="P",
    subject="answers",
    needs=("unparsed",),
    causes=("the model writes its result in another form than the pattern expects", "answers end before the result"),
    fixes=("read the named rows, and widen the pattern", "state the form of the result in the prompt"),
)
def without_a_result(a: AnswersView) -> Signal | None:
    """Fires when no result was found in many answers, which then count as wrong.

    Why it matters: The score measures the form of the answer. Training that teaches the form looks like a gain of
    knowledge.
    How it is computed: The 95 % interval of the share of answers without a result ("[invalid]" in
    lm-evaluation-harness, an empty `parsed`) is above 5 %. Where the right answers are known, the message says how many
    of these answers hold it as a word.
    When it is wrong: The model may really have given no answer; a short right answer may stand in a text by chance.
    Source: 5 % is our own choice; EleutherAI/lm-evaluation-harness#1204, #1274, #2279.
    """
    u = a.unparsed
    if u is None or not u.share.low > MANY_UNPARSED:
        return None
    holding = f"; {u.holding:,} of these answers hold the right one" if u.holding else ""
    message = (
        f"no result was found in {100 * u.share.value:.1f} % of {u.share.n:,} answers "
        f"({interval(u.share, percent=True)}, as in rows {', '.join(map(str, u.rows[:3]))}){holding}"
    )
    return Signal(
        value=u.share.value, limit=MANY_UNPARSED, message=message, metric="parsed", evidence={"rows": list(u.rows)}
    )


@rule(
    "EVAL012",
    "score-depends-on-the-filter",
    severity="warn",
    tier=0,
    data="P",
    subject="answers",
    needs=("filters",),
    causes=("one of the filters expects a form that the model does not use",),
    fixes=("name the filter with the score", "compare two models under the same filter"),
)
def filters_disagree(a: AnswersView) -> Signal | None:
    """Fires when the same answers get different scores, depending on the filter that reads a result from them.

    Why it matters: The difference is the form of the answers. Two models that are compared under different filters
    differ by that much without any difference of knowledge.
    How it is computed: The mean scores under two filters are more than 5 points apart. The answers are the same, so
    that this is no estimate.
    When it is wrong: A strict filter may be meant.
    Source: 5 points are our own choice; `strict-match` and `flexible-extract` of lm-evaluation-harness's gsm8k.
    """
    if not a.filters or len(a.filters) < 2:
        return None
    low, high = (which(a.filters, key=a.filters.__getitem__) for which in (min, max))
    apart = a.filters[high] - a.filters[low]
    if not apart > APART:
        return None
    message = (
        f"the same answers score {a.filters[low]:.3g} under the filter {low} and {a.filters[high]:.3g} under {high}"
    )
    return Signal(value=apart, limit=APART, message=message, metric="filter", evidence=dict(a.filters))


@rule(
    "EVAL014",
    "one-answer-to-everything",
    severity="warn",
    tier=2,
    data="P",
    subject="answers",
    needs=("dominant",),
    causes=(
        "the model ignores the question",
        "the chat template is missing",
        "the result is read from the wrong place",
    ),
    fixes=("read ten answers beside the right ones", "shuffle the order of the options"),
)
def one_answer(a: AnswersView) -> Signal | None:
    """Fires when nearly all answers are the same, and the right ones are not.

    Why it matters: The score is the share of questions whose right answer that happens to be.
    How it is computed: The 95 % interval of the share of the most frequent answer (case and spaces ignored) is above
    80 %, while no right answer makes up half of the questions.
    When it is wrong: The right answers may stand in the data in another form than the answers.
    Source: Both limits are our own choice; position and token bias of choices: Zheng et al. 2023 (arXiv 2309.03882).
    """
    d = a.dominant
    if d is None or not (d.share.low > DOMINANT and d.right < VARIED):
        return None
    text = d.text if len(d.text) <= MOST_TEXT else f"{d.text[:MOST_TEXT]}..."
    message = (
        f'"{text}" is {100 * d.share.value:.0f} % of {d.share.n:,} answers, and the most frequent right answer is only '
        f"{100 * d.right:.0f} % of the right ones"
    )
    return Signal(value=d.share.value, limit=DOMINANT, message=message, metric="response")


@rule(
    "EVAL020",
    "right-but-for-the-spelling",
    severity="warn",
    tier=0,
    data="P",
    subject="answers",
    needs=("respelled",),
    causes=("answers are compared letter by letter", "units, commas or a full stop stand beside the result"),
    fixes=(
        "compare without case, spaces and punctuation (`ignore_case`, `ignore_punctuation` in lm-evaluation-harness)",
    ),
)
def right_but_for_spelling(a: AnswersView) -> Signal | None:
    """Fires when answers that count as wrong differ from the right one in case, spaces or punctuation only.

    Why it matters: The score is too low, and a model that spells differently looks worse.
    How it is computed: The result of an answer (without one the answer) and the right answer are equal after case,
    spaces, punctuation and currency signs are taken away. There are three such answers or more, and they make up more
    than 1 % of all. A sign before a number and a decimal point stay.
    When it is wrong: The spelling may be the task.
    Source: An identity, by the definition above; three and 1 % are our own choice.
    """
    r = a.respelled
    if r is None or r.count < FEW_SPELLINGS or not r.count > SPELLING_SHARE * r.n:
        return None
    got, right = r.example
    message = (
        f"{r.count:,} of {r.wrong:,} wrong answers are right but for case, spaces or punctuation, as "
        f'"{got[:MOST_TEXT]}" for "{right[:MOST_TEXT]}": {100 * r.count / r.n:.1f} points of the score'
    )
    return Signal(value=r.count / r.n, limit=SPELLING_SHARE, message=message, metric="correct")
