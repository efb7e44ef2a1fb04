"""The limits of what is kept of a run's origin: at the limit it is kept, beside it it is cut or left out."""

from __future__ import annotations

import importlib
import os
import platform
from importlib import metadata
from pathlib import Path

import pytest
from examples import each_of

from rldk import __version__
from rldk.cards import markdown
from rldk.core.configuration.versions import reaches
from rldk.core.manifest import GitState, Manifest
from rldk.provenance import git, installation
from rldk.provenance.capture import MAX_SCRIPT, MAX_WORD, MAX_WORDS, with_origin
from rldk.provenance.environment import MAX_TEXT, VARIABLES, environment
from rldk.provenance.git import MAX_BYTES, git_state, public_address
from rldk.provenance.git_command import TIMEOUT_S, ask_git
from rldk.provenance.installation import check_installation, view_of
from rldk.provenance.packages import installed, version_of

SHA, OTHER = "0123456789" * 4, "abcdef0123" * 4


def test_the_documented_limits() -> None:
    assert (MAX_WORD, MAX_WORDS, MAX_SCRIPT, MAX_TEXT) == (1000, 500, 16 << 20, 1000)
    assert (TIMEOUT_S, MAX_BYTES) == (3.0, 4 << 20)


def test_a_command_is_cut_at_five_hundred_words_of_a_thousand_characters(tmp_path: Path) -> None:
    argv = ["w" * MAX_WORD, "v" * (MAX_WORD + 1), *map(str, range(MAX_WORDS))]
    command = with_origin(Manifest(), argv, tmp_path).command
    assert command[:2] == ("w" * MAX_WORD, "v" * MAX_WORD)
    assert command[2:] == tuple(map(str, range(MAX_WORDS - 2)))


@pytest.mark.slow
def test_a_script_is_hashed_up_to_sixteen_mebibytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rldk.provenance.capture.MAX_SCRIPT", 8)
    names = {"a.py": 8, "b.sh": 8, "c.py": 9, "d.txt": 1, "folder.py": None}
    for name, size in (("a.py", 8), ("b.sh", 8), ("c.py", 9), ("d.txt", 1)):
        (tmp_path / name).write_bytes(b"#" * size)
    (tmp_path / "folder.py").mkdir()
    found = {name: with_origin(Manifest(), ["python", str(tmp_path / name)]).script for name in names}
    assert {name for name, script in found.items() if script is not None} == {"a.py", "b.sh"}
    first = with_origin(Manifest(), ["x\0.py", str(tmp_path / "b.sh"), str(tmp_path / "a.py")]).script
    assert first is None or first.path == str(tmp_path / "b.sh")


def test_the_environment_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    found = environment(dict.fromkeys(VARIABLES, "9"))
    assert {key: found[key] for key in [*found][:8]} == {
        "python": platform.python_version(), "implementation": platform.python_implementation(),
        "platform": platform.platform(), "machine": platform.machine(), "cpus": os.cpu_count(), "rldk": __version__,
        "cuda_devices": ["9"], "variables": dict.fromkeys(VARIABLES, "9"),
    }  # fmt: skip
    monkeypatch.setenv("XLA_FLAGS", "x" * (MAX_TEXT + 1))
    assert environment()["variables"]["XLA_FLAGS"] == "x" * MAX_TEXT
    many = environment({"CUDA_VISIBLE_DEVICES": "1," * MAX_TEXT})
    assert many["cuda_devices"] == ["1"] * (MAX_TEXT // 2)


def _answers(monkeypatch: pytest.MonkeyPatch, status: str | None, remote: str | None = None) -> None:
    monkeypatch.setattr(git, "_asked", lambda folder, *words, **_: status if words[0] == "status" else remote)


@pytest.mark.parametrize(
    ("status", "remote", "expected"),
    [
        (f"# branch.oid {SHA}\n# branch.head main\n", None, GitState(sha=SHA, branch="main", dirty=False)),
        (f"# branch.oid {SHA}\n# branch.head main\n1 .M x\n", "\n", GitState(sha=SHA, branch="main", dirty=True)),
        ("# branch.oid (initial)\n# branch.head new\n", "/a\n", GitState(branch="new", dirty=False, remote="/a")),
        (f"# branch.oid {SHA}\n# branch.head (detached)\n", None, GitState(sha=SHA, dirty=False)),
        (f"# branch.oid {SHA}{'0' * 24}\n", None, GitState(sha=SHA + "0" * 24, dirty=False)),
        (f"# branch.oid {SHA}0\n# branch\n# other line\n", None, GitState(dirty=False)),
    ],
)  # fmt: skip
def test_what_git_says_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: str, remote: str | None, expected: GitState
) -> None:
    (tmp_path / ".git").mkdir()
    _answers(monkeypatch, status, remote)
    assert git_state(tmp_path) == expected


