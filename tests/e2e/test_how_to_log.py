"""Every snippet of the page on logging, run in order as a reader would."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from rldk.core.jsonl import decode

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "log-from-your-own-loop.md"


@pytest.mark.slow
def test_the_page_on_logging_does_what_it_says(tmp_path: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("RLDK_")}
    snippets = re.findall(r"^```(python|sh)\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert {kind for kind, _ in snippets} == {"python", "sh"}
    for kind, code in snippets:
        words = ["-c", code] if kind == "python" else ["-m", *shlex.split(code)]
        subprocess.run([sys.executable, *words], cwd=tmp_path, env=environment, check=True, timeout=60)
    found = decode(tmp_path / "artifacts" / "run.jsonl")
    assert (found.rejected_count, found.records) == (0, 203)
    assert (tmp_path / "runs" / "sums" / "warm" / "run.json").is_file()
