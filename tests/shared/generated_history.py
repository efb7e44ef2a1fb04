"""Generates a repository of many commits, with branches on request. One commit brings a fault."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

PROGRAM = """import random, sys
import model
random.seed(f"{sys.argv[1]} {model.VERSION}")
bad = model.VERSION >= model.FAULT
if random.random() < model.FLIP:
    bad = not bad
for step in range(8):
    print("step", step, "kl", (0.5 if bad else 0.1) + step / 1000)
"""


def generated_history(
    place: Path, *, commits: int = 64, fault: int = 40, flip: float = 0.0, broken: tuple[int, ...] = ()
) -> list[str]:
    """Makes the repository in one go (`git fast-import`) and returns the commits, the oldest first.

    From commit number `fault` on (counted from 0) a run is bad. `flip`: how often a run says the opposite. `broken`:
    commits whose program does not start."""
    place.mkdir(parents=True)
    lines: list[str] = []
    for number in range(commits):
        model = f"VERSION = {number}\nFAULT = {fault}\nFLIP = {flip}\n"
        model = "raise SystemExit('does not build')\n" if number in broken else model
        message = f"change {number}"
        lines += [
            "commit refs/heads/main",
            f"mark :{number + 1}",
            f"committer a <a@b.c> {1_700_000_000 + number} +0000",
        ]
        lines += [f"data {len(message)}", message]
        lines += [f"from :{number}"] if number else []
        for name, text in {"model.py": model, **({} if number else {"train.py": PROGRAM, "notes.txt": "n\n"})}.items():
            lines += [f"M 100644 inline {name}", f"data {len(text)}", text]
    environment = {"PATH": os.environ["PATH"], "HOME": str(place), "GIT_CONFIG_GLOBAL": os.devnull}

    def git(*words: str, text: str | None = None) -> str:
        done = subprocess.run(
            ["git", "-C", str(place), *words], input=text, capture_output=True, text=True, check=True, env=environment
        )
        return done.stdout

    git("init", "-q", "-b", "main")
    git("fast-import", "--quiet", text="\n".join([*lines, ""]))
    git("checkout", "-q", "-f", "main")
    return git("rev-list", "--reverse", "main").split()
