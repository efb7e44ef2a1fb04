from __future__ import annotations

import math
from pathlib import Path

import pytest
from examples import each_of

from rldk.adapters.base import adapters
from rldk.adapters.consoles.trl import TrlStdout
from rldk.adapters.formats.completions import TrlCompletions
from rldk.adapters.formats.hf_trainer_state import HfTrainerState
from rldk.adapters.formats.trackio import Trackio
from rldk.adapters.formats.trl import GRPOAdapter, TRLAdapter, bare, phase_of, trainer_of
from rldk.adapters.naming.first_rows import opening_of
from rldk.adapters.source import File
from rldk.core.table import MetricTable, TableBuilder
from rldk.errors import NotALog

FIXTURES = Path(__file__).parents[3] / "fixtures"
FORMATS = (HfTrainerState, Trackio, TrlStdout, TrlCompletions)
SFT_STATE, SFT_DB = FIXTURES / "trl-sft" / "trainer_state.json", FIXTURES / "trl-sft" / "trackio" / "sft-healthy.db"
GRPO_STATE = FIXTURES / "trl-grpo" / "checkpoint-40" / "trainer_state.json"
GRPO_DB = FIXTURES / "trl-grpo" / "trackio" / "grpo-healthy.db"


def cells(table: MetricTable) -> dict[tuple[int, str, str], float]:
    """(step, phase, metric without prefix) -> value."""
    return {(r.step, r.phase, bare(name)): v for r in table.rows() for name, v in r.values.items()}


def agree(exact: MetricTable, other: MetricTable, *, rel: float) -> int:
    """How many cells both have; every one of them has the same value."""
    left, right = cells(exact), cells(other)
    shared = left.keys() & right.keys()
    different = {
        key: (left[key], right[key])
        for key in shared
        if not (math.isclose(left[key], right[key], rel_tol=rel) or (math.isnan(left[key]) and math.isnan(right[key])))
    }
    assert not different
    return len(shared)


def test_state_and_trackio_agree_exactly():
    assert agree(HfTrainerState(SFT_STATE).read().table, Trackio(SFT_DB).read().table, rel=0) == 80 * 7 + 4 * 8 + 1
    assert agree(HfTrainerState(GRPO_STATE).read().table, Trackio(GRPO_DB).read().table, rel=0) > 150


@each_of(
    ("state", "stdout"),
    [
        (SFT_STATE, FIXTURES / "trl-sft" / "stdout.txt"),
        (SFT_STATE, FIXTURES / "trl-console" / "buffered.txt"),
        (SFT_STATE, FIXTURES / "trl-console" / "bars.txt"),
        (GRPO_STATE, FIXTURES / "trl-grpo" / "stdout.txt"),
        (FIXTURES / "trl-rloo" / "checkpoint-40" / "trainer_state.json", FIXTURES / "trl-rloo" / "stdout.txt"),
        (FIXTURES / "trl-ppo" / "checkpoint-32" / "trainer_state.json", FIXTURES / "trl-ppo" / "stdout.txt"),
    ],
)
def test_state_and_stdout_agree_to_four_digits(state, stdout):
    log = TrlStdout(stdout).read()
    assert log.precision == 4
    exact = HfTrainerState(state).read().table
    last = int(exact.step.max())
    expected = {key for key in cells(log.table) if key[0] <= last and key[1] != "summary"}
    assert agree(exact, log.table, rel=5.1e-4) >= len(expected) > 90


@each_of(
    ("folder", "dialect", "algorithm"),
    [
        ("trl-grpo/checkpoint-40", "trl_grpo", "grpo"),
        ("trl-grpo-collapse", "trl_grpo", "grpo"),
        ("trl-rloo/checkpoint-40", "trl_rloo", "rloo"),
        ("trl-dpo/checkpoint-40", "trl_dpo", "dpo"),
        ("trl-kto/checkpoint-40", "trl_kto", "kto"),
        ("trl-ppo/checkpoint-32", "trl_ppo", "ppo"),
        ("trl-reward/checkpoint-40", "trl_reward", "reward_model"),
        ("trl-sft", "trl_sft", "sft"),
    ],
)
def test_the_trainer_is_known_by_its_keys(folder, dialect, algorithm):
    log = HfTrainerState(FIXTURES / folder).read()
    assert (log.framework, log.dialect, log.algorithm, log.notes) == ("trl", dialect, algorithm, ())


def group_table(*kl: float | None, reward: bool = True) -> MetricTable:
    """Rows of a group trainer: a row without a KL is an update that generated nothing."""
    builder = TableBuilder()
    for step, value in enumerate(kl, 1):
        row = {"loss": 0.1, "reward_std": 0.2} | ({"reward": 1.0} if reward else {})
        builder.add(step, row if value is None else {**row, "kl": value})
    return builder.build()


