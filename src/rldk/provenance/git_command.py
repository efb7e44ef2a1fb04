"""Asks the git program about a repository that may be hostile: it must run nothing that the repository names."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from contextlib import suppress
from pathlib import Path

TIMEOUT_S = 3.0  # of one call: a huge repository on a network drive must not hold up a training
MAX_OUTPUT = 64 << 20  # bytes of one answer
# A repository may name programs in its own configuration: a monitor, hooks, a pager, a helper for credentials. None of
# them is started. `protocol.allow`: nothing is fetched.
_NOTHING_STARTS = (
    "core.fsmonitor=false",
    f"core.hooksPath={os.devnull}",
    "core.pager=cat",
    "core.sshCommand=false",
    "core.untrackedCache=false",
    "credential.helper=",
    "protocol.allow=never",
    "submodule.recurse=false",
    "color.ui=false",
)
_TRUSTED = frozenset({b"system", b"global"})  # configuration of the user, not of the repository
_WORDS_OF_FILTERS = (b"filter", b"include")


def ask_git(
    folder: Path, *words: str, settings: tuple[str, ...] = (), timeout_s: float = TIMEOUT_S, most: int = MAX_OUTPUT
) -> bytes | None:
    """What git prints; None if it fails, takes longer than `timeout_s`, or prints more than `most` bytes.

    The call writes nothing to the repository. `settings`: further `name=value` of its configuration."""
    given = [word for setting in (*_NOTHING_STARTS, *settings) for word in ("-c", setting)]
    argv = ["git", "--no-optional-locks", *given, "-C", os.fspath(folder), *words]
    variables = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}  # no GIT_DIR of another repository
    variables |= {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0"}
    try:
        process = subprocess.Popen(  # noqa: S603 - fixed words
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=variables,
            start_new_session=True,
        )
    except (OSError, ValueError):
        return None
    watchdog = threading.Timer(timeout_s, _end, (process,))
    watchdog.daemon = True
    watchdog.start()
    try:
        said = _read(process, most)
    finally:
        watchdog.cancel()
        if process.poll() is None:
            _end(process)
            process.wait()
    return said if process.returncode == 0 else None


def own_filters(folder: Path, home: Path) -> tuple[str, ...]:
    """Settings that switch off the programs through which the repository itself would send file contents.

    `home`: its `.git` folder. The user's own filters, such as Git LFS, keep working."""
    texts = [_head(home / name) for name in ("config", "config.worktree", "commondir")]
    if not any(word in text.lower() for text in texts[:2] for word in _WORDS_OF_FILTERS) and not texts[2]:
        return ()
    said = ask_git(folder, "config", "--null", "--show-scope", "--name-only", "--get-regexp", r"^filter\.")
    words = (said or b"").split(b"\0")
    names = {
        os.fsdecode(name).rpartition(".")[0]
        for scope, name in zip(words[::2], words[1::2], strict=False)
        if scope not in _TRUSTED
    }
    keys = ("clean=", "smudge=", "process=", "required=false")
    return tuple(f"{name}.{key}" for name in sorted(names) if "=" not in name for key in keys)


def _read(process: subprocess.Popen[bytes], most: int) -> bytes | None:
    """The whole answer; None when it is too long, and the process is then ended."""
    if process.stdout is None:
        return None
    with process.stdout as stream, suppress(OSError):
        said = stream.read(most + 1)
        if len(said) <= most:
            process.wait()
            return said
    _end(process)
    process.wait()
    return None


def _end(process: subprocess.Popen[bytes]) -> None:
    with suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(1 << 20)
    except OSError:
        return b""
