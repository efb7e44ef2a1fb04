"""Logs that mean harm, or are merely enormous."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from examples import each_of

from rldk.cli.main import main

NAMES = [
    "\x1b]0;owned\x07kl\x1b[31m",
    "<script>alert(1)</script>",
    "two\nlines\r\n[critical] FAKE step 1: stop everything",
    "{value.__class__}{0}{name!r:>999999999}",
    "\u202egnp.\u2028exe\ud800",
    "--output=/etc/passwd",
    "x" * 5000,
]


def monitor(tmp_path: Path, *words: str) -> Result:
    with contextlib.chdir(tmp_path):
        done = CliRunner().invoke(main, ["monitor", "--once", "m.jsonl", *words])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


def once(tmp_path: Path, *words: str) -> Result:
    done = monitor(tmp_path, "--report", "r.json", *words)
    assert done.exit_code == 0, done.stderr
    return done


def report(tmp_path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((tmp_path / "r.json").read_text())
    return found


@each_of("name", NAMES)
def test_a_metric_name_can_neither_write_to_the_terminal_nor_add_a_line(name: str, tmp_path: Path) -> None:
    rules = {
        "rules": [
            {
                "id": "any",
                "metric": "*",
                "condition": "value > 5",
                "actions": [{"warn": {"msg": "{name} is {value:.1f}"}}],
            }
        ]
    }
    (tmp_path / "rules.json").write_text(json.dumps(rules))
    rows = [{"step": i, name: 9.0 if i > 20 else 1.0} for i in range(30)]
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = once(tmp_path, "--rules", "rules.json", "--alerts-txt", "a.txt", "--alerts", "a.jsonl")
    assert (tmp_path / "a.txt").read_text() == done.stdout.split("\n")[0] + "\n"
    assert done.stdout.startswith("[warn] any step 21: ")
    assert "is 9.0" in done.stdout or len(name) > 1000 or "{" in name
    assert done.stdout.count("\n") == 2
    assert all(c == "\n" or c.isprintable() for c in done.stdout)
    (line,) = (tmp_path / "a.jsonl").read_text().splitlines()
    assert json.loads(line)["finding"]["metric"].startswith(name[:20].replace("\ud800", "\ufffd"))


@pytest.mark.slow
def test_ten_thousand_metrics_are_watched(tmp_path: Path) -> None:
    with (tmp_path / "m.jsonl").open("w") as log:
        for step in range(12):
            row = {
                "step": step,
                "loss": 1.0 if step < 8 else float("nan"),
                **{f"layer_{i}/norm": 0.5 for i in range(10_000)},
            }
            log.write(json.dumps(row) + "\n")
    done = once(tmp_path)
    assert "GRAD001 step 8" in done.stdout
    assert report(tmp_path)["source"] == {"lines": 12, "rejected": 0, "out_of_order": 0, "gaps": 0}


def test_a_line_of_five_megabytes_is_read_and_one_of_twelve_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "m.jsonl").open("w") as log:
        for step in range(30):
            size = {10: 5_000_000, 12: 12_000_000}.get(step, 0)
            log.write(json.dumps({"step": step, "loss": 1.0 if step < 20 else float("nan"), "text": "a" * size}) + "\n")
    done = once(tmp_path)
    assert "GRAD001 step 20" in done.stdout
    source = report(tmp_path)["runs"][0]["source"]
    assert (source["lines"], source["rejected"], source["first_rejected"][0]["line"]) == (30, 1, 13)


def test_noise_between_the_lines_is_counted(tmp_path: Path) -> None:
    noise = [b"\x00" * 50, b" 52%|#####     | 52/100", b'{"step": 1.5}', b"[]", b"\xff\xfe{", b'{"step": 3, "lo']
    lines = [json.dumps({"step": i, "loss": 1.0}).encode() for i in range(400)]
    for i, bad in enumerate(noise):
        lines.insert(300 + 7 * i, bad)
    (tmp_path / "m.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    once(tmp_path)
    source = report(tmp_path)["source"]
    assert (source["lines"], source["rejected"]) == (406, 6)


@each_of("content", [b"", b"\n\n\n", os.urandom(3000), b"no log at all\n" * 50])
def test_what_is_no_log_is_one_error(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "m.jsonl").write_bytes(content)
    done = monitor(tmp_path)
    assert done.exit_code == 3
    assert len(done.stderr.splitlines()) == 2
