"""A sequence classifier of transformers in a local directory as a reward model."""

from __future__ import annotations

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