def test_grpo_and_rloo_by_the_sign_of_the_kl():
    assert trainer_of(opening_of(group_table(0.0, 0.01, -0.002))).algorithm == "rloo"
    assert trainer_of(opening_of(group_table(0.0, 0.01, -1e-9))).algorithm == "grpo"


def test_grpo_and_rloo_by_name_and_by_configuration():
    negative, positive = group_table(0.0, -0.01), group_table(0.0, 0.01)
    assert trainer_of(opening_of(negative), text="profiling/Time taken: GRPOTrainer.in_pool").algorithm == "grpo"
    assert trainer_of(opening_of(positive), config={"normalize_advantages": False}).dialect == "trl_rloo"


def test_what_cannot_be_told_apart_is_grpo_and_says_so():
    trainer = trainer_of(opening_of(group_table(0.0, 0.01)))
    assert (trainer.dialect, trainer.algorithm) == ("trl_grpo", "grpo")
    assert "RLOO" in trainer.note


def test_a_plain_trainer_has_no_algorithm():
    builder = TableBuilder()
    builder.add(1, {"loss": 1.0, "learning_rate": 1e-4, "epoch": 0.1})
    assert trainer_of(opening_of(builder.build())).algorithm is None


@each_of(
    ("keys", "phase"),
    [
        (["loss", "epoch"], "train"),
        (["kl", "entropy", "epoch"], "train"),
        (["eval_loss", "epoch"], "eval"),
        (["eval/loss", "train/epoch"], "eval"),
        (["loss", "eval_like/score", "epoch"], "train"),
        (["train_runtime", "train_loss", "epoch"], "summary"),
        (["train/epoch", "train/global_step"], "summary"),
        (["train/val/ratio", "train/eps"], "train"),
    ],
)
def test_phase_of_a_row(keys, phase):
    assert phase_of(keys) == phase


def trl_files() -> list[Path]:
    return sorted(p for d in FIXTURES.glob("trl-*") for p in d.rglob("*") if p.is_file())


def test_each_genuine_file_is_claimed_by_its_own_format_only():
    claims = {p: [a.name for a in FORMATS if a.sniff(File(p)) > 0] for p in trl_files()}
    wanted = {".json": "hf-trainer-state", ".db": "trackio", ".txt": "trl-stdout", ".parquet": "trl-completions"}
    own = {p: names for p, names in claims.items() if p.suffix in wanted}
    assert len(own) > 20
    assert all(names == [wanted[p.suffix]] for p, names in own.items())
    assert not any(names for p, names in claims.items() if p not in own)


@each_of(
    "text",
    [
        b"",
        b"\0" * 5000,
        b"SQLite format 3\0" + b"\0" * 5000,
        b"PAR1 step prompt completion PAR1"[:20],
        b'{"step": 1, "loss": 0.5, "epoch": 0.1}\n',
        b'{"log_history": {}}',
        b"\xe2\x9c\xa8 Global step 1: {'policy_loss': -0.02, 'kl': 0.1, 'reward': 0.1, 'epoch': 0.1}\n",
        b"step:1 - actor/entropy:np.float64(0.92) - actor/pg_loss:0.1\n",
        b"[2026-11-20 11:00:00] train.py:80 - rollout 3: {'loss': 0.5, 'epoch': 1}\n",
        b"global_step=60, episodic_return=[15.]\n",
        b"{'accuracy': 0.5, 'size': 3}\n",
    ],
)
def test_what_others_write_is_not_claimed(tmp_path, text):
    path = tmp_path / "file"
    path.write_bytes(text)
    assert [a.name for a in FORMATS if a.sniff(File(path)) > 0] == []


def test_no_file_of_another_framework_is_claimed():
    others = [p for p in FIXTURES.rglob("*") if p.is_file() and not p.relative_to(FIXTURES).parts[0].startswith("trl-")]
    assert {p: a.name for p in others for a in FORMATS if a.sniff(File(p)) > 0} == {}


def test_trl_adapter_reads_the_best_format_and_adds_samples():
    log = TRLAdapter(FIXTURES / "trl-grpo").read()
    assert log.total_steps == 80
    assert "eval_reward" in log.table.columns
    assert log.samples is not None
    assert TRLAdapter(FIXTURES / "trl-ppo" / "stdout.txt").read().algorithm == "ppo"


def test_trl_adapter_and_grpo_adapter_know_what_they_can_handle(tmp_path):
    assert TRLAdapter(SFT_STATE).can_handle()
    assert not TRLAdapter(FIXTURES / "trl-console" / "README.md").can_handle()
    assert GRPOAdapter(FIXTURES / "trl-rloo" / "checkpoint-40").can_handle()
    assert not GRPOAdapter(SFT_STATE).can_handle()
    with pytest.raises(NotALog):
        TRLAdapter(tmp_path).read()


def test_the_two_documented_classes_are_not_sniffed_a_second_time():
    assert {"trl", "grpo"}.isdisjoint(adapters.names())
    assert {a.name for a in FORMATS} <= set(adapters.names())
