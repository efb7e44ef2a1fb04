"""Loads a sequence classifier from a local directory. Nothing is downloaded, and no code of the directory is run."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rldk.core.extras import need
from rldk.errors import MalformedInput

HINT = "the directory needs config, weights and tokenizer of a sequence classifier"
# one of these is written by `save_pretrained` of each tokenizer of transformers
TOKENIZERS = ("tokenizer.json", "tokenizer_config.json", "tokenizer.model", "vocab.txt", "vocab.json", "spiece.model",
              "sentencepiece.bpe.model", "special_tokens_map.json")  # fmt: skip


def load_classifier(path: Path) -> tuple[Any, Any, Any]:
    """The network in evaluation mode, its tokenizer, and torch.

    Raises `MissingExtra`, and `MalformedInput` for a directory without such a model: also where weights are missing
    that transformers would draw at random, as the head of a language model, and where there is no tokenizer."""
    with need("torch", "torch"):
        import torch
    with need("trl", "transformers"):
        from safetensors import SafetensorError
        from transformers import AutoModelForSequenceClassification, AutoTokenizer
    if not any((path / name).is_file() for name in TOKENIZERS):
        raise MalformedInput(f"{path} holds no sequence classifier: it has no tokenizer", hint=HINT)
    local: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        with _without_reports():
            tokenizer = AutoTokenizer.from_pretrained(str(path), **local)
            network, told = AutoModelForSequenceClassification.from_pretrained(
                str(path), output_loading_info=True, **local
            )
    except (OSError, ValueError, KeyError, RuntimeError, TypeError, ImportError, SafetensorError) as error:
        why = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise MalformedInput(f"{path} holds no sequence classifier: {why}", hint=HINT) from None
    lacking = sorted(told["missing_keys"])
    if lacking:
        more = f" and {len(lacking) - 3} more" if len(lacking) > 3 else ""
        words = f"its file of weights lacks {', '.join(lacking[:3])}{more}, which would be random"
        raise MalformedInput(f"{path} holds no sequence classifier: {words}", hint="is it a language model?")
    return network.eval(), tokenizer, torch


def check_tokens(path: Path, network: Any, tokens: Iterable[int]) -> None:
    """Raises `MalformedInput` where a token is outside the vocabulary of the network."""
    size = network.get_input_embeddings().num_embeddings
    worst = max(tokens, default=0)
    if worst >= size:
        words = f"its tokenizer gives the token {worst:,}, and the model knows {size:,}"
        raise MalformedInput(f"{path} cannot score this text: {words}", hint="is it the tokenizer of this model?")


@contextmanager
def _without_reports() -> Iterator[None]:
    """Keeps transformers from printing what this module says in an error."""
    logger = logging.getLogger("transformers")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
