"""CONTRIBUTING.md says where to find what: every path that it names is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
PATH = re.compile(r"`((?:src|tests|scripts|benchmarks|docs|examples)/[\w./-]+)`")


def test_every_path_in_the_table_exists() -> None:
    table = PAGE.partition("Where to find what:")[2].partition("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| Wh")]
    assert len(rows) >= 15
    assert [row for row in rows if not PATH.search(row)] == []
    assert [path for path in PATH.findall(PAGE) if not (ROOT / path).exists()] == []


def test_every_package_is_in_the_table_of_packages() -> None:
    table = PAGE.partition("## The shape")[2].partition("Where to find what:")[0]
    own = {p.stem for p in (ROOT / "src" / "rldk").iterdir() if p.is_dir() and (p / "__init__.py").exists()}
    assert own - set(re.findall(r"`(\w+)`", table)) == set()
