"""A local classifier, made here with random weights: rldk gives the probabilities that transformers gives."""

from __future__ import annotations

from pathlib import Path

import pytest

from rldk.errors import MalformedInput, UsageError
from rldk.evals import classify, run

pytestmark = pytest.mark.integration
WORDS = "[PAD] [UNK] [CLS] [SEP] good bad you are a very kind nasty person".split()
TEXTS = ["you are good", "bad bad person", "a very kind person you are", "nasty", "you"] * 8


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("classifier")
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(WORDS), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        num_labels=2, id2label={0: "neutral", 1: "toxic"}, label2id={"neutral": 0, "toxic": 1},
    )  # fmt: skip
    network = transformers.BertForSequenceClassification(config)
    torch.nn.init.normal_(network.classifier.weight, std=2.0)
    network.save_pretrained(folder)
    transformers.BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    return folder


def test_the_probabilities_are_those_of_transformers(model: Path) -> None:
    from transformers import pipeline

    table = classify([{"prompt_id": i, "response": text} for i, text in enumerate(TEXTS)], model)
    theirs = pipeline("text-classification", model=str(model), top_k=None)(TEXTS)
    expected = [next(x["score"] for x in each if x["label"] == "toxic") for each in theirs]
    assert table.cells["toxicity"] == pytest.approx(expected, abs=1e-5)
    found = run(table, "safety")
    assert found.raw_results["toxicity"].n == len(TEXTS)
    assert "'toxic'" in found.notes[0].text


def test_an_unknown_label_and_an_empty_folder_are_errors(model: Path, tmp_path: Path) -> None:
    rows = [{"response": "you"}]
    with pytest.raises(UsageError, match="neutral, toxic"):
        classify(rows, model, label="hate")
    with pytest.raises(MalformedInput, match="no sequence classifier"):
        classify(rows, tmp_path)
