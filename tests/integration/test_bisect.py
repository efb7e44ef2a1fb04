"""Bisections of generated repositories and of a small package: what is found, what is kept, what is left alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from generated_history import generated_history
from small_wheel import small_wheel
from tracked_project import digest_of_tree

from rldk.bisect import BisectResult, bisect_commits, bisect_versions
from rldk.cli.main import main
from rldk.errors import InputError, UsageError

pytestmark = pytest.mark.slow
COMMAND = f"{sys.executable} -S train.py {{seed}}"
KL: dict[str, Any] = {"metric": "kl", "cmp": "> 0.2"}


def _bisect(root: Path, commits: list[str], home: Path, **how: Any) -> BisectResult:
    return bisect_commits(commits[0], commits[-1], COMMAND, **KL, repository=root, output_dir=home, **how)


@pytest.mark.parametrize("jobs", [1, 3])
def test_a_planted_fault_among_64_commits_is_found(jobs: int, tmp_path: Path) -> None:
    commits = generated_history(tmp_path / "r", fault=23, broken=(31, 32))
    result = _bisect(tmp_path / "r", commits, tmp_path / "out", jobs=jobs)
    assert (result.culprit_sha, result.candidates) == (commits[23], (commits[23],))
    assert result.iterations <= {1: 2 + 6 + 2, 3: 2 + 3 * 4}[jobs]
    assert not {run.name for run in result.runs if run.word == "skip"} - {commits[31], commits[32]}


@pytest.mark.parametrize("fault", [9, 50])
def test_a_fault_that_shows_in_four_of_five_runs_is_found(fault: int, tmp_path: Path) -> None:
    commits = generated_history(tmp_path / "r", fault=fault, flip=0.2)
    result = _bisect(tmp_path / "r", commits, tmp_path / "out", repeats=5, jobs=2)
    assert commits[fault] in result.candidates
    assert result.culprit_sha == commits[fault]
    assert result.probabilities[commits[fault]] >= 0.95
    assert result.iterations <= 120
    assert any("for all commits" in note.text for note in result.notes)


def test_work_tree_index_stash_and_git_folder_are_left_alone(tmp_path: Path) -> None:
    root = tmp_path / "r"
    commits = generated_history(root, commits=8, fault=5)
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull}

    def git(*words: str) -> None:
        subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", "-C", str(root), *words], check=True, env=environment
        )

    (root / "notes.txt").write_text("stashed\n")
    git("stash", "-q")
    (root / "notes.txt").write_text("staged\n")
    git("add", "notes.txt")
    (root / "notes.txt").write_text("changed\n")
    (root / "model.py").write_text("VERSION, FAULT, FLIP = 0, 99, 0.0\n")  # the bad end would be good with it
    (root / "untracked.txt").write_text("mine\n")
    hook = root / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\ntouch hooked\n")
    hook.chmod(0o755)
    before = digest_of_tree(root)
    assert _bisect(root, commits, tmp_path / "out").culprit_sha == commits[5]
    assert digest_of_tree(root) == before


def test_what_cannot_be_told_apart_is_a_set(tmp_path: Path) -> None:
    commits = generated_history(tmp_path / "r", commits=16, fault=8, broken=(8, 9))
    result = _bisect(tmp_path / "r", commits, tmp_path / "out")
    assert (result.passed, result.culprit_sha) == (False, None)
    assert set(result.candidates) == set(commits[8:11])
    assert sum(result.probabilities.values()) == pytest.approx(1.0)
    assert "One of 3 commits" in result.verdict


def test_exit_codes_and_predicates_decide_as_in_git(tmp_path: Path) -> None:
    root = tmp_path / "r"
    commits = generated_history(root, commits=16, fault=11, broken=(7,))
    judge = "python3 -S -c 'import model; raise SystemExit(model.VERSION >= 11)' 2>/dev/null; c=$?; "
    judge += "grep -q VERSION model.py || exit 125; exit $c"
    result = bisect_commits(commits[0], shell_predicate=judge, repository=root, output_dir=tmp_path / "a")
    assert result.culprit_sha == commits[11]
    root = tmp_path / "whole"
    commits = generated_history(root, commits=16, fault=11)
    program = f"{sys.executable} -S -c 'import model; raise SystemExit(3 * (model.VERSION >= 11))'"
    result = bisect_commits(commits[0], "main", program, repository=root, output_dir=tmp_path / "b")
    assert result.culprit_sha == commits[11]
    assert result.subjects[commits[11]].endswith("a: change 11")


def test_ends_that_are_not_good_and_bad_are_no_bisection(tmp_path: Path) -> None:
    root = tmp_path / "r"
    commits = generated_history(root, commits=8, fault=3)
    with pytest.raises(InputError, match=r"the good end, .* is bad .*0.5"):
        _bisect(root, commits[4:], tmp_path / "a")
    with pytest.raises(InputError, match=r"the bad end, .* is good"):
        _bisect(root, commits[:2], tmp_path / "b")
    with pytest.raises(InputError, match="cannot be told apart"):
        _bisect(root, commits[4:], tmp_path / "c", repeats=2)
    with pytest.raises(UsageError, match="no ancestor"):
        _bisect(root, commits[::-1], tmp_path / "d")
    with pytest.raises(UsageError, match="no commit 'nothing'"):
        bisect_commits("nothing", cmd="true", repository=root)
    with pytest.raises(UsageError, match="no name of a commit"):
        bisect_commits("--output=x", cmd="true", repository=root)


HOSTILE = {
    "hangs in another session": ("import os, time\nif not os.fork(): os.setsid()\ntime.sleep(99)", "time limit"),
    "prints without end": ("while True: print('x' * 100000)", "printed more than"),
    "writes without end": (
        "import os, sys\nwith open(os.path.join(sys.argv[1], 'big'), 'wb') as f:\n"
        "  while True: f.write(bytes(1 << 20)); f.flush()",
        "wrote more than",
    ),
    "logs nothing": ("print('hello')", "ended well, but"),
}


@pytest.mark.parametrize("how", HOSTILE)
def test_a_hostile_command_is_skipped_and_the_end_says_why(how: str, tmp_path: Path) -> None:
    text, message = HOSTILE[how]
    commits = generated_history(tmp_path / "r", commits=4, fault=2)
    (tmp_path / "bad.py").write_text(text)
    limits: dict[str, Any] = {"timeout": 1.5} if "hangs" in how else {"max_output_gib": 0.05} if "writes" in how else {}
    with pytest.raises(InputError, match=f"the good end, .* cannot be judged: .*{message}"):
        bisect_commits(
            commits[0], commits[-1], f"{sys.executable} -S {tmp_path}/bad.py {{out}}", **KL,
            repository=tmp_path / "r", output_dir=tmp_path / "out", **limits,
        )  # fmt: skip
    assert not list((tmp_path / "out").rglob("train.py"))
    assert sum(path.stat().st_size for path in (tmp_path / "out").rglob("*") if path.is_file()) < 20 << 20


def test_a_program_that_is_nowhere_is_a_wrong_call(tmp_path: Path) -> None:
    commits = generated_history(tmp_path / "r", commits=4, fault=2)
    with pytest.raises(UsageError, match="no-such-program"):
        bisect_commits(commits[0], cmd="no-such-program", repository=tmp_path / "r", output_dir=tmp_path / "out")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_bisection_goes_on_where_it_was(number: signal.Signals, tmp_path: Path) -> None:
    root, home = tmp_path / "r", tmp_path / "out"
    commits = generated_history(root, fault=40)
    (tmp_path / "slow.py").write_text(
        "import time, sys\nsys.argv.pop(0)\ntime.sleep(0.3)\nexec(open('train.py').read())"
    )
    words = ["bisect", "--good", commits[0], "--cmd", f"{sys.executable} {tmp_path}/slow.py train.py {{seed}}"]
    words += ["--metric", "kl", "--cmp", "> 0.2", "--output-dir", str(home)]
    environment = {**os.environ, "PYTHONPATH": "."}
    argv = [sys.executable, "-m", "rldk", *words]
    with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True, cwd=root, env=environment) as process:
        deadline = time.monotonic() + 120
        while _kept(home) < 4 and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(number)
        said = process.communicate(timeout=60)[1]
    before = _kept(home)
    assert before >= 4
    if number == signal.SIGINT:
        assert process.returncode == 130
        assert "goes on from them" in said
    done = subprocess.run([*argv, "--json"], capture_output=True, text=True, check=False, cwd=root, env=environment)
    result = json.loads(done.stdout)
    assert (done.returncode, result["culprit_sha"]) == (0, commits[40])
    assert result["numbers"]["runs_from_before"] == before
    assert result["iterations"] <= 9, "no run was made twice"


def _kept(home: Path) -> int:
    path = home / "bisect.json"
    return len(json.loads(path.read_text())["runs"]) if path.exists() else 0


def test_two_bisections_do_not_share_a_folder(tmp_path: Path) -> None:
    commits = generated_history(tmp_path / "r", commits=4, fault=2)
    _bisect(tmp_path / "r", commits, tmp_path / "out")
    with pytest.raises(UsageError, match="belongs to another bisection"):
        _bisect(tmp_path / "r", commits[:-1], tmp_path / "out")
    assert _bisect(tmp_path / "r", commits[:-1], tmp_path / "out", fresh=True).culprit_sha == commits[2]


def test_versions_of_a_package_are_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "wheels").mkdir()
    for number in range(4):
        small_wheel(tmp_path / "wheels", f"1.{number}", f"KL = {0.5 if number >= 2 else 0.1}\n")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    monkeypatch.chdir(tmp_path)
    Path("train.py").write_text(
        "import tinything, msgspec\nfor step in range(8): print('step', step, 'kl', tinything.KL + step / 1000)\n"
    )
    versions = [f"1.{number}" for number in (0, 7, 1, 2)]  # there is no 1.7
    result = bisect_versions("tinything", versions, f"{sys.executable} train.py", **KL, output_dir="out")
    assert result.culprit_sha == "1.2"
    assert not (tmp_path / "out" / "environments").exists()
    words = ["bisect", "--package", "tinything", "--versions", "1.1..1.3", "--cmd", f"{sys.executable} train.py"]
    done = CliRunner().invoke(main, [*words, "--metric", "kl", "--cmp", "> 0.2", "--output-dir", "b"])
    assert done.exit_code == 0, done.output
    assert "1.2 is the first bad version" in done.stdout
