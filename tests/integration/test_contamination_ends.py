"""A search for contamination that is ended: what it put aside is gone, whichever way it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a parent may have it ignored
from rldk.cards.progress import Progress
from rldk.cli.main import main
from rldk.core.external.scratch import Held, Scratch
from rldk.evals.overlap import search
search.Scratch = lambda held: Scratch(Held(entries=20_000, spool=2000))
Progress.describe = lambda self, words: words.endswith("training data") and print(words, flush=True)
main(sys.argv[1:])
"""


def _ended(tmp_path: Path, number: int) -> tuple[int, list[Path], int]:
    """The exit code, what is left in TMPDIR, and how many of its files were open when the signal came."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    rows = "".join(json.dumps({"prompt": " ".join(f"{i}-{j}" for j in range(30))}) + "\n" for i in range(6000))
    (tmp_path / "data.jsonl").write_text(rows)
    words = ["evals", "evaluate", "data.jsonl", "--suite", "comprehensive", "--train", "data.jsonl"]
    child = subprocess.Popen(
        [sys.executable, "-c", CODE, *words],
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert child.stdout is not None
    child.stdout.readline()  # a part of the training data was searched
    names = [str(one.readlink()) for one in Path(f"/proc/{child.pid}/fd").iterdir()]
    child.send_signal(number)
    child.communicate(timeout=30)
    return child.returncode, list(folder.iterdir()), sum(str(folder) in name for name in names)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="no /proc")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_nothing_is_left_when_a_search_is_ended(tmp_path: Path, number: int, code: int) -> None:
    found, left, opened = _ended(tmp_path, number)
    assert (found, left) == (code, [])
    assert opened > 3
