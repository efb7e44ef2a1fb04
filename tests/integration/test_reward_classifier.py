"""A sequence classifier of transformers in a local directory as a reward model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration
torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")

from made_rewards import answers  # noqa: E402 - after the packages that may be missing

from rldk.errors import MalformedInput  # noqa: E402 - as above
from rldk.reward import compare_models  # noqa: E402 - as above
from rldk.reward.scorers.items import items_of  # noqa: E402 - as above
from rldk.reward.scorers.opened import scores_of  # noqa: E402 - as above
from rldk.reward.scorers.options import ScorerOptions  # noqa: E402 - as above

COLUMNS = answers(prompts=15)
PROMPTS, TEXTS = COLUMNS["prompt"], COLUMNS["response"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("classifier")
    words = sorted({word for text in [*PROMPTS, *TEXTS] for word in text.split()})
    vocabulary = {word: i for i, word in enumerate(["[PAD]", "[UNK]", *words])}
    plain = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="[UNK]"))
    plain.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=plain, pad_token="[PAD]", unk_token="[UNK]")
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(vocabulary), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=128, num_labels=1, pad_token_id=0,
    )  # fmt: skip
    transformers.BertForSequenceClassification(config).save_pretrained(folder)
    return folder


def test_scores_do_not_depend_on_the_batch_and_cut_inputs_are_counted(model: Path) -> None:
    items = items_of(PROMPTS, TEXTS)
    done: list[int] = []
    one, many = (scores_of(str(model), items, ScorerOptions(batch=size, device="cpu"), done.append) for size in (1, 16))
    assert one.scores == pytest.approx(many.scores, abs=1e-5)
    assert sum(done) == 2 * len(items)
    cut = scores_of(str(model), items, ScorerOptions(max_tokens=10, device="cpu"), done.append)
    assert "inputs were cut at 10 tokens" in cut.notes[0]


def test_a_model_agrees_with_itself_and_a_folder_without_one_says_so(model: Path, tmp_path: Path) -> None:
    report = compare_models(str(model), str(model), PROMPTS, TEXTS)
    assert report.passed
    assert report.model_a.endswith("(a)")
    with pytest.raises(MalformedInput, match="holds no sequence classifier"):
        compare_models(str(tmp_path), str(model), PROMPTS, TEXTS)


def test_what_would_be_scored_at_random_is_an_error(model: Path, tmp_path: Path) -> None:
    """A language model has no score head: transformers would draw one, and only print so."""
    config = transformers.AutoConfig.from_pretrained(model)
    language = tmp_path / "language"
    shutil.copytree(model, language)
    transformers.BertForMaskedLM(config).save_pretrained(language)
    with pytest.raises(MalformedInput, match=r"lacks .*classifier.*, which would be random"):
        compare_models(str(language), str(model), PROMPTS, TEXTS)
    bare = tmp_path / "bare"
    transformers.BertForSequenceClassification(config).save_pretrained(bare)
    with pytest.raises(MalformedInput, match="it has no tokenizer"):
        compare_models(str(bare), str(model), PROMPTS, TEXTS)


def test_files_that_do_not_fit_each_other_are_one_clear_error(model: Path, tmp_path: Path) -> None:
    torn, other, shape, many = (tmp_path / name for name in ("torn", "other", "shape", "many"))
    for folder in (torn, other, shape, many):
        shutil.copytree(model, folder)
    (torn / "model.safetensors").write_bytes((model / "model.safetensors").read_bytes()[:900])
    vocabulary = json.loads((other / "tokenizer.json").read_text())
    vocabulary["model"]["vocab"] = {word: 9 * i for word, i in vocabulary["model"]["vocab"].items()}
    (other / "tokenizer.json").write_text(json.dumps(vocabulary))
    config = json.loads((shape / "config.json").read_text())
    (shape / "config.json").write_text(json.dumps({**config, "hidden_size": 32}))
    labelled = transformers.AutoConfig.from_pretrained(model, num_labels=5)
    transformers.BertForSequenceClassification(labelled).save_pretrained(many)
    wrong = {torn: "no sequence classifier", other: "is it the tokenizer", shape: "no sequence classifier",
             many: "has 5 outputs"}  # fmt: skip
    for folder, words in wrong.items():
        with pytest.raises(MalformedInput) as caught:
            compare_models(str(folder), str(model), PROMPTS, TEXTS)
        assert words in f"{caught.value} {caught.value.hint}", folder


def test_of_two_outputs_the_report_says_which_one_counts(model: Path, tmp_path: Path) -> None:
    two = tmp_path / "two"
    shutil.copytree(model, two)
    names = {"id2label": {0: "bad", 1: "good"}, "label2id": {"bad": 0, "good": 1}}
    config = transformers.AutoConfig.from_pretrained(model, num_labels=2, **names)
    transformers.BertForSequenceClassification(config).save_pretrained(two)
    notes = scores_of(str(two), items_of(PROMPTS, TEXTS), ScorerOptions(device="cpu"), lambda _: None).notes
    assert any("the score is 'good' minus 'bad'" in note for note in notes)
