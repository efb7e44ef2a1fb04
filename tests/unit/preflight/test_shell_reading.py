"""Shell scripts: the settings of the training command, without running anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from rldk.errors import MalformedInput
from rldk.preflight.config_source import read_config
from rldk.preflight.shell import read_shell

VERL = r"""#!/bin/bash
set -x
BATCH=${BATCH:-512}
n=8
length=$((1024 * 2))
model=$(python -c 'print("x")')
DATA=(
    data.train_batch_size=${BATCH}   # prompts
    data.max_response_length=$length
)
if [ "$GPU" = small ]; then
    BATCH=16
    EXTRA=1
fi
python3 -m verl.trainer.main_ppo \
    algorithm.adv_estimator=grpo \
    "${DATA[@]}" \
    actor_rollout_ref.rollout.n=$n \
    actor_rollout_ref.model.path=$model \
    actor_rollout_ref.actor.optim.lr=1e-6 $@ 2>&1 | tee run.log
"""


def test_variables_arrays_and_sums_are_followed() -> None:
    found = read_shell(VERL)
    assert found.values == {
        "algorithm.adv_estimator": "grpo",
        "data.train_batch_size": 512,
        "data.max_response_length": 2048,
        "actor_rollout_ref.rollout.n": 8,
        "actor_rollout_ref.actor.optim.lr": 1e-6,
    }
    assert found.notes == (
        "not known without running the script: actor_rollout_ref.model.path",
        "set under a condition, and not read: BATCH, EXTRA",
    )


def test_flags_with_one_value_several_or_none() -> None:
    text = "deepspeed --module openrlhf.cli.train_ppo_ray --actor.adam.lr 5e-7 --ds.packing_samples --x 0.2 0.27\n"
    assert read_shell(text).values == {
        "module": "openrlhf.cli.train_ppo_ray",
        "actor.adam.lr": 5e-7,
        "ds.packing_samples": True,
        "x": [0.2, 0.27],
    }


def test_the_trainer_is_told_by_the_command(tmp_path: Path) -> None:
    cases = [
        ("trl grpo --num_generations 8", "trl", "grpo"),
        ("accelerate launch -m trl dpo --beta 0.1", "transformers", None),
        ("CUDA_VISIBLE_DEVICES=0 /opt/bin/trl sft --learning_rate 1e-5", "trl", "sft"),
        ("python -m openrlhf.cli.train_dpo --model.beta 0.1", "openrlhf", "dpo"),
        ("python -m verl.trainer.sft_trainer data.train_batch_size=4", "verl", "sft"),
    ]
    for line, framework, algorithm in cases:
        path = tmp_path / "run.sh"
        path.write_text(line + "\n")
        source = read_config(path)
        if framework != "transformers":
            assert (source.framework, source.algorithm) == (framework, algorithm), line


def test_nothing_is_run(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    read_shell(f"x=$(touch {mark})\npython t.py a.b=$x c.d=`touch {mark}` e.f=1\n")
    assert not mark.exists()


def test_odd_texts_are_no_error() -> None:
    for text in ("", "'", '"', "a=(", "x=$((1/0))\npython a.b=$x", "x=$((9**9**9))\np a.b=$x", "\\\n", "if\nfi\n}\n"):
        assert isinstance(read_shell(text).values, dict), text


def test_a_script_without_settings_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "run.sh"
    path.write_text("echo hello\n")
    with pytest.raises(MalformedInput, match="holds no settings"):
        read_config(path)


@pytest.mark.parametrize(("count", "end"), [(8, "k7"), (9, "k7 and 1 more")])
def test_eight_names_are_listed_and_the_others_counted(count: int, end: str) -> None:
    words = " ".join(f"a.k{i}=$(x{i})" for i in range(count))
    (note,) = read_shell(f"python3 -m verl.trainer.main_ppo {words}\n").notes
    assert note.startswith("not known without running the script: a.k0, ")
    assert note.endswith(end)


def test_an_assignment_before_a_command_is_none_of_the_script() -> None:
    for line, kept in (("N=8", {"n": 8}), ("N=8 # eight", {"n": 8}), ("N=8 echo", {})):
        found = read_shell(f"{line}\npython3 -m verl.trainer.main_ppo n=$N m=1\n").values
        assert found == {**kept, "m": 1}, line
