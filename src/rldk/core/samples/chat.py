"""The marks of chat templates, as data: how a text opens, how a role is announced."""

from __future__ import annotations

import re
from typing import NamedTuple

# Texts that begin a sequence: each may stand there once.
STARTS = (
    "<s>",
    "<|begin_of_text|>",
    "<bos>",
    "<|startoftext|>",
    "<|begin▁of▁sentence|>",
    "[BOS]",
    "<|begin_of_sentence|>",
)


class ChatFormat(NamedTuple):
    """`header`: announces a role, which is its group. `answers`: the role of the model."""

    header: re.Pattern[str]
    answers: frozenset[str]
    asks: frozenset[str]


_ASKS = frozenset({"user", "system", "human"})
_SPOKEN = r"(user|system|assistant|model|tool|human|developer|ipython|environment)"
FORMATS: tuple[ChatFormat, ...] = tuple(
    ChatFormat(re.compile(pattern), frozenset({"assistant", "model"}), _ASKS)
    for pattern in (
        rf"<\|im_start\|>\s?{_SPOKEN}\b",  # ChatML: Qwen, SmolLM, Yi
        rf"<\|start_header_id\|>\s?{_SPOKEN}<\|end_header_id\|>",  # Llama 3
        rf"<start_of_turn>{_SPOKEN}\b",  # Gemma
        rf"<\|start\|>{_SPOKEN}\b",  # gpt-oss
        rf"<\|{_SPOKEN}\|>",  # Phi, Zephyr, GLM
    )
)
TOOL_REPLY = "<tool_response>"  # Qwen's template puts the replies of tools into turns of the user


def doubled_start(text: str) -> str:
    """The start mark that opens the text twice, or ""."""
    head = text[:200].lstrip()
    return next((mark for mark in STARTS if head.startswith(mark) and head[len(mark) :].lstrip().startswith(mark)), "")


def last_role(text: str) -> tuple[str, bool] | None:
    """The role that the text announced last, and whether it is the model's; None where it announces none."""
    found: tuple[int, str, bool] | None = None
    for form in FORMATS:
        match = None
        for match in form.header.finditer(text):  # noqa: B007 - the last one counts
            pass
        if match is not None and (found is None or match.end() > found[0]):
            found = match.end(), match[1], match[1] in form.answers
    return None if found is None else found[1:]


def foreign_role(text: str) -> str:
    """The first header in a response that announces a user or a system; "" where there is none."""
    for form in FORMATS:
        for match in form.header.finditer(text):
            if match[1] in form.asks and not text[match.end() : match.end() + 40].lstrip().startswith(TOOL_REPLY):
                return match[0]
    return ""