def _program(folder: Path, text: str) -> None:
    folder.mkdir()
    (folder / "git").write_text(f"#!/bin/sh\n{text}\n")
    (folder / "git").chmod(0o755)


def test_git_is_asked_without_the_variables_of_another_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _program(tmp_path / "bin", 'echo "$@|$GIT_DIR|$LC_ALL|$GIT_TERMINAL_PROMPT"')
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("GIT_DIR", "/elsewhere")
    said = (ask_git(tmp_path, "status", settings=("a.b=c",)) or b"").decode()
    assert said.startswith("--no-optional-locks -c core.fsmonitor=false -c core.hooksPath=/dev/null ")
    assert said.endswith(f"-c a.b=c -C {tmp_path} status||C|0\n")


def test_a_git_that_fails_says_too_much_or_takes_too_long_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    _program(tmp_path / "bin", 'echo 12345; case "$*" in *" fail") exit 1;; *" slow") sleep 60;; esac')
    assert ask_git(tmp_path, "ok", most=6) == b"12345\n"
    assert ask_git(tmp_path, "ok", most=5) is None
    assert ask_git(tmp_path, "fail") is None
    assert ask_git(tmp_path, "slow", timeout_s=0.1) is None


def _head(home: Path, text: str) -> None:
    home.mkdir(parents=True, exist_ok=True)
    (home / "HEAD").write_text(text)


def test_without_the_program_the_files_say_commit_and_branch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _answers(monkeypatch, None)
    home = tmp_path / ".git"
    _head(home, f"{SHA}\n")
    assert git_state(tmp_path) == GitState(sha=SHA)
    _head(home, "nothing\n")
    assert git_state(tmp_path) is None
    _head(home, "ref: refs/heads/a/b\n")
    assert git_state(tmp_path) == GitState(branch="a/b")
    (home / "packed-refs").write_text(f"# pack-refs\n{OTHER} refs/heads/a\n{SHA} refs/heads/a/b\n")
    assert git_state(tmp_path) == GitState(sha=SHA, branch="a/b")
    (home / "refs/heads/a").mkdir(parents=True)
    (home / "refs/heads/a/b").write_text(f"{OTHER}\n")
    assert git_state(tmp_path) == GitState(sha=OTHER, branch="a/b")
    (home / "refs/heads/a/b").write_text("torn\n")
    assert git_state(tmp_path) == GitState(sha=SHA, branch="a/b")
    for outside in ("../secret", str(tmp_path / "secret")):
        (tmp_path / "secret").write_text(f"{OTHER}\n")
        _head(home, f"ref: {outside}\n")
        found = git_state(tmp_path)
        assert found is not None
        assert found.sha is None


def test_a_work_tree_has_its_branch_in_the_repository_that_it_belongs_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _answers(monkeypatch, None)
    home, tree = tmp_path / "main/.git", tmp_path / "tree/deep"
    _head(home / "worktrees/w", "ref: refs/heads/w\n")
    (home / "worktrees/w/commondir").write_text("../..\n")
    (home / "packed-refs").write_text(f"{SHA} refs/heads/w\n")
    tree.mkdir(parents=True)
    (tree.parent / ".git").write_text("gitdir: ../main/.git/worktrees/w\n")
    assert git_state(tree) == GitState(sha=SHA, branch="w")
    (tree.parent / ".git").write_text("not a pointer\n")
    assert git_state(tree) is None


