"""Fingerprints of tokenizers in memory and as transformers saves them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rldk.core.manifest import TokenizerRecord
from rldk.provenance.fingerprints.tokenizer import fingerprint_tokenizer
from rldk.provenance.inputs.weights import tokenizer_outcome

pytestmark = [pytest.mark.integration, pytest.mark.filterwarnings("ignore")]
transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")


@pytest.fixture
def trained() -> Any:
    """A small byte-level BPE tokenizer with special tokens and a template."""
    raw = tokenizers.Tokenizer(tokenizers.models.BPE(unk_token=None))
    raw.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<pad>", "</s>"],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
    )
    raw.train_from_iterator(["Hello, world! def f(x): return x # code"] * 3, trainer)
    made = transformers.PreTrainedTokenizerFast(tokenizer_object=raw, pad_token="<pad>", eos_token="</s>")
    made.chat_template = "{% for m in messages %}{{ m.content }}{% endfor %}"
    return made


def test_what_was_saved_has_the_digest_of_what_was_in_memory(trained: Any, tmp_path: Path) -> None:
    before = fingerprint_tokenizer(trained)
    trained.save_pretrained(tmp_path)
    assert fingerprint_tokenizer(tmp_path).digest == before.digest
    again = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert fingerprint_tokenizer(again).digest == before.digest
    assert tokenizer_outcome("t", before, tmp_path).status == "passed"


def test_a_batch_that_pads_and_truncates_changes_nothing_and_is_not_changed(trained: Any) -> None:
    before = fingerprint_tokenizer(trained)
    trained(["Hello code", "x"], padding="max_length", truncation=True, max_length=4)
    setting = trained.backend_tokenizer.truncation
    assert fingerprint_tokenizer(trained) == before
    assert trained.backend_tokenizer.truncation == setting


def test_a_token_that_is_added_and_a_template_change_their_parts(trained: Any) -> None:
    before = fingerprint_tokenizer(trained)
    trained.add_tokens(["Hello world"])
    after = fingerprint_tokenizer(trained)
    assert _differing(before, after) == {"added_tokens"}
    trained.chat_template += " "
    assert _differing(after, fingerprint_tokenizer(trained)) == {"chat_template"}
    trained.add_special_tokens({"bos_token": "</s>"})
    assert "special_tokens" in _differing(after, fingerprint_tokenizer(trained))


def test_probes_see_what_a_changed_merge_does(trained: Any, tmp_path: Path) -> None:
    trained.save_pretrained(tmp_path)
    before = fingerprint_tokenizer(tmp_path)
    said = json.loads((tmp_path / "tokenizer.json").read_text())
    said["model"]["merges"] = said["model"]["merges"][5:]
    (tmp_path / "tokenizer.json").write_text(json.dumps(said))
    assert _differing(before, fingerprint_tokenizer(tmp_path)) == {"merges", "probes"}
    assert tokenizer_outcome("t", before, tmp_path).status == "failed"


def _differing(one: TokenizerRecord, other: TokenizerRecord) -> set[str]:
    names = one.parts.keys() | other.parts.keys()
    return {name for name in names if one.parts.get(name) != other.parts.get(name)}
