"""GRPO and DPO on a tiny random model, watched by `RLDKCallback`.

    python examples/trl_integration/watched_grpo_and_dpo.py

Nothing is downloaded: model and tokenizer are made in code. Needs trl."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from datasets import Dataset
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast
from trl import DPOConfig, DPOTrainer, GRPOConfig, GRPOTrainer

from rldk.integrations.trl import RLDKCallback

LETTERS = "abcdefghijklmnopqrstuvwxyz "


def tiny_model(folder: Path) -> Path:
    """A directory with a random model and a tokenizer of letters."""
    words = {token: i for i, token in enumerate(["<pad>", "<eos>", "<unk>", *LETTERS])}
    letters = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    letters.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=letters, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>", padding_side="left"
    )
    config = GPT2Config(vocab_size=len(words), n_positions=64, n_embd=32, n_layer=2, n_head=2, eos_token_id=1)
    config.pad_token_id, config.bos_token_id = 0, 1
    GPT2LMHeadModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def pays_for_a(completions: list[str], **_: object) -> list[float]:
    return [text.count("a") - 0.05 * len(text) for text in completions]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("artifacts/trl"), help="Folder of the files.")
    parser.add_argument("--steps", type=int, default=10)
    chosen = parser.parse_args()
    folder = tiny_model(Path(tempfile.mkdtemp()))
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    common = {"max_steps": chosen.steps, "per_device_train_batch_size": 8, "logging_steps": 1, "learning_rate": 1e-3}
    common |= {"report_to": "none", "use_cpu": True, "bf16": False, "save_strategy": "no"}
    GRPOTrainer(
        model=AutoModelForCausalLM.from_pretrained(folder),
        reward_funcs=pays_for_a,
        args=GRPOConfig(
            output_dir=str(chosen.out / "grpo"), num_generations=4, max_completion_length=16, beta=0.04, **common
        ),
        train_dataset=Dataset.from_dict({"prompt": ["abc", "def", "ghi", "xyz"] * 16}),
        processing_class=tokenizer,
        callbacks=[RLDKCallback(chosen.out / "rldk", run_id="grpo", samples=4)],
    ).train()
    DPOTrainer(
        model=AutoModelForCausalLM.from_pretrained(folder),
        args=DPOConfig(output_dir=str(chosen.out / "dpo"), max_length=32, **common),
        train_dataset=Dataset.from_dict({"prompt": ["abc"] * 64, "chosen": ["aba"] * 64, "rejected": ["zyz"] * 64}),
        processing_class=tokenizer,
        callbacks=[RLDKCallback(chosen.out / "rldk", run_id="dpo", stop_on="critical", stop_with_checkpoint=True)],
    ).train()
    print(f"the files are in {chosen.out / 'rldk'}")


if __name__ == "__main__":
    main()
