"""`rldk profile` on real loops: a planted slow reward and a planted leak are named, and nothing is left running."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from profiled_loops import GRPO, LEAK, RLLIB, SB3, SLOW_REWARD, TORCH

import rldk
from rldk.cards.wire import document
from rldk.errors import UsageError
from rldk.profiling import ProfileReport, profile_command

ROOT = str(Path(__file__).parents[2])


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def _profiled(text: str, **options: float) -> ProfileReport:
    Path("train.py").write_text(text)
    return profile_command([sys.executable, "train.py"], output_dir="kept", **options)  # type: ignore[arg-type]


def _shares(report: ProfileReport) -> dict[str, float]:
    return {one.name: one.share for one in report.phases}


@pytest.mark.slow
def test_a_slow_reward_of_a_plain_loop_is_named_by_its_function_and_line() -> None:
    report = _profiled(SLOW_REWARD)
    assert report.phases[0].name == "reward"
    assert (report.phases[0].how, report.phases[0].share > 0.8) == ("seen", True)
    assert "slow_reward (train.py:7)" in report.bottleneck
    assert (report.hot_lines[0].where, report.hot_lines[0].text) == ("train.py:11", "time.sleep(0.004)")
    assert (report.exit_code, report.unavailable["GPU"] != "") == (0, True)
    assert ProfileReport.from_dict(report.to_dict()) == report


@pytest.mark.slow
@pytest.mark.parametrize(
    ("what", "grows"),
    [
        ("kept.append(bytearray(b'x' * (1 << 20)))", True),
        ("kept[:] = [bytearray(b'x' * (8 << 20))]", False),
    ],
)
def test_a_planted_leak_is_found_and_memory_that_is_given_back_is_none(what: str, grows: bool) -> None:
    report = _profiled(LEAK.format(what=what))
    assert report.memory is not None, report.unavailable
    assert [one.code for one in report.findings] == (["SYS040"] if grows else [])
    if grows:
        assert report.memory.slope == pytest.approx(10 << 20, rel=0.4)


@pytest.mark.slow
@pytest.mark.integration
def test_phases_of_a_plain_torch_loop_and_its_operations() -> None:
    pytest.importorskip("torch")
    report = _profiled(TORCH, torch_steps=2)
    assert _shares(report)["reward"] > 0.5
    assert "judge_answers" in report.bottleneck
    assert report.numbers["steps"] == 12  # the second optimizer makes none of its own
    assert report.torch_steps == 2
    assert len(report.step_seconds) < 12
    assert any(one.name.startswith("aten::") for one in report.operations)
    assert Path(report.meta["trace"]).is_file()


@pytest.mark.slow
@pytest.mark.integration
def test_a_slow_environment_of_stable_baselines3_is_named() -> None:
    pytest.importorskip("stable_baselines3")
    report = _profiled(SB3)
    shares = _shares(report)
    assert report.phases[0].name == "environment"
    assert {"rollout", "train"} <= shares.keys()
    assert (report.numbers["steps"], report.meta["framework"]) == (7, "stable-baselines3")
    assert 0 < (report.numbers["environment_steps_per_sec"] or 0) < 330  # a step of it takes 3 ms
    assert "Slow.step" in report.bottleneck


@pytest.mark.slow
@pytest.mark.integration
def test_a_slow_reward_function_of_grpo_is_named(tmp_path: Path) -> None:
    pytest.importorskip("trl")
    report = _profiled(GRPO.format(root=ROOT, out=str(tmp_path / "out")))
    shares = _shares(report)
    assert report.phases[0].name == "reward"
    assert {"rollout", "train"} <= shares.keys()
    assert (report.numbers["steps"], report.meta["framework"]) == (7, "transformers")
    assert "length_reward (train.py:" in report.bottleneck
    assert (report.numbers["tokens_per_sec"] or 0) > 0
    assert all(0.5 < one < 60 for one in report.step_seconds)


@pytest.mark.slow
@pytest.mark.integration
@pytest.mark.timeout(900)
@pytest.mark.filterwarnings("ignore")
def test_phases_of_rllib_are_those_of_its_own_timers() -> None:
    pytest.importorskip("ray.rllib")
    report = _profiled(RLLIB)
    shares = _shares(report)
    assert (report.exit_code, report.meta["framework"], report.numbers["steps"]) == (0, "rllib", 6)
    assert {"rollout", "train", "sync"} <= shares.keys()
    assert shares["rollout"] + shares["train"] > 0.5
    assert {one.how for one in report.phases if one.name in ("rollout", "train")} == {"timed"}


@pytest.mark.slow
def test_a_part_of_a_program_says_its_phases_itself(tmp_path: Path) -> None:
    hooked = list(sys.meta_path)
    with rldk.profile(tmp_path / "kept") as profile:
        for _ in range(8):
            with profile.phase("rollout"):
                time.sleep(0.02)
                with profile.phase("reward"):
                    time.sleep(0.06)
            profile.step(tokens=50)
    report = profile.report
    assert report is not None
    assert [one.name for one in report.phases[:2]] == ["reward", "rollout"]
    assert report.numbers["steps"] == 8
    assert report.numbers["tokens_per_sec"] == pytest.approx(50 / 0.08, rel=0.5)
    assert sys.meta_path == hooked
    assert json.loads((tmp_path / "kept" / "profile.json").read_text())["kind"] == "profile"


def test_a_profile_inside_another_is_refused_and_ends_the_outer_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="already profiled"), rldk.profile(tmp_path), rldk.profile(tmp_path):
        pass
    with rldk.profile(tmp_path) as profile:
        pass
    assert profile.report is not None


@pytest.mark.slow
def test_a_program_that_profiles_itself_counts_in_the_profile_of_its_command() -> None:
    text = "import rldk, time\nwith rldk.profile() as p:\n  for s in range(6):\n"
    text += "    with p.phase('sync'): time.sleep(0.1)\n    p.step()\nassert p.report is None\n"
    report = _profiled(text)
    assert (report.exit_code, report.numbers["steps"], report.phases[0].name) == (0, 6, "sync")


@pytest.mark.slow
def test_hostile_commands_end_in_a_report(tmp_path: Path) -> None:
    report = _profiled("import os\nif not os.fork():\n  os.setsid()\nwhile True: pass\n", timeout=2.0)
    assert (report.exit_code, report.meta["how"]) == (None, "late")
    assert report.hot_lines[0].where == "train.py:4"
    code = _profiled("import os, sys\nopen('a', 'w').write(os.environ['RLDK_PROFILE'])\nsys.exit(3)\n")
    assert code.exit_code == 3
    with pytest.raises(UsageError, match="no-such-program"):
        profile_command("no-such-program", output_dir=tmp_path / "other")
    assert list((tmp_path / "other").iterdir()) == []


@pytest.mark.slow
def test_a_command_that_is_no_python_has_no_phases() -> None:
    report = profile_command(["sh", "-c", "sleep 1"], output_dir="kept")
    assert report.phases == ()
    assert report.unavailable["phases"].startswith("no Python process")
    assert (report.numbers["memory_peak_bytes"] or 0) > 0


@pytest.mark.slow
def test_the_command_passes_exit_codes_on_and_an_interrupt_ends_in_a_report() -> None:
    argv = [sys.executable, "-m", "rldk", "profile", "--output-dir", "kept"]
    text = "import time\nfor s in range(9): print('step', s, 'loss', 1.0)\n"
    Path("train.py").write_text(text + "raise SystemExit(7)\n")
    done = subprocess.run(
        [*argv, "--json", "--", sys.executable, "train.py"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, json.loads(done.stdout)["exit_code"]) == (7, 7)
    Path("train.py").write_text(text + "open('begun', 'w').close()\ntime.sleep(600)\n")
    words = [*argv, "--html", "profile.html", "--", sys.executable, "train.py"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        deadline = time.monotonic() + 60
        while not Path("begun").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(1.0)
        process.send_signal(signal.SIGINT)
        printed, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "interrupted" in printed
    assert "<svg" in Path("profile.html").read_text()


def test_every_renderer_draws_a_profile(tmp_path: Path) -> None:
    from rldk.cli.formats import drawn

    with rldk.profile(tmp_path) as profile:
        profile.step()
    assert profile.report is not None
    for name in ("markdown", "github", "junit", "sarif", "html"):
        assert drawn(name, [profile.report], [])
    assert document(profile.report)["kind"] == "profile"
