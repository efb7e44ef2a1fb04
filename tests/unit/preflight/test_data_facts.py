"""Rows of a data set, and a tokenizer that is only a dictionary of words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from examples import each_of

from rldk.errors import UsageError
from rldk.preflight import preflight

GRPO = {"num_generations": 4, "per_device_train_batch_size": 8, "num_processes": 1, "max_prompt_length": 6}


class Words:
    """A tokenizer of words, with the interface of transformers."""

    bos_token_id, eos_token_id, pad_token_id = 1, 2, 0

    def __init__(self, template: str = "chatml", **ids: int | None) -> None:
        self.chat_template: str | None = template or None
        self._known = {"<pad>": 0, "<s>": 1, "</s>": 2, "<user>": 3, "<assistant>": 4}
        self.__dict__.update(ids)

    def __len__(self) -> int:
        return 1000

    def __call__(self, text: str, add_special_tokens: bool = True) -> dict[str, list[int]]:
        spaced = text.replace("<", " <").replace(">", "> ")
        ids = [self._known.setdefault(word, 10 + len(self._known)) for word in spaced.split()]
        return {"input_ids": [1, *ids] if add_special_tokens else ids}

    def apply_chat_template(self, messages: Sequence[Any], tokenize: bool, add_generation_prompt: bool) -> str:
        end = "" if self.chat_template == "endless" else "</s>"
        text = "<s>" + "".join(
            f"<{m['role']}>{m['content']}{end if m['role'] == 'assistant' else ''}" for m in messages
        )
        if not add_generation_prompt or self.chat_template == "deaf":
            return text
        return text + ("<assistant><think>" if self.chat_template == "thinks" else "<assistant>")


def chat(*texts: str) -> list[dict[str, Any]]:
    return [{"prompt": [{"role": "user", "content": text}], "answer": str(i)} for i, text in enumerate(texts)]


def _codes(**given: Any) -> dict[str, str]:
    return {f.code: f.message for f in preflight(packages={"none": "1"}, **given).findings}


CLEAN = chat(*(f"a b {i}" for i in range(40)))


def test_clean_rows_and_a_sound_tokenizer_raise_nothing() -> None:
    assert _codes(config=GRPO, tokenizer=Words(), dataset=CLEAN, eval_dataset=chat("other x", "other y")) == {}


@each_of(
    ("tokenizer", "code"),
    [
        (Words(""), "DATA030"),
        (Words("deaf"), "DATA031"),
        (Words("thinks"), "DATA032"),
        (Words("endless"), "DATA033"),
        (Words(pad_token_id=None), "DATA035"),
        (Words(pad_token_id=2), "DATA001"),
    ],
    ids=["none", "deaf", "thinks", "endless", "no-pad", "pad-is-end"],
)
def test_a_fault_of_the_tokenizer_is_named(tokenizer: Words, code: str) -> None:
    assert code in _codes(tokenizer=tokenizer, dataset=CLEAN)


def test_prompts_that_were_rendered_before_begin_twice() -> None:
    rows = [{"prompt": f"<s><user>{i}<assistant>"} for i in range(3)]
    assert _codes(tokenizer=Words(), dataset=rows)["DATA034"] == "3 of 3 prompts begin with two BOS tokens (1)"
    assert "DATA034" not in _codes(tokenizer=Words(), dataset=[{"prompt": "plain"}])


def test_labels_without_an_end() -> None:
    rows = [{"text": "a", "input_ids": [5, 6, 2], "labels": [-100, 6, -100]}] * 3
    found = _codes(tokenizer=Words(pad_token_id=2), dataset=rows)
    assert found["DATA001"] == (
        "the labels of 100% of the examples do not hold the end token; padding uses the end token 2, too"
    )
    rows = [{"text": "a", "input_ids": [5, 6, 2], "labels": [-100, 6, 2]}] * 3
    assert "DATA001" not in _codes(tokenizer=Words(pad_token_id=2), dataset=rows)


def test_a_collator_makes_the_labels() -> None:
    def masks_padding(rows: list[dict[str, Any]]) -> dict[str, Any]:
        return {"labels": [[token if token != 2 else -100 for token in row["input_ids"]] for row in rows]}

    rows = [{"text": "a", "input_ids": [5, 6, 2]}] * 3
    found = _codes(tokenizer=Words(pad_token_id=2), dataset=rows, data_collator=masks_padding)
    assert "do not hold the end token" in found["DATA001"]


def test_prompts_beyond_the_limit_at_it_and_within() -> None:
    for words, expected in ((6, False), (7, True)):
        rows = [{"prompt": " ".join("abcdefg"[: words - 1])} for _ in range(10)]  # and a BOS
        assert ("DATA037" in _codes(config=GRPO, tokenizer=Words(), dataset=rows)) is expected, words


def test_empty_prompts_and_answers() -> None:
    rows = chat("a", "b", "c", " ")
    rows[1]["answer"] = ""
    found = _codes(dataset=rows)
    assert found["DATA038"] == "1 of 4 rows (25.0%) have nothing in the column `answer`"
    assert found["DATA039"] == "1 of 4 rows have an empty prompt"


def test_repeated_prompts_and_two_answers_of_one() -> None:
    found = _codes(dataset=[*CLEAN, *chat("a  b 0", "a b 3", "a b 2")])
    assert found["DATA040"].startswith("7.0% of the rows repeat")
    assert found["DATA041"] == "1 prompt comes with different answers in the column `answer`"
    assert "DATA040" not in _codes(dataset=[*CLEAN, *chat("a b 0")])


def test_evaluation_prompts_in_training_and_of_another_form() -> None:
    found = _codes(dataset=CLEAN, eval_dataset=[*chat("a b 3", "new"), {"prompt": "text"}])
    assert found["EVAL002"] == "1 of 3 evaluation prompts (33.3%) are training prompts"
    found = _codes(dataset=CLEAN, eval_dataset=[{"prompt": "text"}])
    assert found["EVAL004"] == "training prompts are messages, evaluation prompts are text"


def test_fewer_rows_than_one_step_takes() -> None:
    config = {**GRPO, "gradient_accumulation_steps": 8}
    assert "16 prompts" in _codes(config=config, dataset=CLEAN[:15])["DATA042"]
    assert "DATA042" not in _codes(config=config, dataset=CLEAN[:16])


def test_nested_answers_and_columns_that_are_asked_for() -> None:
    rows = [{"q": f"x{i}", "reward_model": {"ground_truth": str(i)}} for i in range(3)]
    report = preflight(dataset=rows, prompt_column="q", packages={"none": "1"})
    assert not report.findings
    with pytest.raises(UsageError, match="no column 'gone'"):
        preflight(dataset=rows, prompt_column="gone")


def test_what_is_no_data_set_is_an_error() -> None:
    for wrong, said in (({"train": []}, "is a mapping of train"), ("rows", "has no rows"), ([1], "is no mapping")):
        with pytest.raises(UsageError, match=said):
            preflight(dataset=wrong)


def test_no_rows_at_all() -> None:
    assert preflight(dataset=[], packages={"none": "1"}).findings == ()
