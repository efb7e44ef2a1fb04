from __future__ import annotations

import random
from pathlib import Path

import pytest

from rldk.adapters.consoles.dicts import PrintedDictsConsole
from rldk.adapters.log import Log
from rldk.adapters.open import open_run
from rldk.adapters.source import File

SLIME = (
    "(RolloutManager pid=1234) [2026-01-05 10:00:11] rollout.py:330 - rollout {i}: {'rollout/raw_reward': 0.3, "
    "'rollout/response_lengths': 1800.0}\n"
    "(MegatronTrainRayActor pid=2234) [2026-01-05 10:00:41] model.py:512 - step {i}: {'train/loss': 0.0012, "
    "'train/train_rollout_logprob_abs_diff': 0.012, 'train/step': {i}}\n"
)
SKYRL = (
    "2026-01-02 10:00:01.123 | INFO     | skyrl_train.utils.tracking:log:90 - Step {i}: \n"
    "{'policy/final_loss': '0.0123',\n 'policy/policy_entropy': '0.5123',\n 'reward/avg_raw_reward': '0.2500'}\n"
)
OWN = "{'step': {i}, 'loss': 0.25, 'note': 'fine', 'items': [1, 2]}\n"


def dicts(form: str, steps: range = range(5)) -> str:
    return "".join(form.replace("{i}", str(i)) for i in steps)


def read(path: Path, text: str) -> Log:
    path.write_text(text)
    return PrintedDictsConsole(path).read()


@pytest.mark.parametrize(
    ("form", "rows", "framework", "key", "value"),
    [
        (SLIME, 10, "slime", "rollout/raw_reward", 0.3),
        (SKYRL, 5, "skyrl", "policy/policy_entropy", 0.5123),
        (OWN, 5, None, "loss", 0.25),
    ],
)
def test_a_dict_is_a_row(tmp_path: Path, form: str, rows: int, framework: str, key: str, value: float) -> None:
    log = read(tmp_path / "job.log", "starting\n" + dicts(form))
    assert (len(log.table), log.framework, log.table.columns[key][0]) == (rows, framework, value)
    assert sorted(set(log.table.step.tolist())) == [0, 1, 2, 3, 4]
    assert open_run(tmp_path / "job.log").meta.format == "dict-console"


@pytest.mark.parametrize("form", [SLIME, SKYRL])
def test_a_torn_dict_is_refused(tmp_path: Path, form: str) -> None:
    log = read(tmp_path / "job.log", dicts(form)[:-9])
    assert (log.rejected_count, log.lines) == (1, len(log.table) + 1)


def test_random_bytes_between_are_survived(tmp_path: Path) -> None:
    path = tmp_path / "job.log"
    path.write_bytes(
        dicts(OWN).encode() + random.Random(3).randbytes(5000).replace(b"\0", b"") + b"\n" + dicts(OWN).encode()
    )
    log = PrintedDictsConsole(path).read()
    assert len(log.table) + log.rejected_count == log.lines


def test_values_that_are_no_numbers_are_left_out(tmp_path: Path) -> None:
    log = read(tmp_path / "job.log", dicts(OWN))
    assert set(log.table.columns) == {"loss"}


@pytest.mark.parametrize(
    "text", ["{'lr': 0.1, 'loss': 'mse'}\n" * 5, "{'user': 3, 'loss': 0.2}\n" * 5, "{'step': 1, 'memory': 3}\n" * 5]
)
def test_other_dicts_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "x").write_text(text)
    assert PrintedDictsConsole.sniff(File(tmp_path / "x")) == 0
