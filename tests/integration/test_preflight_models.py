"""Preflight on real tokenizers, tiny models and trainings of transformers and TRL. Everything is built here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.filterwarnings("ignore")]
torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")

TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<{{ m['role'] }}> {{ m['content'] }}"
    "{% if m['role'] == 'assistant' %}{{ eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
WORDS = ["<pad>", "<s>", "</s>", "<unk>", "<user>", "<assistant>", *map(str, range(60)), "The", "answer", "is", "."]


def tokenizer(**special: Any) -> Any:
    """A tokenizer of words with a chat template."""
    inner = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({word: place for place, word in enumerate(WORDS)}, unk_token="<unk>")
    )
    inner.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    names = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", **special}
    made = transformers.PreTrainedTokenizerFast(tokenizer_object=inner, **names)
    made.chat_template = TEMPLATE
    return made


def model(kind: str = "llama", **change: Any) -> Any:
    """A random model of two layers."""
    torch.manual_seed(0)
    sizes = {"vocab_size": len(WORDS), "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    if kind == "gpt2":
        config = transformers.GPT2Config(
            **{**sizes, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64, **change}
        )
    else:
        shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
        config = transformers.LlamaConfig(**{**sizes, **shape, **change})
    return transformers.AutoModelForCausalLM.from_config(config)


ROWS = [{"prompt": [{"role": "user", "content": f"{i} {i + 1}"}], "answer": str(i)} for i in range(16)]


def _codes(**given: Any) -> dict[str, str]:
    from rldk.preflight import preflight

    return {f.code: f.message for f in preflight(packages={"none": "1"}, **given).findings}


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_a_sound_setup_raises_nothing_and_is_left_as_it_was(kind: str) -> None:
    whole = model(kind)
    whole.train()
    before = [p.detach().clone() for p in whole.parameters()]
    assert _codes(tokenizer=tokenizer(), model=whole, dataset=ROWS, config={"num_generations": 4}) == {}
    assert whole.training
    assert all(bool((a == b).all()) for a, b in zip(before, whole.parameters(), strict=True))


def test_faults_of_a_model_are_named() -> None:
    frozen = model()
    frozen.requires_grad_(False)
    assert set(_codes(model=frozen)) == {"OPT030"}
    assert set(_codes(model=model().to(torch.float16))) >= {"OPT031"}
    apart = model(tie_word_embeddings=True)
    apart.lm_head.weight = torch.nn.Parameter(apart.lm_head.weight.detach().clone())
    assert "OPT032" in _codes(model=apart)
    bigger = tokenizer()
    bigger.add_tokens(["one", "more"])
    assert "DATA036" in _codes(tokenizer=bigger, model=model())


def test_a_model_that_does_not_use_its_mask() -> None:
    whole = model()
    forward = whole.forward

    def deaf(input_ids: Any = None, attention_mask: Any = None, **more: Any) -> Any:
        return forward(input_ids=input_ids, **more)

    whole.forward = deaf
    with torch.no_grad():
        for p in whole.parameters():
            p.mul_(4)
    assert "padded on the left" in _codes(model=whole)["DATA003"]


def test_a_collator_that_masks_the_end_token() -> None:
    from transformers import DataCollatorForLanguageModeling

    shared = tokenizer(pad_token="</s>")
    rows = [{"input_ids": [*shared("1 2 3")["input_ids"], 2]} for _ in range(4)]
    collator = DataCollatorForLanguageModeling(shared, mlm=False)
    found = _codes(tokenizer=shared, dataset=rows, data_collator=collator)
    assert found["DATA001"].startswith("the labels of 100% of the examples do not hold the end token")
    own = tokenizer()
    assert "DATA001" not in _codes(
        tokenizer=own, dataset=rows, data_collator=DataCollatorForLanguageModeling(own, mlm=False)
    )


@pytest.mark.parametrize(("batch", "length"), [(2, 32), (4, 60)])
@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_the_estimate_of_activations_is_near_what_is_held(kind: str, batch: int, length: int) -> None:
    """Weights, gradients and optimizer are counted exactly; activations and logits within a factor of two."""
    from rldk.preflight.memory import GIB, Load, estimate, shape_of

    whole, held = model(kind), {}
    own = {p.untyped_storage().data_ptr() for p in whole.parameters()}

    def pack(tensor: Any) -> Any:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            held[storage.data_ptr()] = storage.nbytes()
        return tensor

    ids = torch.randint(0, 50, (batch, length))
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        whole(input_ids=ids, labels=ids)
    parts = estimate(shape_of(whole), Load(batch=batch, length=length, compute_bytes=4))
    guess = (parts["activations"] + parts["logits"]) * GIB
    assert 0.5 < guess / sum(held.values()) < 2.0
    parameters = sum(p.numel() for p in whole.parameters())
    assert parts["optimizer"] * GIB == 8 * parameters
    assert parts["weights"] == parts["gradients"] == parameters * 4 / GIB


SCRIPT = """
import sys
sys.path.insert(0, {folder!r})
import torch
from test_preflight_models import model, tokenizer, ROWS
from datasets import Dataset
from trl import {trainer}Config, {trainer}Trainer
fault = {fault!r}
whole = model()
def reward(completions, **kw):
    return [0.0 if fault == "constant" else float(i % 3) for i in range(len(completions))]
args = {trainer}Config(output_dir={out!r}, per_device_train_batch_size=4, max_steps=20, learning_rate=1e-3,
    report_to="none", use_cpu=True, bf16=False, save_steps=1, **{more!r})
if {trainer!r} == "GRPO":
    given = {{"reward_funcs": reward, "train_dataset": Dataset.from_list(ROWS)}}
else:
    pairs = [{{"prompt": "1 2", "chosen": " 3", "rejected": " 4"}}] * 8
    given = {{"train_dataset": Dataset.from_list(pairs), "ref_model": model()}}
{trainer}Trainer(model=whole, processing_class=tokenizer(), args=args, **given).train()
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("trainer", "fault", "codes"),
    [
        ("GRPO", "", set()),
        ("DPO", "", set()),
        ("GRPO", "constant", {"GRAD031"}),
    ],
)
def test_a_real_training_is_stopped_after_its_first_step(
    tmp_path: Path, trainer: str, fault: str, codes: set[str]
) -> None:
    pytest.importorskip("trl")
    more = {"num_generations": 4, "max_completion_length": 8, "num_iterations": 2} if trainer == "GRPO" else {}
    out = tmp_path / "out"
    text = SCRIPT.format(folder=str(Path(__file__).parent), trainer=trainer, fault=fault, out=str(out), more=more)
    (tmp_path / "train.py").write_text(text)
    words = [sys.executable, "-m", "rldk", "preflight", "--json", "--", sys.executable, str(tmp_path / "train.py")]
    done = subprocess.run(
        words, check=False, capture_output=True, text=True, timeout=280, env={**os.environ, "HF_HUB_OFFLINE": "1"}
    )
    document = json.loads(done.stdout)
    assert {f["code"] for f in document["findings"]} == codes, done.stderr[-2000:]
    assert document["numbers"]["tensors"] == 21
    assert not list(out.glob("checkpoint-*"))
    if trainer == "GRPO" and not fault:
        assert "CLIP030" in document["checked"]
