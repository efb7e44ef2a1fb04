"""Where preflight stops reading, counting and showing: at the limit and one beyond it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rldk.errors import MalformedInput
from rldk.preflight import judge
from rldk.preflight.check import view_of_source
from rldk.preflight.config_source import ConfigSource, read_config, source_of
from rldk.preflight.plan import load_of, per_step, plan
from rldk.preflight.rows import RowSet, data_facts, form_of
from rldk.preflight.shell import read_shell
from rldk.preflight.tokens import prompt_lengths, tokenizer_facts


def view(framework: str | None = None, algorithm: str | None = None, **values: Any) -> Any:
    return view_of_source(ConfigSource(path="x", framework=framework, algorithm=algorithm, values=values))


def test_a_configuration_of_one_mebibyte_is_read(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    path.write_text('{"a": 1}' + " " * ((1 << 20) - 8))
    assert read_config(path).values == {"a": 1}
    path.write_text(path.read_text() + " ")
    with pytest.raises(MalformedInput, match="larger than 1 MiB"):
        read_config(path)


def test_eight_unknown_settings_are_named() -> None:
    for count, end in [(8, "k7"), (9, "k7 and 1 more"), (11, "k7 and 3 more")]:
        line = " ".join(f"k{i}=$(x)" for i in range(count))
        assert read_shell(f"python train.py {line}\n").notes[0].endswith(end), count


def test_a_command_of_five_thousand_words_is_read_so_far() -> None:
    found = read_shell("run " + "w " * 4998 + "a=1 b=2\n")
    assert found.values == {"a": 1}
    many = read_shell("run a=1 " + " ".join(f"w{i}" for i in range(60)) + "\n")
    assert len(many.command) == 40


def test_lines_under_a_condition_are_not_read() -> None:
    text = "if x; then\nif y; then\nA=1\nfi\nB=2\nfi\nC=3\ndone\nD=4\nf() {\nE=5\n}\nF=6\n"
    text += "python t.py a=$A b=$B c=$C d=$D e=$E f=$F\n"
    found = read_shell(text)
    assert found.values == {"c": 3, "d": 4, "f": 6}
    assert found.notes[1].endswith("A, B, E")


def test_words_of_assignments() -> None:
    text = 'A=1\nA+=2\nL=(x=1)\nL+=(y=2)\nB=\'one two\'\nCUDA=0 python t.py a=$A b="$B" "${L[@]}" z=$((2 * (3 - 5)))\n'
    assert read_shell(text).values == {"a": 12, "b": "one two", "x": 1, "y": 2, "z": -4}
    assert read_shell("X=$((1/0))\npython t.py a=$X b=$((7 / 2)) c=$((-3))\n").values == {"b": 3, "c": -3}
    sums = "+".join("1" * 1 for _ in range(50))
    assert len(sums) == 99
    assert read_shell(f"python t.py a=$(({sums}0)) b=$(({sums}+1))\n").values == {"a": 59}


def test_twenty_thousand_rows_are_looked_at_and_all_are_counted() -> None:
    rows = [{"prompt": "x"}] * 20_001
    found = RowSet(rows)
    assert (len(found.rows), found.size) == (20_000, 20_001)
    assert RowSet(iter(rows)).size == 20_000


def test_the_form_of_a_hundred_prompts_counts() -> None:
    messages = [{"role": "user", "content": "x"}]
    assert form_of(["x"] * 100 + [messages]) == "text"
    assert form_of(["x"] * 99 + [messages]) == ""
    assert form_of([messages, [{"role": "system", "content": "s"}, *messages]]) == ""
    assert form_of([[{"role": "system", "content": "s"}]]) == "messages with a system prompt"


def test_examples_have_eighty_characters_and_prompts_are_over_a_limit_beyond_it() -> None:
    long = "x" * 81
    rows = RowSet([{"prompt": long, "answer": a} for a in ("1", "2")] + [{"prompt": " ", "answer": ""}])
    facts = data_facts(rows, lengths=[4, 5, 6], limit=5, others=RowSet([{"prompt": long}]))
    assert (facts.examples["split"], facts.examples["overlap"]) == ("x" * 80, "x" * 80)
    assert (facts.over_limit, facts.longest, facts.seen, facts.repeated, facts.split) == (1, 6, 3, 1, 1)
    assert (facts.no_prompt, facts.no_answer, facts.overlap, facts.eval_rows) == (1, 1, 1, 1)
    bare = data_facts(RowSet([{"other": 1}]))
    assert (bare.no_prompt, bare.no_answer, bare.repeated, bare.split) == (None, None, None, None)
    assert (bare.over_limit, bare.overlap, bare.eval_rows, bare.longest, bare.seen) == (None, None, None, None, 1)


class Words:
    """A tokenizer of words: 1 begins a text with special tokens, 2 ends a turn."""

    chat_template = "x"
    bos_token_id, eos_token_id, pad_token_id = 1, 2, True

    def __init__(self) -> None:
        self.rendered = 0

    def __len__(self) -> int:
        return 50

    def __call__(self, text: str, *, add_special_tokens: bool) -> dict[str, Any]:
        ids = [2 if word == "</s>" else 1 if word == "<s>" else 9 for word in text.split()]
        return {"input_ids": [1, *ids] if add_special_tokens else ids}

    def apply_chat_template(self, messages: Any, *, tokenize: bool, add_generation_prompt: bool) -> str:
        self.rendered += 1
        text = " ".join(f"{m['role']} {m['content']} </s>" for m in messages)
        return f"{text} assistant" if add_generation_prompt else text


def test_twenty_prompts_are_tried_and_two_thousand_measured() -> None:
    for count, tried in [(20, 20), (21, 20)]:
        assert tokenizer_facts(Words(), RowSet([{"prompt": "<s> x"}] * count)).tried == tried
    for count, measured in [(2000, 2000), (2001, 2000)]:
        assert len(prompt_lengths(Words(), RowSet([{"prompt": "x y"}] * count))) == measured
    assert prompt_lengths(Words(), RowSet([{"prompt": "x y"}])) == [3]
    assert prompt_lengths(Words(), RowSet([{"prompt": [{"role": "user", "content": "x"}]}])) == [4]
    assert prompt_lengths(Words(), RowSet([{"prompt": "x"}, {"prompt": 7}])) == []


def test_what_a_tokenizer_does() -> None:
    texts = tokenizer_facts(Words(), RowSet([{"prompt": "<s> x"}, {"prompt": "x"}]))
    assert (texts.size, texts.bos, texts.eos, texts.pad, texts.ends, texts.template) == (50, 1, 2, None, (2,), True)
    assert (texts.doubled, texts.tried, texts.conversational, texts.labels_end) == (1, 2, False, None)
    chat = tokenizer_facts(Words(), RowSet([{"prompt": [{"role": "user", "content": "x"}]}]))
    assert (chat.conversational, chat.prompt_added, chat.answer_extends_prompt, chat.turn_ends) == (True,) * 4
    assert (chat.doubled, chat.tried) == (None, 0)
    labels = [{"prompt": "x", "labels": ids} for ids in ([9, 2], [9, -100], [-100, 2], [9])]
    assert tokenizer_facts(Words(), RowSet(labels)).labels_end == 0.5


def test_a_template_that_does_not_open_the_answer() -> None:
    class Closed(Words):
        def apply_chat_template(self, messages: Any, *, tokenize: bool, add_generation_prompt: bool) -> str:
            text = super().apply_chat_template(messages, tokenize=tokenize, add_generation_prompt=False)
            return text + " <think>" + "y" * 90 if add_generation_prompt else text

    facts = tokenizer_facts(Closed(), RowSet([{"prompt": [{"role": "user", "content": "x"}]}]))
    assert (facts.prompt_added, facts.answer_extends_prompt) == (True, False)
    assert facts.detail == {"prompt": "<think>" + "y" * 53, "conversation": "assistant The answer is 42. </s>"}


def test_the_batch_of_a_step_by_hand() -> None:
    each = {"per_device_train_batch_size": 6, "gradient_accumulation_steps": 4, "num_processes": 2}
    for more, algorithm, expected in [
        ({}, "grpo", (6, 48)),
        ({"num_generations": 16}, "grpo", (3, 48)),
        ({"num_generations": 7}, "grpo", (None, 48)),
        ({}, "dpo", (48, None)),
    ]:
        assert per_step(view("trl", algorithm, **{**each, **more})) == expected, more
    assert per_step(view("trl", "grpo")) == (None, None)
    assert per_step(view("trl", "dpo", per_device_train_batch_size=6)) == (6, None)
    made = plan(view("trl", "dpo", **each, num_train_epochs=3), 480)
    assert made == {"processes": 2, "prompts_per_step": 48, "steps": 30, "epochs": 3.0}
    assert plan(view("trl", "dpo", **each, max_steps=5), 47)["epochs"] == 5.0
    assert "steps" not in plan(view("trl", "dpo", **each, num_train_epochs=True), 480)


def test_the_load_of_a_step_where_little_is_stated() -> None:
    load = load_of(view("trl", "grpo"))
    assert (load.batch, load.length, load.optimizer, load.compute_bytes, load.generated) == (8, 1024, "adamw", 4, 8)
    assert (load.reference, load.checkpointing) == (False, False)
    load = load_of(view("trl", "grpo", max_completion_length=100, bf16=True, use_vllm=True, beta=0.1))
    assert (load.length, load.compute_bytes, load.generated, load.reference) == (612, 2, 0, True)
    assert load_of(view("trl", "dpo", per_device_train_batch_size=3)).generated == 0
    assert load_of(view("verl", "grpo")).compute_bytes == 2


def test_of_how_many_processes_a_batch_must_be() -> None:
    for values, expected in [
        ({"per_device_train_batch_size": 4, "num_generations": 8}, 2),
        ({"per_device_train_batch_size": 8, "num_generations": 8}, 1),
        ({"per_device_train_batch_size": 1, "num_generations": 8}, 8),
        ({"per_device_train_batch_size": 4, "num_generations": 8, "gradient_accumulation_steps": 2}, 1),
        ({"per_device_train_batch_size": 2, "num_generations": 8, "steps_per_generation": 2}, 2),
        ({"num_generations": 8}, 1),
    ]:
        found = view("trl", "grpo", **values)
        assert judge._processes_needed(found) == expected, values
        tried = judge.Tried(source=source_of(values, "x", framework="trl", algorithm="grpo"), plan={"processes": None})
        said = [note.text for note in judge._notes(tried, found) if note.topic == "processes"]
        assert [f"a multiple of {expected}" in text for text in said] == [expected > 1], values
    assert judge._processes_needed(view("trl", "dpo", per_device_train_batch_size=4, num_generations=8)) == 1


def test_a_manifest_holds_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text(json.dumps({"config": {"--learning-rate": 1}, "a": 2}))
    assert read_config(tmp_path / "c.json").values == {"learning_rate": 1}
