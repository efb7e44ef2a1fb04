"""Configurations of TRL, verl and OpenRLHF: which trainer, which algorithm, which values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rldk.errors import MalformedInput, UnreadableSource, UsageError
from rldk.preflight.config_source import read_config, source_of
from rldk.preflight.yaml_text import load_yaml


def _file(folder: Path, text: str, name: str = "config.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_each_trainer_and_algorithm_is_recognised() -> None:
    cases: list[tuple[dict[str, Any], str | None, str | None]] = [
        ({"num_generations": 8}, "trl", "grpo"),
        ({"normalize_advantages": True, "num_generations": 8}, "trl", "rloo"),
        ({"loss_type": "sigmoid", "beta": 0.1}, "trl", "dpo"),
        ({"desirable_weight": 1.0}, "trl", "kto"),
        ({"packing": True}, "trl", "sft"),
        ({"dataset_name": "x"}, "trl", None),
        ({"per_device_train_batch_size": 4}, "transformers", None),
        ({"algorithm": {"adv_estimator": "grpo"}, "trainer": {"n_gpus_per_node": 8}}, "verl", "grpo"),
        ({"actor_rollout_ref.rollout.n": 4, "algorithm.adv_estimator": "gae"}, "verl", "ppo"),
        ({"trainer": {"n_gpus_per_node": 8}, "optim": {"lr": 1e-5}}, "verl", "sft"),
        ({"--rollout.n_samples_per_prompt": 4, "--algo.advantage.estimator": "rloo"}, "openrlhf", "rloo"),
        ({"lr": 1}, None, None),
    ]
    got = [(s.framework, s.algorithm) for s in (source_of(values, "x") for values, _, _ in cases)]
    assert got == [(framework, algorithm) for _, framework, algorithm in cases]


def test_what_the_user_says_wins() -> None:
    source = source_of({"num_generations": 8}, "x", framework="transformers", algorithm="sft")
    assert (source.framework, source.algorithm, source.how) == ("transformers", "sft", "as you said")
    with pytest.raises(UsageError, match="unknown algorithm 'grop'"):
        source_of({}, "x", algorithm="grop")


def test_numbers_are_read_as_the_trainers_read_them(tmp_path: Path) -> None:
    source = read_config(_file(tmp_path, "learning_rate: 1e-6\nbeta: 5E-2\nname: e1\nmax_steps: 10\n"))
    assert source.values == {"learning_rate": 1e-6, "beta": 0.05, "name": "e1", "max_steps": 10}


def test_overrides_set_add_and_remove(tmp_path: Path) -> None:
    path = _file(tmp_path, "trainer: {n_gpus_per_node: 8, nnodes: 1}\ndata: {train_batch_size: 4}\n")
    words = ["trainer.nnodes=2", "+actor_rollout_ref.rollout.n=5", "~data.train_batch_size"]
    expected = {"trainer.n_gpus_per_node": 8, "trainer.nnodes": 2, "actor_rollout_ref.rollout.n": 5}
    assert read_config(path, words).values == expected


def test_defaults_are_filled_in_from_files_beside_it(tmp_path: Path) -> None:
    (tmp_path / "actor").mkdir()
    (tmp_path / "optim").mkdir()
    _file(tmp_path / "optim", "lr: 1e-5\n", "fsdp.yaml")
    _file(tmp_path / "actor", "defaults:\n  - ../optim@optim: fsdp\n  - _self_\nppo_epochs: 1\n", "dp_actor.yaml")
    text = (
        "defaults:\n  - engine: dp\n  - actor@actor_rollout_ref.actor: ${engine}_actor\n"
        "  - data@data: gone\n  - _self_\n"
        "actor_rollout_ref: {actor: {ppo_epochs: 3, rollout_n: '${oc.select:actor_rollout_ref.rollout.n,7}'}}\n"
        "copy: ${actor_rollout_ref.actor.optim.lr}\nmust: '???'\n"
    )
    source = read_config(_file(tmp_path, text))
    assert source.values["actor_rollout_ref.actor.optim.lr"] == source.values["copy"] == 1e-5
    assert source.values["actor_rollout_ref.actor.ppo_epochs"] == 3
    assert source.values["actor_rollout_ref.actor.rollout_n"] == 7
    assert source.values["must"] is None
    assert any("`data/gone`" in note for note in source.notes)


def test_a_default_outside_of_the_folder_is_not_read(tmp_path: Path) -> None:
    _file(tmp_path, "secret: 1\n", "outside.yaml")
    inner = tmp_path / "inner"
    inner.mkdir()
    source = read_config(_file(inner, "defaults:\n  - ../outside\nnum_generations: 8\n"))
    assert "secret" not in source.values
    assert "not beside it" in source.notes[0]


def test_what_is_broken_is_one_error_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(MalformedInput, match=r"config.yaml, line \d"):
        read_config(_file(tmp_path, "a: 1\nb: [\n"))
    with pytest.raises(MalformedInput, match="no mapping"):
        read_config(_file(tmp_path, "- 1\n"))
    with pytest.raises(UnreadableSource, match="cannot read"):
        read_config(tmp_path / "nothing.yaml")
    with pytest.raises(MalformedInput, match="no JSON"):
        read_config(_file(tmp_path, "{", "config.json"))
    (tmp_path / "b.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(MalformedInput, match="no text"):
        read_config(tmp_path / "b.yaml")


def test_yaml_runs_no_code_and_a_bomb_stays_small(tmp_path: Path) -> None:
    with pytest.raises(MalformedInput):
        load_yaml("a: !!python/object/apply:os.system ['true']", "x")
    lines = ["a0: &a0 {k: 1}"] + [f"a{i}: &a{i} {{l: *a{i - 1}, r: *a{i - 1}}}" for i in range(1, 25)]
    assert len(read_config(_file(tmp_path, "\n".join(lines))).values) <= 20_000


def test_the_manifest_of_a_run_gives_its_configuration(tmp_path: Path) -> None:
    path = _file(tmp_path, '{"schema_version": 1, "config": {"num_generations": 4}}', "run.json")
    assert read_config(path).values == read_config(tmp_path).values == {"num_generations": 4}