@each_of(
    ("remote", "expected"),
    [
        ("git@github.com:a/b.git", "git@github.com:a/b.git"), ("me@host:a", "host:a"), ("host:a", "host:a"),
        ("/srv/a@b", "/srv/a@b"), ("https://u:p@h/x?token=1#f", "https://h/x"), ("HTTPS://h/x", "HTTPS://h/x"),
        ("ssh://me@h:22/x\ny", "ssh://h:22/x\ny"),
    ],
)  # fmt: skip
def test_a_public_address(remote: str, expected: str) -> None:
    assert public_address(remote) == expected


def test_versions_at_their_bounds() -> None:
    enough = [("1!2.0", "2"), ("2", "2.0.0"), ("2.0.1", "2.0"), ("2.0a1", "2.0rc1"), ("10", "9"), ("2.0-dev", "2.0b1")]
    short = [("2.0b1", "2.0"), ("2.0-dev", "2.0"), ("2.0", "2.0.1"), ("9", "10"), ("x", "1"), ("1", "x")]
    assert [pair for pair in enough if not reaches(*pair)] == []
    assert [pair for pair in short if reaches(*pair)] == []
    assert version_of("rldk-that-is-not-there") is None
    assert version_of("") is None


def test_only_folders_of_metadata_name_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "a-1.0.dist-info",
        "B_b.c-2.0-py3.11.egg-info",
        "noversion.dist-info",
        "d-3.0.other",
        "-x-1.dist-info",
    ):
        (tmp_path / name).mkdir()
    monkeypatch.setattr("sys.path", [str(tmp_path), ""])
    monkeypatch.chdir(tmp_path)
    assert installed() == {"a": "1.0", "b-b-c": "2.0"}


def test_an_installation_is_shown_with_every_state(monkeypatch: pytest.MonkeyPatch) -> None:
    versions = {"click": "8.0", "numpy": "2.0", "old": "1.0", "new": "3.1", "pyyaml": "6.0"}
    monkeypatch.setattr(installation, "version_of", versions.get)
    imported: list[str] = []
    monkeypatch.setattr(importlib, "import_module", imported.append)
    needs = [
        "Click >= 8", "numpy>=2.1", "gone", "PyYAML>=6 ; python_version > '3'", "old>=2; extra == 'a'", "???",
        'new>=3; extra == "b"', "x; extra == 'dev'", "y; extra == 'integrations'", "z; extra == 'all'",
    ]  # fmt: skip
    found = check_installation(needs)
    assert [(p.name, p.version, p.least, p.problem) for p in found.packages] == [
        ("click", "8.0", "8", ""), ("numpy", "2.0", "2.1", "older than 2.1"), ("gone", None, "", "not installed"),
        ("pyyaml", "6.0", "6", ""),
    ]  # fmt: skip
    assert imported == ["click", "numpy", "yaml"]
    assert [(e.name, e.install) for e in found.extras] == [("a", 'pip install --upgrade "rldk[a]"'), ("b", "")]
    assert found.problems == ("numpy: older than 2.1", "gone: not installed")
    view = view_of(found)
    assert (view.tone, view.badge, view.banner) == (
        "critical", "BROKEN", f"rldk {__version__} does not work here: numpy: older than 2.1; gone: not installed.",
    )  # fmt: skip
    text = markdown.render(view, everything=True)
    rows = (
        "| numpy | 2.0 | 2.1 | older than 2.1 |", "| gone | - | - | not installed |", "| click | 8.0 | 8 | fine |",
        "| a | old 1.0 | not complete |", "| b | new 3.1 | fine |", "| temporary files |",
    )  # fmt: skip
    for row in rows:
        assert row in text
    assert [s.title for s in view.sections] == ["Packages", "Extras", "Places", "To complete the extras"]
    fine = view_of(check_installation(["click>=8"]))
    assert (fine.tone, fine.badge, fine.banner) == ("ok", "FINE", f"rldk {__version__} is installed and works.")
    assert [s.title for s in fine.sections] == ["Packages", "Extras", "Places"]


def test_python_has_the_bound_that_the_package_declares(monkeypatch: pytest.MonkeyPatch) -> None:
    for declared, least, problem in ((">=3.11", "3.11", ""), (">= 99.1", "99.1", "older than 99.1"), ("", "", "")):
        monkeypatch.setattr(metadata, "metadata", lambda name, d=declared: {"Requires-Python": d})
        python = check_installation([]).python
        assert (python.least, python.problem, python.version) == (least, problem, platform.python_version())
