"""The panel on a terminal, and plain lines where there is none."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import sys
from pathlib import Path

import pytest
from examples import every

ROOT = Path(__file__).parents[2]
COLUMNS, ROWS = 110, 40


def on_a_terminal(cwd: Path, *words: str, **env: str) -> str:
    """What the command shows on a terminal of its own."""
    import fcntl
    import struct
    import termios

    own, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    settings = {k: v for k, v in os.environ.items() if k not in {"CI", "NO_COLOR"}}
    settings |= {"PYTHONPATH": str(ROOT / "src"), "TERM": "xterm-256color", **env}
    command = [sys.executable, "-m", "rldk", "monitor", *words]
    with subprocess.Popen(command, cwd=cwd, stdin=its, stdout=its, stderr=its, env=settings) as process:
        os.close(its)
        shown = b""
        while select.select([own], [], [], 60)[0]:
            try:
                piece = os.read(own, 65536)
            except OSError:  # Linux: the other end is closed
                break
            if not piece:
                break
            shown += piece
    os.close(own)
    assert process.returncode == 0, shown.decode()
    return shown.decode()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = [
        {"step": i, "loss": 1.0 if i < 30 else float("nan"), "kl": 0.1, "\x1b[2Jevil\x07": float(i), "reward": i / 60}
        for i in range(60)
    ]
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


@pytest.mark.slow
def test_a_panel_shows_where_the_run_stands_and_what_is_wrong(folder: Path) -> None:
    shown = on_a_terminal(folder, "--once", "m.jsonl")
    last = shown[shown.rindex("rldk monitor") :]
    assert re.search(r"m\.jsonl  rules: default  \d+ s", last)
    assert "step 59, 60 rows" in last
    assert "GRAD001 since step 30: loss is NaN" in last
    assert "reward_mean" in last
    assert any(block in last for block in "▁▂▃▄▅▆▇█")
    assert last.rstrip().endswith(")")
    assert "Critical since step 30" in last
    assert "\x1b[2J" not in shown
    assert "\x07" not in shown


@pytest.mark.parametrize(("words", "env"), every(3, [(("--plain",), {}), ((), {"CI": "1"}), ((), {"TERM": "dumb"})]))
def test_lines_instead_where_they_are_asked_for(words: tuple[str, ...], env: dict[str, str], folder: Path) -> None:
    shown = on_a_terminal(folder, "--once", "m.jsonl", *words, **env)
    assert shown.startswith("[critical] GRAD001 step 30: loss is NaN")
    assert "\x1b" not in shown
