"""The commit that a folder is at, with and without the git program."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from examples import each_of

from rldk.core.manifest import GitState
from rldk.provenance.git import git_state, public_address

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")


def git(folder: Path, *words: str) -> str:
    known = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    who = ("-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "init.defaultBranch=main")
    done = subprocess.run(
        ["git", *who, *words], cwd=folder, check=True, capture_output=True, text=True, env={**os.environ, **known}
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "code"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "train.py").write_text("1\n")
    (folder / "deep").mkdir()
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "first")
    return folder


@pytest.fixture
def no_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))


@needs_git
def test_a_clean_and_a_changed_repository(repository: Path) -> None:
    sha = git(repository, "rev-parse", "HEAD")
    assert git_state(repository / "deep") == GitState(sha=sha, branch="main", dirty=False)
    (repository / "runs").touch()  # what git does not track is no change
    assert git_state(repository) == GitState(sha=sha, branch="main", dirty=False)
    (repository / "train.py").write_text("2\n")
    assert git_state(repository) == GitState(sha=sha, branch="main", dirty=True)


@needs_git
def test_the_remote_is_told_without_credentials(repository: Path) -> None:
    git(repository, "remote", "add", "origin", "https://me:s3cret@example.com/a/b.git?private_token=s3cret")
    found = git_state(repository)
    assert found is not None
    assert found.remote == "https://example.com/a/b.git"


@needs_git
def test_before_the_first_commit_and_off_any_branch(tmp_path: Path, repository: Path) -> None:
    (tmp_path / "new").mkdir()
    git(tmp_path / "new", "init", "-q")
    assert git_state(tmp_path / "new") == GitState(sha=None, branch="main", dirty=False)
    git(repository, "checkout", "-q", "--detach")
    assert git_state(repository) == GitState(sha=git(repository, "rev-parse", "HEAD"), dirty=False)


def test_outside_of_a_repository_there_is_none(tmp_path: Path) -> None:
    assert git_state(tmp_path) is None
    assert git_state(tmp_path / "absent") is None


@needs_git
@pytest.mark.parametrize("packed", [False, True])
def test_without_the_program_the_files_say_the_commit(
    packed: bool, repository: Path, request: pytest.FixtureRequest
) -> None:
    sha = git(repository, "rev-parse", "HEAD")
    if packed:
        git(repository, "pack-refs", "--all")
        assert not (repository / ".git" / "refs" / "heads" / "main").exists()
    request.getfixturevalue("no_git")
    assert git_state(repository / "deep") == GitState(sha=sha, branch="main", dirty=None)


@needs_git
def test_without_the_program_a_work_tree_and_a_detached_head(
    tmp_path: Path, repository: Path, request: pytest.FixtureRequest
) -> None:
    sha = git(repository, "rev-parse", "HEAD")
    git(repository, "worktree", "add", "-q", "-b", "side", str(tmp_path / "side"))
    git(repository, "checkout", "-q", "--detach")
    request.getfixturevalue("no_git")
    assert git_state(tmp_path / "side") == GitState(sha=sha, branch="side")
    assert git_state(repository) == GitState(sha=sha)


@pytest.mark.parametrize(
    "head", ["", "no commit", "ref: refs/heads/gone", "ref: ../../secret", "ref: /etc/passwd", "\x00" * 100]
)
def test_a_head_that_says_nothing_is_no_commit(head: str, tmp_path: Path, no_git: None) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "HEAD").write_text(head)
    (tmp_path / "secret").write_text("a" * 40)
    found = git_state(tmp_path)
    assert found is None or found.sha is None


@each_of(
    ("remote", "said"),
    [
        ("git@example.com:a/b.git", "git@example.com:a/b.git"),
        ("s3cret@example.com:a/b.git", "example.com:a/b.git"),
        ("ssh://git:s3cret@example.com:22/a", "ssh://example.com:22/a"),
        ("https://s3cret@example.com/a#s3cret", "https://example.com/a"),
        ("/srv/a@b/c.git", "/srv/a@b/c.git"),
        ("https://example.com/@scope/a", "https://example.com/@scope/a"),
    ],
)
def test_an_address_loses_who_and_keeps_where(remote: str, said: str) -> None:
    assert public_address(remote) == said
