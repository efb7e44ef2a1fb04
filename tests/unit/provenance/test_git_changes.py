"""What a run keeps of code that is in no commit: it can be applied again, holds no secret, and starts no program."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from rldk.core.manifest import GitState
from rldk.core.rundir import is_kept
from rldk.provenance.git import git_state
from rldk.provenance.git_changes import KeepLimits, keep_changes

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
AWS = "AKIAIOSFODNN7EXAMPLE"
AWS_SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


def git(folder: Path, *words: str) -> bytes:
    known = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    who = ("-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "protocol.file.allow=always")
    return subprocess.run(
        ["git", *who, *words], cwd=folder, check=True, capture_output=True, env={**os.environ, **known}
    ).stdout


@pytest.fixture
def code(tmp_path: Path) -> Path:
    folder = tmp_path / "code"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "train.py").write_text("lr = 1\n")
    (folder / "weights.bin").write_bytes(bytes(range(256)))
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "first")
    return folder


def kept(code: Path, into: Path, limits: KeepLimits | None = None) -> GitState:
    state = git_state(code)
    assert state is not None
    return keep_changes(code, into, state, limits)


def everything(folder: Path) -> bytes:
    return b"".join(p.read_bytes() + p.name.encode() for p in sorted(folder.rglob("*")) if p.is_file())


def test_changes_apply_to_the_commit_again(code: Path, tmp_path: Path) -> None:
    (code / "train.py").write_bytes("lr = 2 # \u00e9\r\n".encode() + b"\xff no newline")
    (code / "weights.bin").write_bytes(bytes(range(255, -1, -1)))
    (code / "new.py").write_text("x = 1\n")
    git(code, "add", "new.py")
    found = kept(code, tmp_path / "run")
    diff = (tmp_path / "run" / "changes.diff").read_bytes()
    assert found.diff == "changes.diff"
    assert is_kept(found.diff)  # it is no log of the run
    assert found.diff_digest == f"sha256:{hashlib.sha256(diff).hexdigest()}"
    assert found.redactions is None
    again = tmp_path / "again"
    git(tmp_path, "clone", "-q", str(code), str(again))
    git(again, "apply", "--binary", str(tmp_path / "run" / "changes.diff"))
    for name in ("train.py", "weights.bin", "new.py"):
        assert (again / name).read_bytes() == (code / name).read_bytes()


def test_a_clean_tree_keeps_nothing(code: Path, tmp_path: Path) -> None:
    state = git_state(code)
    assert kept(code, tmp_path / "run") == state
    assert not (tmp_path / "run").exists()


def test_changes_before_the_first_commit(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "new")
    (tmp_path / "new" / "a.py").write_text("a\n")
    git(tmp_path / "new", "add", "a.py")
    assert kept(tmp_path / "new", tmp_path / "run").diff == "changes.diff"
    assert b"+a" in (tmp_path / "run" / "changes.diff").read_bytes()


def test_no_planted_secret_is_in_any_file(code: Path, tmp_path: Path) -> None:
    token = "ghp_abcdefghij0123456789abcdefghij012345"
    git(code, "remote", "add", "origin", f"https://{token}@example.com/a.git")
    (code / "train.py").write_text(
        f'key = "{AWS}"\naws_secret_access_key = "{AWS_SECRET}"\npassword: hunter2\n'
        f'url = "https://{token}@example.com/x"\nos.environ["WANDB_API_KEY"] = "{"0a1b2c3d4e" * 4}"\n'
        "k = '''-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA\n-----END RSA PRIVATE KEY-----'''\nlr = 2\n"
    )
    (code / "weights.bin").write_bytes(b"\0" + AWS.encode() + b"\0")
    (code / "notes.txt").write_text(f"use {token}\n")
    (code / "utf16.txt").write_text(f"use {token}\n", encoding="utf-16")
    (code / ".env").write_text("S3=plain-secret-text\n")
    (code / "id_rsa").write_text("plain-secret-text\n")
    found = kept(code, tmp_path / "run")
    text = everything(tmp_path / "run") + repr(found).encode()
    for secret in (AWS, AWS_SECRET, "hunter2", token, "0a1b2c3d4e", "MIIEowIBAAKCAQEA", "plain-secret-text"):
        assert secret.encode() not in text.replace(b"\0", b""), secret
    assert b"+lr = 2" in text
    assert found.redactions is not None
    assert found.redactions >= 9
    reasons = {each.path: each.reason for each in found.untracked or ()}
    assert reasons[".env"] == reasons["id_rsa"] == "a file for secrets"
    assert reasons["notes.txt"] == reasons["utf16.txt"] == reasons["weights.bin"] == "it holds what looks like a secret"


def test_a_secret_that_was_removed_from_a_binary_file_is_not_kept(code: Path, tmp_path: Path) -> None:
    (code / "weights.bin").write_bytes(b"\0" + AWS.encode())
    git(code, "commit", "-qam", "second")
    (code / "weights.bin").write_bytes(b"\0")
    assert [(f.path, f.kept) for f in kept(code, tmp_path / "run").untracked or ()] == [("weights.bin", False)]


def test_untracked_files_are_listed_with_digest_or_reason(code: Path, tmp_path: Path) -> None:
    (code / ".gitignore").write_text("ignored\n")
    (code / "ignored").write_text("x")
    (code / "deep").mkdir()
    (code / "deep" / "small.py").write_text("1\n")
    (code / "large.bin").write_bytes(b"x" * 2000)
    (code / "link").symlink_to("/etc/hostname")
    (code / "runs" / "old").mkdir(parents=True)
    (code / "runs" / "old" / "run.json").write_text("{}")
    (code / "runs" / "now" / "cards").mkdir(parents=True)
    (code / "runs" / "now" / "cards" / "x").write_text("{}")
    found = kept(code, code / "runs" / "now", KeepLimits(file=1000))
    listed = {each.path: each for each in found.untracked or ()}
    assert set(listed) == {".gitignore", "deep/small.py", "large.bin", "link"}
    assert listed["deep/small.py"].kept
    assert (code / "runs/now/untracked/deep/small.py").read_text() == "1\n"
    assert (listed["large.bin"].kept, (listed["large.bin"].reason or "")[:11]) == (False, "larger than")
    assert listed["large.bin"].digest == f"sha256:{hashlib.sha256(b'x' * 2000).hexdigest()}"
    assert listed["link"].reason == "a symbolic link"


def test_limits_on_number_and_room(code: Path, tmp_path: Path) -> None:
    for i in range(5):
        (code / f"u{i}").write_bytes(b"x" * 100)
    found = kept(code, tmp_path / "run", KeepLimits(untracked=250, files=4)).untracked or ()
    assert [f.kept for f in found] == [True, True, False, False, False]
    assert [f.reason for f in found[2:]] == [
        "no room is left",
        "no room is left",
        "only the first 4 of 5 untracked files are listed",
    ]


def test_a_huge_change_is_left_out_and_named(code: Path, tmp_path: Path) -> None:
    (code / "train.py").write_text("lr = 2\n")
    (code / "weights.bin").write_bytes(os.urandom(3000))
    found = kept(code, tmp_path / "run", KeepLimits(file=2000))
    assert [(f.path, f.kept) for f in found.untracked or ()] == [("weights.bin", False)]
    assert b"weights.bin" not in (tmp_path / "run" / "changes.diff").read_bytes()
    none = kept(code, tmp_path / "none", KeepLimits(changes=10))
    assert none.diff is None
    assert [f.path for f in none.untracked or ()] == ["changes.diff"]


@pytest.mark.parametrize("where", ["config", "included"])
def test_a_hostile_repository_starts_nothing(code: Path, tmp_path: Path, where: str) -> None:
    mark = tmp_path / "started"
    evil = tmp_path / "evil"
    evil.write_text(f"#!/bin/sh\ntouch {mark}\ncat\n")
    evil.chmod(0o755)
    hostile = (
        f"[core]\n\tfsmonitor = {evil}\n\tpager = {evil}\n\tsshCommand = {evil}\n\thooksPath = {tmp_path}\n"
        f"[diff]\n\texternal = {evil}\n[diff \"x\"]\n\ttextconv = {evil}\n\tcommand = {evil}\n"
        f"[filter \"x\"]\n\tclean = {evil}\n\tprocess = {evil}\n\tsmudge = {evil}\n\trequired = true\n"
    )  # fmt: skip
    config = code / ".git" / "config"
    if where == "config":
        config.write_text(config.read_text() + hostile)
    else:
        (code / "more.cfg").write_text(hostile)
        config.write_text(config.read_text() + "[include]\n\tpath = ../more.cfg\n")
    (code / ".gitattributes").write_text("* filter=x diff=x\n")
    (code / "train.py").write_text("lr = 3\n")
    found = kept(code, tmp_path / "run")
    assert not mark.exists()
    assert b"+lr = 3" in (tmp_path / "run" / "changes.diff").read_bytes()
    assert found.dirty


def test_a_work_tree_that_lies_elsewhere_is_not_read(code: Path, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "private").write_text("x")
    git(code, "config", "core.worktree", str(tmp_path / "home"))
    state = git_state(code) or GitState()
    assert keep_changes(code, tmp_path / "run", state) == state


@pytest.mark.slow
def test_submodules_are_named_with_their_commit(code: Path, tmp_path: Path) -> None:
    outer = tmp_path / "outer"
    outer.mkdir()
    git(outer, "init", "-q")
    git(outer, "submodule", "add", "-q", str(code), "lib")
    git(outer, "commit", "-qm", "first")
    found = kept(outer, tmp_path / "run")
    assert found.submodules == {"lib": git(code, "rev-parse", "HEAD").decode().strip()}
    assert found.dirty is False
    (outer / "lib" / "train.py").write_text("other\n")
    assert kept(outer, tmp_path / "run").dirty is True


def test_the_programs_of_a_hostile_submodule_are_not_started(code: Path, tmp_path: Path) -> None:
    outer, mark = tmp_path / "outer", tmp_path / "started"
    outer.mkdir()
    git(outer, "init", "-q")
    git(outer, "submodule", "add", "-q", str(code), "lib")
    git(outer, "commit", "-qm", "first")
    config = outer / ".git" / "modules" / "lib" / "config"
    config.write_text(
        config.read_text() + f'[filter "x"]\n\tclean = touch {mark}; cat\n[core]\n\tfsmonitor = touch {mark}\n'
    )
    (outer / "lib" / ".gitattributes").write_text("* filter=x\n")
    (outer / "lib" / "train.py").write_text("lr = 7\n")
    assert kept(outer, tmp_path / "run").dirty is True
    assert not mark.exists()


def test_names_that_are_no_plain_text_are_listed(code: Path, tmp_path: Path) -> None:
    (code / "a\nb").write_text("1")
    Path(os.fsdecode(os.fsencode(code) + b"/\xff")).write_text("2")
    (code / "hf_abcdefghij0123456789").write_text("3")
    found = {each.path: each for each in kept(code, tmp_path / "run").untracked or ()}
    assert found["a\nb"].kept
    assert (found["\ufffd"].kept, found["\ufffd"].reason) == (False, "its name is no plain text")
    assert not any("hf_abc" in name for name in found)
    assert b"hf_abcdefghij0123456789" not in everything(tmp_path / "run")


def test_a_file_of_git_lfs_is_named_by_its_content(code: Path, tmp_path: Path) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize {}\n"
    (code / "model.bin").write_text(pointer.format("a" * 64, 10))
    git(code, "add", "model.bin")
    git(code, "commit", "-qm", "model")
    (code / "model.bin").write_text(pointer.format("b" * 64, 20))
    (large,) = kept(code, tmp_path / "run").untracked or ()
    assert (large.path, large.bytes, large.digest) == ("model.bin", 20, f"sha256:{'b' * 64}")
