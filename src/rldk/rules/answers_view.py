"""What the answers of an evaluation have shown: the view of rules over the subject "answers"."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from rldk.core.stats.estimates import Estimate

ANSWER_WORDS: Mapping[str, str] = {
    "cut": "thirty answers with the reason why each ended (finish_reason), and which of them are right",
    "unparsed": "thirty answers with the result that was found in each (parsed)",
    "filters": "samples of lm-evaluation-harness with several filters",
    "copies": "ten prompts with several answers of forty characters or more",
    "dominant": "thirty answers with the right answer to each",
    "repeated": "thirty prompts with ids and texts",
    "ambiguous": "ids of prompts that several answers share, and the prompts as text",
    "errors": "samples that say whether they ended with an error",
    "chance": "fifty answers to questions with a known number of options",
    "right": "fifty answers, and which of them are right",
    "respelled": "answers that count as wrong, with the right ones",
    "change": "scores of the same prompts before and after training, or at two steps",
    "checkpoints": "scores of the same ten prompts at three steps or more",
}


class CutAnswers(Struct, frozen=True, kw_only=True):
    """Answers that were cut at the length limit. `share`: of all answers. `right_cut`, `right_ended`: the share of
    right ones among the cut and the others; `difference`: the first minus the second."""

    share: Estimate
    right_cut: float
    right_ended: float
    difference: Estimate


class Unparsed(Struct, frozen=True, kw_only=True):
    """Answers in which no result was found. `holding`: how many of them hold the right answer as text; None where it is
    not known. `rows`: the first of them."""

    share: Estimate
    holding: int | None
    rows: tuple[int, ...]


class Dominant(Struct, frozen=True, kw_only=True):
    """The most frequent answer. `share`: of the answers; `right`: the share of the most frequent right answer."""

    text: str
    share: Estimate
    right: float


class Counted(Struct, frozen=True, kw_only=True):
    """How many of `n` things have a fault. `examples`: the first of them."""

    count: int
    n: int
    examples: tuple[str, ...] = ()

    @property
    def share(self) -> float:
        return self.count / self.n if self.n else 0.0


class Guessing(Struct, frozen=True, kw_only=True):
    """The share of right answers, and what guessing among the options comes to."""

    right: Estimate
    chance: float


class Respelled(Struct, frozen=True, kw_only=True):
    """Wrong answers that differ from the right one in case, spaces or punctuation only. `wrong`: all wrong answers;
    `n`: all answers. `example`: the answer and the right one."""

    count: int
    wrong: int
    n: int
    example: tuple[str, str]


class Moved(Struct, frozen=True, kw_only=True):
    """A score before and after, of the same prompts. `detectable`: the smallest change that the data shows."""

    before: float
    after: float
    change: Estimate
    detectable: float
    place: str


class Checkpoints(Struct, frozen=True, kw_only=True):
    """The score of the same prompts at several steps. `p`: of as large differences where all steps are equally good."""

    best_step: float
    best: float
    last_step: float
    last: float
    p: float
    steps: int
    prompts: int


class AnswersView(Struct, frozen=True, kw_only=True):
    """The facts about the answers of one evaluation; None for what the data lacks. `filters`: the mean score under each
    filter. `copies`: the share of prompts whose answers are all the same text. `repeated`: prompts that another id has,
    too. `ambiguous`: ids that stand for several prompts. `errors`: samples that ended with an error."""

    cut: CutAnswers | None = None
    unparsed: Unparsed | None = None
    filters: Mapping[str, float] | None = None
    copies: Estimate | None = None
    dominant: Dominant | None = None
    repeated: Counted | None = None
    ambiguous: Counted | None = None
    errors: Counted | None = None
    chance: Guessing | None = None
    right: Estimate | None = None
    respelled: Respelled | None = None
    change: Moved | None = None
    checkpoints: Checkpoints | None = None

    def has(self, need: str) -> bool:
        """Whether the fact is known."""
        return getattr(self, need, None) is not None
