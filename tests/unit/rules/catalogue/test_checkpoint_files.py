"""Rules over the files of checkpoints, on real folders, through the same call as `rldk doctor`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rldk.core.model import Report
from rldk.diagnosis import diagnose

HF = {"model.safetensors": 1000, "optimizer.pt": 2000, "scheduler.pt": 10, "rng_state.pth": 10}
VERL = {
    "actor/model_world_size_2_rank_0.pt": 500,
    "actor/model_world_size_2_rank_1.pt": 500,
    "actor/optim_world_size_2_rank_0.pt": 900,
    "actor/optim_world_size_2_rank_1.pt": 900,
    "actor/extra_state_world_size_2_rank_0.pt": 5,
}


def _run(root: Path, **folders: dict[str, int]) -> Path:
    """A run directory with a log and these checkpoints: folder -> file -> bytes."""
    rows = ({"step": i, "loss": 1.0 / i, "reward_mean": 0.1 * i} for i in range(1, 5))
    (root / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for folder, files in folders.items():
        for name, size in files.items():
            path = root / folder.replace("_at_", "-") / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"x" * size)
    return root


def _judge(root: Path) -> Report:
    return diagnose(root, select="CKPT005,CKPT006")


def test_a_part_that_went_missing_is_named_with_both_steps(tmp_path: Path) -> None:
    late = {"model.safetensors": 1000}
    (finding,) = _judge(_run(tmp_path, checkpoint_at_2=HF, checkpoint_at_1000=late)).findings
    assert (finding.code, finding.first_step, finding.severity) == ("CKPT005", 1000, "warn")
    lacks = "the optimiser's state, the state of the schedule, the random state"
    assert finding.message == f"the checkpoint of this step lacks {lacks}, which that of step 2 has"


@pytest.mark.parametrize(
    ("newest", "words"),
    [
        ({**HF, "model.safetensors": 899}, "weights take 90% of the bytes of any other"),
        ({**HF, "optimizer.pt": 1}, "the optimiser's state take 0% of the bytes of any other"),
        ({**HF, "scheduler.pt": 0}, "`scheduler.pt` is an empty file"),
    ],
)
def test_a_checkpoint_that_was_cut_short_is_named(tmp_path: Path, newest: dict[str, int], words: str) -> None:
    (finding,) = _judge(_run(tmp_path, checkpoint_at_2=HF, checkpoint_at_4=newest)).findings
    assert (finding.code, finding.first_step) == ("CKPT006", 4)
    assert words in finding.message


@pytest.mark.parametrize("newest", [HF, {**HF, "model.safetensors": 900, "rng_state.pth": 1}])
def test_whole_checkpoints_are_no_finding(tmp_path: Path, newest: dict[str, int]) -> None:
    report = _judge(_run(tmp_path, checkpoint_at_2=HF, checkpoint_at_4=newest))
    assert (report.findings, report.checked) == ((), ("CKPT005", "CKPT006"))


def test_the_ranks_of_verl_are_counted_together(tmp_path: Path) -> None:
    one_rank = {name: size for name, size in VERL.items() if "rank_1" not in name}
    report = _judge(_run(tmp_path, global_step_10=VERL, global_step_20=one_rank))
    assert [f.code for f in report.findings] == ["CKPT006"]


def test_without_checkpoints_there_is_no_verdict(tmp_path: Path) -> None:
    (tmp_path / "checkpoint-3").mkdir()
    (tmp_path / "checkpoint-3" / "notes.txt").write_text("no weights")
    report = _judge(_run(tmp_path))
    assert {(c.status, c.reason) for c in report.skipped} == {
        ("skipped", "needs checkpoints in the directory of the run, which must be opened whole")
    }


def test_one_whole_checkpoint_has_nothing_to_be_compared_with(tmp_path: Path) -> None:
    report = _judge(_run(tmp_path, checkpoint_at_2=HF))
    assert report.checked == ("CKPT005",)
    assert [(c.code, c.status) for c in report.skipped] == [("CKPT006", "not_applicable")]


def test_a_folder_of_several_runs_gives_its_checkpoints_to_none(tmp_path: Path) -> None:
    _run(tmp_path, checkpoint_at_2=HF)
    (tmp_path / "metrics.jsonl").rename(tmp_path / "a.jsonl")
    (tmp_path / "b.jsonl").write_bytes((tmp_path / "a.jsonl").read_bytes())
    from rldk.adapters.open import open_runs

    assert [run.checkpoints for run in open_runs(tmp_path)] == [(), ()]
