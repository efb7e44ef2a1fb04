"""What preflight has tried out before a training: the facts that rules over the subject "setup" look at.

Every fact that could not be measured is None. A rule that needs it says nothing then."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field


class TokenizerFacts(Struct, frozen=True, kw_only=True):
    """The tokenizer. `size`: the number of token ids, added ones included. `ends`: ids that end a response.

    `template`: it has a chat template. `conversational`: the prompts are lists of messages. `prompt_added`: the
    template renders something more when a generation prompt is asked for. `answer_extends_prompt`: the rendered
    conversation begins with the rendered prompt. `turn_ends`: an end token follows the answer in a rendered
    conversation. `doubled`: how many of `tried` prompts begin with two BOS tokens as the trainer tokenises them.
    `labels_end`: the share of training examples whose labels hold an end token."""

    size: int
    bos: int | None = None
    eos: int | None = None
    pad: int | None = None
    ends: tuple[int, ...] = ()
    template: bool = False
    conversational: bool = False
    prompt_added: bool | None = None
    answer_extends_prompt: bool | None = None
    turn_ends: bool | None = None
    doubled: int | None = None
    tried: int = 0
    labels_end: float | None = None
    detail: Mapping[str, str] = field(default_factory=dict)


class DataFacts(Struct, frozen=True, kw_only=True):
    """The rows of the data set that were looked at.

    `rows`: how many it has. `seen`: how many were read. `repeated`: rows whose prompt an earlier row has. `split`:
    prompts that come with different answers. `overlap`: rows of the evaluation set whose prompt is a training prompt.
    `form`, `eval_form`: how prompts look ("text", "messages", "messages with a system prompt")."""

    rows: int
    seen: int
    prompt: str = ""
    answer: str = ""
    no_prompt: int | None = None
    no_answer: int | None = None
    repeated: int | None = None
    split: int | None = None
    longest: int | None = None
    limit: int | None = None
    over_limit: int | None = None
    eval_rows: int | None = None
    overlap: int | None = None
    form: str = ""
    eval_form: str = ""
    needed: int | None = None
    examples: Mapping[str, str] = field(default_factory=dict)


class RewardTrial(Struct, frozen=True, kw_only=True):
    """One call of a reward function. `kind`: what the completion was ("gold", "empty", "wrong", ...).

    `score`: the reward, None where there is none. `fault`: what was wrong with the outcome, "" where nothing was:
    "raises", "length", "type", "nan" or "none". `detail`: the same in words."""

    kind: str
    score: float | None = None
    fault: str = ""
    detail: str = ""
    seconds: float = 0.0


class RewardFacts(Struct, frozen=True, kw_only=True):
    """What a reward function answered. `changed`: the kinds whose score differed when asked twice.

    `seconds`: the longest time of one call for one completion."""

    name: str
    trials: tuple[RewardTrial, ...] = ()
    changed: tuple[str, ...] = ()
    seconds: float = 0.0
    answers: str = ""

    def of(self, kind: str) -> tuple[float, ...]:
        """The scores of that kind of completion."""
        return tuple(t.score for t in self.trials if t.kind == kind and t.score is not None)


class ModelFacts(Struct, frozen=True, kw_only=True):
    """The model. `dtypes`: number format -> trainable parameters in it. `embeddings`: rows of the input embedding.

    `tied`, `says_tied`: whether input and output embedding share memory, and whether the configuration says so.
    `padding_gap`: the largest difference of log-probabilities between a sequence alone and in a batch that is padded on
    the left (`side`), and `padding_limit`, what rounding explains. `needed_gib`, `memory_gib`: the estimate and what a
    device has."""

    parameters: int
    trainable: int
    dtypes: Mapping[str, int] = field(default_factory=dict)
    tied: bool | None = None
    says_tied: bool | None = None
    embeddings: int | None = None
    dropout: float = 0.0
    padding_gap: float | None = None
    padding_limit: float | None = None
    padding_side: str = ""
    needed_gib: float | None = None
    memory_gib: float | None = None


class FirstStep(Struct, frozen=True, kw_only=True):
    """What the hooks saw of a script until its first optimizer step. `reached`: there was one. `outcome`: how the
    script ended, in words.

    `trainable`: parameters that want a gradient. `held`: those that the optimizer holds. `stray`: trainable parameters
    of the model that no optimizer holds. `without_gradient`, `zero`, `broken`: tensors of the optimizer without a
    gradient, with one that is exactly zero, with one that is not finite; of `tensors`. `moved`: tensors that changed.
    `ratio_gap`: |ratio - 1| on the first minibatch, where the trainer shows it. `rows`: metrics of the step that rules
    over rows look at as well."""

    reached: bool
    outcome: str = ""
    hooked: tuple[str, ...] = ()
    loss: float | None = None
    lr: float | None = None
    grad_norm: float | None = None
    tensors: int | None = None
    trainable: int | None = None
    held: int | None = None
    stray: int | None = None
    without_gradient: int | None = None
    zero: int | None = None
    broken: int | None = None
    moved: int | None = None
    ratio_gap: float | None = None
    rows: tuple[Mapping[str, float], ...] = ()
    numbers: Mapping[str, Any] = field(default_factory=dict)


class SetupView(Struct, frozen=True, kw_only=True):
    """Everything that preflight has tried out; None for what it was not given."""

    tokenizer: TokenizerFacts | None = None
    data: DataFacts | None = None
    rewards: tuple[RewardFacts, ...] | None = None
    model: ModelFacts | None = None
    first_step: FirstStep | None = None
    algorithm: str | None = None
    framework: str | None = None

    def has(self, need: str) -> bool:
        """Whether there is such a fact; `need` may be one of a part, as in "data.overlap"."""
        found: Any = self
        for word in need.split("."):
            found = getattr(found, word, None)
        return found is not None and found != ""
