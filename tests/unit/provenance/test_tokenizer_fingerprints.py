"""The fingerprint of a tokenizer: fixed values, and one change in one part that changes exactly that part."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from examples import each_of

from rldk.errors import InputError, MalformedInput, NotALog, UnreadableSource
from rldk.provenance.fingerprints.tokenizer import fingerprint_tokenizer

TINY: dict[str, Any] = {
    "version": "1.0",
    "truncation": None,
    "padding": None,
    "added_tokens": [
        {"id": 0, "content": "<unk>", "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
         "special": True},
        {"id": 1, "content": "</s>", "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
         "special": True},
    ],
    "normalizer": {"type": "Lowercase"},
    "pre_tokenizer": {"type": "Whitespace"},
    "post_processor": None,
    "decoder": None,
    "model": {
        "type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None,
        "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
        "vocab": {"<unk>": 0, "</s>": 1, "h": 2, "e": 3, "l": 4, "o": 5, "he": 6, "ll": 7},
        "merges": [["h", "e"], ["l", "l"]],
    },
}  # fmt: skip
SETTINGS: dict[str, Any] = {
    "tokenizer_class": "PreTrainedTokenizerFast",
    "unk_token": "<unk>",
    "eos_token": {"__type": "AddedToken", "content": "</s>"},
    "chat_template": "{% for m in messages %}{{ m.content }}{% endfor %}",
}
GOLDEN = {
    "digest": "sha256:dcc155aead6765faa021101ab87f0e14f5e15cebdd56d25c9c6252c8e007e601",
    "vocabulary": "sha256:e24bd46a9fca6207d8cfe9e81ec430e4b42008775d53af310877e7964b88e237",
    "merges": "sha256:28a2b2a26bd6732f80be246bf9df3fb1e1811282e95f430cf7f53f9ceb4d5f94",
    "added_tokens": "sha256:a555e5ed1dcc0f50852ce28d99f08288b1eeca00287ba403dd2d49397c8044dc",
    "special_tokens": "sha256:b6da2bcdd014241449f718f372c2942351d8ac3faa74d1514bbd24bac75762f2",
    "chat_template": "sha256:31d6234dab4a96926bb3219b25139874d815005df5088b78697ac0af994f423a",
    "pipeline": "sha256:495d9ad8d26c98c694f8da2bdb3849362c64361ffe76adec20fb8706aada6234",
}


def save(folder: Path, tokenizer: dict[str, Any] = TINY, settings: dict[str, Any] = SETTINGS) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


def known_parts(folder: Path) -> dict[str, str]:
    """The parts without the probes, which only a machine with the package can say."""
    return {k: v for k, v in fingerprint_tokenizer(folder).parts.items() if k != "probes"}


def test_golden_tokenizer_digests_are_those_of_every_version(tmp_path: Path) -> None:
    found = fingerprint_tokenizer(save(tmp_path / "tok"))
    assert {"digest": found.digest, **known_parts(tmp_path / "tok")} == GOLDEN
    assert found.metadata == {"class": "PreTrainedTokenizerFast", "tokens": 8}


def _merge(tokenizer: dict[str, Any], settings: dict[str, Any]) -> None:
    tokenizer["model"]["merges"].pop()


def _merges_turned(tokenizer: dict[str, Any], settings: dict[str, Any]) -> None:
    tokenizer["model"]["merges"].reverse()


def _number(tokenizer: dict[str, Any], settings: dict[str, Any]) -> None:
    tokenizer["model"]["vocab"]["o"] = 9


def _added(tokenizer: dict[str, Any], settings: dict[str, Any]) -> None:
    tokenizer["added_tokens"][1]["lstrip"] = True


def _special(tokenizer: dict[str, Any], settings: dict[str, Any]) -> None:
    settings["pad_token"] = "</s>"


def _template(tokenizer: dict[str, Any], settings: dict[str, Any]) -> None:
    settings["chat_template"] += " "


def _normalizer(tokenizer: dict[str, Any], settings: dict[str, Any]) -> None:
    tokenizer["normalizer"] = None


def _dropout(tokenizer: dict[str, Any], settings: dict[str, Any]) -> None:
    tokenizer["model"]["dropout"] = 0.1


@each_of(
    ("change", "part"),
    [
        (_merge, "merges"),
        (_merges_turned, "merges"),
        (_number, "vocabulary"),
        (_added, "added_tokens"),
        (_special, "special_tokens"),
        (_template, "chat_template"),
        (_normalizer, "pipeline"),
        (_dropout, "pipeline"),
    ],
)
def test_one_change_changes_exactly_its_part(
    tmp_path: Path, change: Callable[[dict[str, Any], dict[str, Any]], None], part: str
) -> None:
    before = save(tmp_path / "before")
    tokenizer, settings = copy.deepcopy(TINY), copy.deepcopy(SETTINGS)
    change(tokenizer, settings)
    after = save(tmp_path / "after", tokenizer, settings)
    old, new = known_parts(before), known_parts(after)
    assert [name for name in old if old[name] != new[name]] == [part]
    assert fingerprint_tokenizer(before).digest != fingerprint_tokenizer(after).digest


def test_the_same_tokenizer_written_differently_has_the_same_digest(tmp_path: Path) -> None:
    """Order of keys, spaces, the older form of merges, and what a batch has set."""
    other = copy.deepcopy(TINY)
    other["model"]["vocab"] = dict(reversed(TINY["model"]["vocab"].items()))
    other["model"]["merges"] = ["h e", "l l"]
    other["truncation"] = {"max_length": 5, "strategy": "LongestFirst", "direction": "Right", "stride": 0}
    other["added_tokens"] = list(reversed(TINY["added_tokens"]))
    one, two = save(tmp_path / "one"), save(tmp_path / "two", other)
    (two / "tokenizer.json").write_text(json.dumps(other, indent=4))
    assert known_parts(one) == known_parts(two)


def test_a_template_in_a_file_of_its_own_counts_like_one_in_the_settings(tmp_path: Path) -> None:
    inside = save(tmp_path / "inside")
    beside = save(tmp_path / "beside", settings={k: v for k, v in SETTINGS.items() if k != "chat_template"})
    (beside / "chat_template.jinja").write_text(SETTINGS["chat_template"])
    assert fingerprint_tokenizer(inside).digest == fingerprint_tokenizer(beside).digest


class Slow:
    """A tokenizer in Python, as transformers has them, without a pipeline that could be read."""

    def __init__(self, shift: int = 0) -> None:
        self.shift = shift
        self.pad_token = "<pad>"
        self.chat_template = None
        self.added_tokens_decoder: dict[int, str] = {3: "<pad>"}

    def get_vocab(self) -> dict[str, int]:
        return {"a": 0, "b": 1, "c": 2}

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
        return [(ord(c) + self.shift) % 3 for c in text]


def test_a_slow_tokenizer_that_encodes_differently_has_another_digest() -> None:
    one, same, other = map(fingerprint_tokenizer, (Slow(), Slow(), Slow(shift=1)))
    assert one == same
    assert {n for n in one.parts if one.parts[n] != other.parts[n]} == {"probes"}
    assert one.digest != other.digest


@each_of(
    ("content", "error"),
    [("{", NotALog), ("[]", NotALog), ('{"model": 3}', NotALog), ('{"model": {"vocab": {"a": "b"}}}', NotALog)],
)
def test_what_is_no_tokenizer_is_refused(tmp_path: Path, content: str, error: type[InputError]) -> None:
    (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(error):
        fingerprint_tokenizer(tmp_path)


def test_objects_and_places_without_a_tokenizer_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MalformedInput, match="is no tokenizer"):
        fingerprint_tokenizer(object())
    with pytest.raises(UnreadableSource):
        fingerprint_tokenizer(tmp_path)
