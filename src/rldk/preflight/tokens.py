"""What a tokenizer does to prompts and answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from rldk.preflight.rows import RowSet, is_messages
from rldk.rules.setup import TokenizerFacts

FEW, MANY = 20, 2000  # prompts that are rendered in several ways, and prompts whose length is counted
ANSWER = "The answer is 42."
IGNORED = -100  # the label of a token that does not count, in torch and transformers
_SHOWN = 60


def tokenizer_facts(
    tokenizer: Any, rows: RowSet | None, *, model: Any = None, collator: Callable[..., Any] | None = None
) -> TokenizerFacts:
    """The facts. `model`: its generation configuration may name more end tokens. `collator`: makes labels of rows."""
    inner = getattr(tokenizer, "tokenizer", tokenizer)  # a processor holds one
    ends = _ends(inner, model)
    prompts = [] if rows is None else [p for p in rows.prompts()[:FEW] if p]
    messages = [list(p) for p in prompts if is_messages(p)]
    texts = [p for p in prompts if isinstance(p, str)]
    template = bool(getattr(tokenizer, "chat_template", None) or getattr(inner, "chat_template", None))
    rendered: dict[str, Any] = _rendered(tokenizer, inner, messages, ends) if template and messages else {}
    bos = _id(inner, "bos_token_id")
    return TokenizerFacts(
        size=_size(inner),
        bos=bos,
        eos=_id(inner, "eos_token_id"),
        pad=_id(inner, "pad_token_id"),
        ends=ends,
        template=template,
        conversational=bool(messages),
        doubled=None if bos is None or not texts else sum(_begins_twice(inner, text, bos) for text in texts),
        tried=len(texts),
        labels_end=_labels_end(rows, collator, ends),
        **rendered,
    )


def prompt_lengths(tokenizer: Any, rows: RowSet) -> list[int]:
    """The number of tokens of the first 2,000 prompts as the trainer renders them; empty where that fails."""
    inner = getattr(tokenizer, "tokenizer", tokenizer)
    found: list[int] = []
    for prompt in rows.prompts()[:MANY]:
        text = render(tokenizer, prompt, generate=True) if is_messages(prompt) else prompt
        if not isinstance(text, str):
            return []
        found.append(len(encode(inner, text, special=not is_messages(prompt))))
    return found


def render(tokenizer: Any, messages: Any, *, generate: bool) -> str | None:
    """The rendered conversation; None where the template refuses it."""
    try:
        text = tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=generate)
    except Exception:  # noqa: BLE001 - a template is a program of its own, and may raise anything
        return None
    return text if isinstance(text, str) else None


def encode(tokenizer: Any, text: str, *, special: bool) -> list[int]:
    """The token ids of a text."""
    found = tokenizer(text, add_special_tokens=special)["input_ids"]
    return [int(token) for token in (found[0] if found and isinstance(found[0], list) else found)]


def _rendered(tokenizer: Any, inner: Any, prompts: Sequence[list[Any]], ends: Sequence[int]) -> dict[str, Any]:
    """What the template does to prompts, by the first one that shows it."""
    found: dict[str, Any] = {}
    for prompt in prompts:
        bare, opened = render(tokenizer, prompt, generate=False), render(tokenizer, prompt, generate=True)
        whole = render(tokenizer, [*prompt, {"role": "assistant", "content": ANSWER}], generate=False)
        if bare is None or opened is None or whole is None or ANSWER not in whole:
            continue
        found["prompt_added"] = opened != bare
        found["answer_extends_prompt"] = whole.startswith(opened)
        if not whole.startswith(opened):
            same = next((i for i, (a, b) in enumerate(zip(opened, whole, strict=False)) if a != b), 0)
            found["detail"] = {"prompt": opened[same : same + _SHOWN], "conversation": whole[same : same + _SHOWN]}
        tail = whole.rpartition(ANSWER)[2]
        found["turn_ends"] = bool(set(encode(inner, tail, special=False)) & set(ends)) if ends else None
        break
    return found


def _ends(tokenizer: Any, model: Any) -> tuple[int, ...]:
    found = [_id(tokenizer, "eos_token_id")]
    stated = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    found += list(stated) if isinstance(stated, list | tuple) else [stated]
    return tuple(dict.fromkeys(int(token) for token in found if isinstance(token, int)))


def _id(tokenizer: Any, name: str) -> int | None:
    found = getattr(tokenizer, name, None)
    return int(found) if isinstance(found, int) and not isinstance(found, bool) else None


def _size(tokenizer: Any) -> int:
    try:
        return len(tokenizer)
    except TypeError:
        return int(getattr(tokenizer, "vocab_size", 0) or 0)


def _begins_twice(tokenizer: Any, text: str, bos: int) -> bool:
    return encode(tokenizer, text, special=True)[:2] == [bos, bos]


def _labels_end(rows: RowSet | None, collator: Callable[..., Any] | None, ends: Sequence[int]) -> float | None:
    """The share of examples with an end token among the labels that count; None where there are no labels."""
    if rows is None or not rows.rows or not ends:
        return None
    examples = [dict(row) for row in rows.rows[:FEW]]
    if collator is not None:
        try:
            batch = collator(examples)
        except Exception:  # noqa: BLE001 - a collator of the user's, which may expect other columns
            return None
        labels = _lists(batch.get("labels")) if isinstance(batch, Mapping) or hasattr(batch, "get") else None
    else:
        labels = [_list(row["labels"]) for row in examples if "labels" in row]
    if not labels:
        return None
    return sum(bool(set(ends) & {x for x in row if x != IGNORED}) for row in labels) / len(labels)


def _lists(found: Any) -> list[list[int]] | None:
    plain = found.tolist() if hasattr(found, "tolist") else found
    return [_list(row) for row in plain] if isinstance(plain, list) and plain else None


def _list(found: Any) -> list[int]:
    plain = found.tolist() if hasattr(found, "tolist") else found
    return [int(x) for x in plain] if isinstance(plain, Iterable) and not isinstance(plain, str) else []
