"""Faults planted into configurations are found by name, and configurations as trainers ship them raise nothing."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from examples import each_of

import rldk
from rldk.core.registry import renderers
from rldk.errors import UsageError
from rldk.preflight import preflight, preflight_config
from rldk.testing import scan_columns

SHIPPED = sorted((Path(__file__).parents[2] / "fixtures" / "trainer-configs").glob("*/*.yaml"))
OVERLONG = "reward.reward_kwargs.overlong_buffer_cfg"
ACTOR, ROLLOUT = "actor_rollout_ref.actor", "actor_rollout_ref.rollout"
GRPO: dict[str, Any] = {
    "num_generations": 8,
    "per_device_train_batch_size": 8,
    "gradient_accumulation_steps": 1,
    "num_processes": 1,
    "learning_rate": 1e-6,
    "temperature": 1.0,
    "max_steps": 100,
    "max_prompt_length": 512,
    "max_completion_length": 512,
    "beta": 0.0,
    "seed": 42,
}
VERL: dict[str, Any] = {
    "algorithm.adv_estimator": "grpo",
    "data.train_batch_size": 256,
    "data.max_prompt_length": 512,
    "data.max_response_length": 1024,
    f"{ACTOR}.ppo_mini_batch_size": 64,
    f"{ACTOR}.ppo_micro_batch_size_per_gpu": 4,
    f"{ACTOR}.optim.lr": 1e-6,
    f"{ROLLOUT}.n": 8,
    f"{ROLLOUT}.temperature": 1.0,
    "trainer.n_gpus_per_node": 8,
    "trainer.nnodes": 1,
    "trainer.save_freq": 20,
}
OPENRLHF: dict[str, Any] = {
    "algo.advantage.estimator": "group_norm",
    "rollout.n_samples_per_prompt": 8,
    "rollout.batch_size": 128,
    "train.batch_size": 128,
    "train.micro_batch_size": 8,
    "actor.num_gpus_per_node": 8,
    "actor.num_nodes": 1,
    "actor.adam.lr": 5e-7,
    "algo.kl.init_coef": 1e-3,
}
# name -> the healthy configuration, what is changed, the code
PLANTED: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "trl groups do not divide": (GRPO, {"per_device_train_batch_size": 6}, "SYS006"),
    "trl generation batch does not divide": (GRPO, {"generation_batch_size": 12}, "SYS006"),
    "verl less than a micro-batch": (VERL, {f"{ACTOR}.ppo_mini_batch_size": 2}, "SYS006"),
    "verl gpus do not divide": (VERL, {"trainer.n_gpus_per_node": 3}, "SYS006"),
    "openrlhf rollout smaller than a batch": (OPENRLHF, {"rollout.batch_size": 8}, "SYS006"),
    "verl mini-batch above batch": (VERL, {f"{ACTOR}.ppo_mini_batch_size": 512}, "CFG009"),
    "verl group of one": (VERL, {f"{ROLLOUT}.n": 1}, "CFG003"),
    "trl greedy": (GRPO, {"temperature": 0.0}, "CFG004"),
    "trl warm-up longer than the run": (GRPO, {"warmup_steps": 100}, "CFG006"),
    "trl no learning rate": (GRPO, {"learning_rate": 0.0}, "CFG008"),
    "trl two number formats": (GRPO, {"bf16": True, "fp16": True}, "CFG001"),
    "trl best model without evaluation": (GRPO, {"load_best_model_at_end": True, "eval_strategy": "no"}, "CFG001"),
    "trl reference synced and unused": (GRPO, {"sync_ref_model": True}, "CFG001"),
    "trl context too short": (GRPO, {"vllm_max_model_length": 768}, "CFG020"),
    "verl context too short": (VERL, {f"{ROLLOUT}.max_model_len": 1024}, "CFG020"),
    "verl token budget": (
        VERL,
        {f"{ACTOR}.use_dynamic_bsz": True, f"{ACTOR}.ppo_max_token_len_per_gpu": 1024},
        "CFG020",
    ),
    "verl two penalties": (
        VERL,
        {"algorithm.use_kl_in_reward": True, f"{ACTOR}.use_kl_loss": True},
        "CFG021",
    ),
    "verl k1 as a loss": (VERL, {f"{ACTOR}.use_kl_loss": True, f"{ACTOR}.kl_loss_type": "k1"}, "KL030"),
    "openrlhf k1 as a loss": (OPENRLHF, {"algo.kl.use_loss": True, "algo.kl.estimator": "k1"}, "KL030"),
    "trl truncated sampling": (GRPO, {"use_vllm": True, "top_p": 0.9}, "OFF030"),
    "verl truncated sampling": (
        VERL,
        {"algorithm.rollout_correction.rollout_is": "token", f"{ROLLOUT}.top_k": 50},
        "OFF030",
    ),
    "verl greedy pass at k": (
        VERL,
        {f"{ROLLOUT}.val_kwargs.n": 8, f"{ROLLOUT}.val_kwargs.temperature": 0},
        "EVAL005",
    ),
    "openrlhf greedy pass at k": (OPENRLHF, {"eval.n_samples_per_prompt": 4, "eval.temperature": 0}, "EVAL005"),
    "verl no optimizer to resume": (
        VERL,
        {f"{ACTOR}.checkpoint.save_contents": ["model"], "trainer.resume_mode": "auto"},
        "CKPT030",
    ),
    "trl no optimizer to resume": (
        GRPO,
        {"save_only_model": True, "resume_from_checkpoint": "out/checkpoint-10", "save_steps": 10},
        "CKPT030",
    ),
    "trl negative penalty": (GRPO, {"beta": -0.04}, "KL007"),
    "verl negative penalty": (VERL, {f"{ACTOR}.use_kl_loss": True, f"{ACTOR}.kl_loss_coef": -0.001}, "KL007"),
    "openrlhf negative penalty": (OPENRLHF, {"algo.kl.init_coef": -1e-3}, "KL007"),
    "verl gradients scaled to 0": (VERL, {f"{ACTOR}.optim.clip_grad": 0.0}, "GRAD003"),
    "trl tiny clip": (GRPO, {"max_grad_norm": 1e-5}, "GRAD003"),
    "trl schedule ends early": (
        GRPO,
        {
            "lr_scheduler_type": "warmup_stable_decay",
            "lr_scheduler_kwargs": {"num_stable_steps": 40, "num_decay_steps": 20},
            "warmup_steps": 10,
        },
        "OPT004",
    ),
    "trl loss by micro-batch": (GRPO, {"loss_type": "bnpo", "gradient_accumulation_steps": 4}, "OPT005"),
    "trl loss by device": (GRPO, {"average_tokens_across_devices": False, "num_processes": 4}, "OPT005"),
    "trl paid for not ending": (GRPO, {"missing_eos_penalty": -1.0}, "REW008"),
    "verl overlong without a penalty": (
        VERL,
        {f"{OVERLONG}.enable": True, f"{OVERLONG}.len": 256, f"{OVERLONG}.penalty_factor": 0.0},
        "REW008",
    ),
    "time limits as ends": (GRPO, {"replay_buffer_kwargs.handle_timeout_termination": False}, "ENV001"),
    "trl no seed": (GRPO, {"seed": None}, "DET003"),
}


def _codes(config: dict[str, Any], **more: Any) -> set[str]:
    return {finding.code for finding in preflight(config, packages={"none": "1"}, **more).findings}


@pytest.mark.parametrize("healthy", [GRPO, VERL, OPENRLHF], ids=["trl", "verl", "openrlhf"])
def test_healthy_configurations_raise_nothing(healthy: dict[str, Any]) -> None:
    assert _codes(healthy) == set()


@each_of("name", PLANTED)
def test_a_planted_fault_is_found_by_its_code_alone(name: str) -> None:
    healthy, change, code = PLANTED[name]
    assert _codes({**healthy, **change}) == {code}


@each_of("path", SHIPPED, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_silent_on_what_the_trainers_ship(path: Path) -> None:
    report = preflight_config(path)
    assert [f.message for f in report.findings] == []
    assert report.checked


def test_the_doctor_says_the_same_of_a_run_with_that_configuration() -> None:
    for name in ("trl greedy", "trl truncated sampling", "verl group of one", "verl k1 as a loss"):
        healthy, change, code = PLANTED[name]
        config = {**healthy, **change}
        framework = "verl" if healthy is VERL else "trl"
        columns = {"reward_mean": [0.1, 0.2, 0.3]}
        doctor = scan_columns([code], columns, config=config, framework=framework, algorithm="grpo")
        mine = [f for f in preflight(config, packages={"none": "1"}).findings if f.code == code]
        assert [f.message for f in doctor.findings] == [f.message for f in mine], name


def test_a_nested_configuration_is_read_by_the_doctor_too() -> None:
    config = {"actor_rollout_ref": {"rollout": {"n": 1}}}
    columns = {"reward_mean": [0.1, 0.2, 0.3]}
    report = scan_columns("CFG003", columns, config=config, framework="verl", algorithm="grpo")
    assert [f.code for f in report.findings] == ["CFG003"]


def test_versions_that_fail_together_are_named_with_their_source() -> None:
    report = preflight(GRPO, packages={"trl": "0.26.2", "vllm": "0.12.0"})
    (finding,) = report.findings
    assert (finding.code, finding.severity, report.passed) == ("CFG002", "critical", False)
    assert "`trl` 0.26.2, `vllm` 0.12.0" in finding.message
    assert "(huggingface/trl#4117); it ended in trl>=0.27.0" in finding.message
    assert finding.evidence["trl-vllm-guided-decoding"]["source"] == ["huggingface/trl#4117"]


def test_a_run_with_recorded_packages_is_judged_by_the_same_table() -> None:
    columns = {"reward_mean": [0.1, 0.2, 0.3]}
    report = scan_columns("CFG002", columns, packages={"verl": "0.6.0", "vllm": "0.11.1"})
    assert [f.code for f in report.findings] == ["CFG002"]


def test_the_plan_is_counted() -> None:
    numbers = preflight({**GRPO, "num_processes": 4}, dataset=[{"prompt": str(i)} for i in range(64)]).numbers
    assert (numbers["prompts_per_step"], numbers["completions_per_step"], numbers["steps"]) == (4, 32, 100)
    assert numbers["epochs"] == 6.25
    assert preflight(VERL).numbers["completions_per_step"] == 2048


def test_without_the_number_of_processes_nothing_is_claimed() -> None:
    config = {k: v for k, v in {**GRPO, "per_device_train_batch_size": 2}.items() if k != "num_processes"}
    report = preflight(config, packages={"none": "1"})
    assert not report.findings
    assert "must be a multiple of 4" in report.notes[0].text


def test_what_was_not_given_is_not_checked() -> None:
    reasons = {check.code: check.reason for check in preflight(GRPO).skipped}
    assert reasons["REW050"] == "needs a reward function"
    assert reasons["EVAL002"] == "needs a data set and one for evaluation, both with prompts"
    assert reasons["OPT030"] == "needs a model"


def test_rules_of_the_setup_are_no_gap_in_the_report_of_a_run() -> None:
    checks = scan_columns(["REW050", "OPT030"], {"reward_mean": [1.0, 2.0]}).skipped
    assert {(c.status, c.reason) for c in checks} == {
        ("not_applicable", "looked at before a training, by `rldk preflight`")
    }


def test_every_renderer_draws_the_report() -> None:
    report = preflight({**GRPO, "temperature": 0.0})
    for name in ("terminal", "html", "json"):
        assert "CFG004" in str(renderers.get(name)(report)), name


def test_the_module_can_be_called_and_stays_a_module() -> None:
    report = rldk.preflight(GRPO)
    assert report.kind == "preflight"
    module = import_module("rldk.preflight")
    assert module is rldk.preflight
    assert module.preflight is preflight
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = module.nothing
    with pytest.raises(UsageError, match="nothing to look at"):
        rldk.preflight()


def test_arguments_of_a_trainer_are_taken_as_they_are() -> None:
    class GRPOConfig:
        world_size = 2

        def to_dict(self) -> dict[str, Any]:
            return {k: v for k, v in GRPO.items() if k != "num_processes"} | {"per_device_train_batch_size": 3}

    report = preflight(GRPOConfig(), packages={"none": "1"})
    assert (report.meta["framework"], report.meta["algorithm"]) == ("trl", "grpo")
    assert [f.code for f in report.findings] == ["SYS006"]
