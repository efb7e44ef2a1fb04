"""Phases of trainers that log their times themselves, on logs that their own writers have made."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from rldk.profiling.conclusion import conclude_profile
from rldk.profiling.evidence import ProfileEvidence
from rldk.profiling.logged import LOGGED, LoggedTimes, logged_times
from rldk.profiling.report import ProfileReport

FIXTURES = Path(__file__).parents[2] / "fixtures"
VERL = """(TaskRunner pid=1) step:{n} - actor/pg_loss:0.1 - critic/score/mean:0.5 - training/global_step:{n} - \
timing_s/gen:{gen} - timing_s/reward:1.0 - timing_s/old_log_prob:0.5 - timing_s/ref:0.5 - timing_s/adv:0.1 - \
timing_s/update_actor:2.0 - timing_s/update_weights:0.4 - timing_s/step:{step} - perf/throughput:100.0
"""


def _report(folder: Path, times: LoggedTimes) -> ProfileReport:
    return conclude_profile(
        ProfileEvidence(processes=[], samples=[], gpus=0, missing={}, folder=folder, seconds=9.0, logged=times)
    )


def _printed(folder: Path, text: str) -> LoggedTimes:
    (folder / "stdout.txt").write_text(text)
    return logged_times(folder)


def test_the_first_step_is_left_out_and_what_has_no_name_is_other(tmp_path: Path) -> None:
    lines = [VERL.format(n=n, gen=40.0 if n == 1 else 5.0, step=50.0 if n == 1 else 10.0) for n in range(1, 7)]
    times = _printed(tmp_path, "".join(lines))
    assert (times.framework, times.steps, times.seconds) == ("verl", 6, [10.0] * 5)
    phases = {"rollout": 25.0, "reward": 5.0, "log-probs": 5.0, "train": 10.5, "sync": 2.0, "other": 2.5}
    assert times.phases == pytest.approx(phases)
    report = _report(tmp_path, times)
    assert [(one.name, one.how) for one in report.phases[:2]] == [("rollout", "logged"), ("train", "logged")]
    assert report.bottleneck.startswith("The bottleneck is the rollout: 50% of the time of a step (5 s of 10 s).")
    assert (report.numbers["steps"], report.numbers["step_s"], report.meta["framework"]) == (6, 10.0, "verl")
    assert "phases" not in report.unavailable


def test_phases_that_run_at_the_same_time_promise_no_gain(tmp_path: Path) -> None:
    lines = [VERL.format(n=n, gen=9.0, step=10.0) for n in range(1, 7)]
    report = _report(tmp_path, _printed(tmp_path, "".join(lines)))
    assert "as fast" not in report.bottleneck
    assert any("add up to 135% of the steps" in note.text for note in report.notes)


def test_a_log_without_times_gives_none(tmp_path: Path) -> None:
    assert _printed(tmp_path, "step 1 loss 0.5\nstep 2 loss 0.4\n") == LoggedTimes()
    assert logged_times(tmp_path / "nothing") == LoggedTimes()


@pytest.mark.parametrize(("framework", "phase"), [("openrlhf", "train"), ("verl", "rollout")])
def test_keys_of_a_genuine_console(framework: str, phase: str, tmp_path: Path) -> None:
    found = next(iter(FIXTURES.glob(f"{framework}-*-format/stdout.txt")))
    shutil.copy(found, tmp_path / "stdout.txt")
    times = logged_times(tmp_path)
    assert (times.framework, times.steps) == (framework, 20)
    assert times.phases[phase] > 0
    assert set(times.phases) <= {*LOGGED[framework][1].values(), "other"}
