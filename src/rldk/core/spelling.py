"""Spellings: the part of a name that counts in a comparison, and the ways to read a name that no trainer spells so."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rldk.core.text import later

_SECONDS = later(r"[^a-z0-9]s$")
_SEPARATORS = later(r"[^a-z0-9]+")
_STAGES = {
    "train": "train",
    "training": "train",
    "eval": "eval",
    "evaluation": "eval",
    "val": "eval",
    "valid": "eval",
    "validation": "eval",
    "test": "test",
}
_STAGE = "|".join(sorted(_STAGES, key=len, reverse=True))
# A word ends at a separator or before a capital: "eval_loss", "eval/loss", "EvalLoss".
_BEFORE = later(rf"(?P<stage>(?i:{_STAGE}))(?:[\W_]+|(?<=[a-z])(?=[A-Z]))(?P<rest>[^\W_].*)", re.DOTALL)
_AFTER = later(rf"(?P<rest>.*[^\W_])(?:[\W_]+|(?<=[a-z])(?=[A-Z]))(?P<stage>(?i:{_STAGE}))", re.DOTALL)
_BRACKET = later(r"(?P<rest>[^()\[\]]*\w)\s*[(\[]\s*(?P<word>[\w ]+?)\s*[)\]]")
# In brackets behind a name these words add nothing. Anything else there, such as a scale or "max", is part of the name.
_SILENT = frozenset({"mean", "avg", "average", "nats", "steps", "tokens"})
_WINDOW = later(r"(?:last )?\d+ ?(?:eps?|episodes?)")  # a mean over so many episodes
# Panels that home-made loops sort their curves into. The name behind them says everything. "losses/entropy" is a term
# of a loss, and its sign is unknown: behind this panel the name itself must say that it is a loss or a norm.
_PANEL = later(
    r"(?:(?i:losses|loss)\s*[/.]\s*(?=.*(?i:loss|norm)$)|(?i:metrics?|charts?|stats|scalars?|rollouts?|episodes?|env|environment|agent|perf|performance|info|summary"
    r"|logs?|run|results?|learner|algo|data|monitor|main|global|time)\s*[/.]\s*)(?P<rest>.*\w.*)",
    re.DOTALL,
)


def form(name: str) -> str:
    """The letters and digits of a name in lower case: "Loss / Value", "loss_value" and "lossValue" have one form.

    A percent sign is a word, because it says that the values are a hundred times those of the plain name. So is the
    unit behind "episode_length_s", which is no plural."""
    return _SEPARATORS.sub("", _SECONDS.sub("seconds", name.lower().replace("%", "percent")))


def readings(name: str) -> Iterator[tuple[str, str]]:
    """(stage, form) of each way to read a name, the most literal first.

    First the name as it is, then without its panel, then without train, eval or test in front, behind or in brackets
    ("Loss (train)")."""
    yield "train", form(name)
    stage, rest = _unbracketed(name)
    for at, text in ((stage, rest), *_staged(rest)):
        yield at, form(text)
        if panel := _PANEL.fullmatch(text):
            yield at, form(panel["rest"])
            yield from ((inner if at == "train" else at, form(last)) for inner, last in _staged(panel["rest"]))


def _unbracketed(name: str) -> tuple[str, str]:
    bracket = _BRACKET.fullmatch(name.strip())
    word = bracket["word"].lower() if bracket else ""
    if bracket is None or not (word in _STAGES or word in _SILENT or _WINDOW.fullmatch(word)):
        return "train", name
    return _STAGES.get(word, "train"), bracket["rest"]


def _staged(name: str) -> Iterator[tuple[str, str]]:
    for pattern in (_BEFORE, _AFTER):
        if found := pattern.fullmatch(name):
            yield _STAGES[found["stage"].lower()], found["rest"]
