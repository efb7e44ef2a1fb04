"""What a script left of its first step, whatever it wrote there; and which trainer its settings are of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rldk.preflight import command
from rldk.preflight.recognise import recognise
from rldk.rules.setup import FirstStep


def facts(found: dict[str, Any], how: str = "seen", seconds: float = 1.239) -> FirstStep:
    return command._facts(found, how, 3, seconds, "SIGTERM")


def test_how_a_script_came_to_its_end_is_said() -> None:
    cases: list[tuple[dict[str, Any], str, str]] = [
        ({"reached": True}, "seen", "stopped after the step"),
        ({}, "late", "the time limit was reached after 1 s"),
        ({}, "ended", "the script ended with exit code 3, and no step of a torch optimizer was seen"),
        ({"hooked": []}, "ended", "the script ended with exit code 3"),
        ({"reached": True}, "ended", "the script ended with exit code 3"),
        ({"error": "E: x"}, "ended", "the script ended with E: x"),
    ]
    for found, how, expected in cases:
        made = facts(found, how)
        assert (made.outcome, made.reached) == (expected, found.get("reached", False)), found
    assert facts({"reached": 1}).reached is False


def test_figures_of_the_wrong_kind_are_none() -> None:
    made = facts(
        {"loss": "nan", "lr": True, "grad_norm": "no", "ratio_gap": None, "tensors": True, "moved": 2.0, "zero": 0}
    )
    assert made.loss != made.loss
    assert (made.lr, made.grad_norm, made.ratio_gap, made.tensors, made.moved, made.zero) == (None,) * 5 + (0,)
    assert made.numbers == {"seconds": 1.24, "ended": "SIGTERM", "optimizer": "", "steps": None}
    assert facts({"hooked": ["a", 3], "steps": 2, "optimizer": "SGD"}).hooked == ("a", "3")


def test_the_rows_of_a_step_compare_the_ranks_before_and_after_it() -> None:
    ranks = {"random": [1, 2, 9], "prompts": 3}
    cases: list[tuple[dict[str, Any], Any]] = [
        ({"lr_least": 0.5}, ({"lr": 0.5},)),
        ({"lr_least": 0.0}, ()),
        ({}, ()),
        ({"lr_least": 0.5, "ranks": {"random": [1], "prompts": 3}}, ({"lr": 0.5},)),
        ({"lr_least": 0.5, "ranks": {"random": [1, None], "prompts": 3}}, ({"lr": 0.5},)),
        ({"ranks": {"random": [1, 2]}}, ()),
        ({"ranks": [1, 2]}, ()),
        (
            {"ranks": ranks},
            tuple({"ranks_with_same_random_state": x, "ranks_with_same_prompts": 3.0} for x in (1.0, 2.0)),
        ),
    ]
    for found, expected in cases:
        assert facts({"reached": True, **found}).rows == expected, found
        assert facts(found).rows == ()


def test_facts_of_one_mebibyte_are_read(tmp_path: Path) -> None:
    path = tmp_path / "f.json"
    text = json.dumps({"reached": True})
    for size, found in [(1 << 20, {"reached": True}), ((1 << 20) + 1, {})]:
        path.write_text(text + " " * (size - len(text)))
        assert command._read(path) == found
    for other in ("[]", "{", "[" * 100_000):
        path.write_text(other)
        assert command._read(path) == {}
    assert command._read(tmp_path / "none") == {}


@pytest.mark.parametrize("framework", [None, "trl", "verl"])
def test_the_trainer_that_was_hooked_says_what_the_command_does_not(framework: str | None) -> None:
    step = facts({"hooked": ["torch.optim.Optimizer.step", "GRPOTrainer._get_per_token_logps"]})
    found = command._source(["python", "x.py", "--lr", "0.1"], step, framework, None)
    assert (found.framework, found.algorithm, found.values["lr"]) == (
        framework or "trl",
        None if framework else "grpo",
        0.1,
    )
    assert command._source(["python", "x.py"], facts({"hooked": ["y"]}), None, None).framework is None
    assert len(command._source(["python", "x" * 300], step, None, None).path) == 200


def test_settings_are_recognised_by_their_command_or_their_keys() -> None:
    for values, words, expected in [
        ({}, "python -m openrlhf.cli.train_dpo", ("openrlhf", "dpo", "module train_dpo")),
        ({}, "python -m openrlhf.cli.train_ppo_ray", ("openrlhf", "ppo", "module openrlhf.cli")),
        ({"algo.advantage.estimator": "rloo"}, "", ("openrlhf", "rloo", "keys of OpenRLHF's command line")),
        ({"algo.advantage.estimator": "new"}, "", ("openrlhf", None, "keys of OpenRLHF's command line")),
        ({}, "python -m verl.trainer.fsdp_sft_trainer", ("verl", "sft", "module verl.trainer")),
        ({"actor_rollout_ref.a": 1}, "", ("verl", "ppo", "keys such as actor_rollout_ref")),
        ({"algorithm.adv_estimator": "REINFORCE_plus"}, "", ("verl", "reinforce", "keys such as actor_rollout_ref")),
        ({"critic.optim.lr": 1}, "python -m verl.trainer.main_ppo", ("verl", "sft", "module verl.trainer")),
        ({}, "/bin/trl grpo --x", ("trl", "grpo", "command trl grpo")),
        ({}, "python trl", (None, None, "")),
        ({}, "trl chat", (None, None, "")),
        ({"rloo_k": 1, "num_generations": 2}, "", ("trl", "rloo", "key rloo_k")),
        ({"loss_type": "ipo"}, "", ("trl", "dpo", "keys beta and loss_type")),
        ({"loss_type": "new"}, "", (None, None, "")),
        ({"beta": 1, "max_prompt_length": 2}, "", ("trl", "dpo", "keys beta and loss_type")),
        ({"beta": 1}, "", (None, None, "")),
        ({"use_peft": 1, "dataset_name": 2}, "", ("trl", None, "key dataset_name")),
        ({"num_train_epochs": 1}, "", ("transformers", None, "key num_train_epochs")),
    ]:
        found = recognise(values, words.split())  # type: ignore[arg-type]
        assert (found.framework, found.algorithm, found.how) == expected, (values, words)
