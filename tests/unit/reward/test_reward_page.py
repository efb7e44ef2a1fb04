"""docs/reward.md has the table that `python -m benchmarks.reward_faults` prints."""

from __future__ import annotations

import re
from pathlib import Path

from benchmarks.reward_faults import FAULTS, HEAD, row

PAGE = Path(__file__).parents[3] / "docs" / "reward.md"
CLEAN = "none"


def test_the_page_has_a_row_as_printed_for_every_fault() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text.count(HEAD) == 1
    rows = text.split(HEAD)[1].split("\n\n")[0].strip().splitlines()
    assert len(rows) == len(FAULTS)
    for line, name in zip(rows, FAULTS, strict=True):
        counts = [int(word) for word in re.findall(r"(\d+) of", line.removeprefix(f"| {name} |"))]
        named, inside = (counts * 2)[:2]
        assert line == row(name, (named, inside, 20), line.split(" | ")[-1].removesuffix(" |"), fault=name != CLEAN)
        assert named >= 19, name
