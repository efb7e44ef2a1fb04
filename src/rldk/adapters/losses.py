"""What each format keeps and loses, read from the page that says so: one text for docs and `rldk format-info`."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

PAGE = Path(__file__).with_name("losses.md")


@cache
def losses() -> dict[str, tuple[str, str]]:
    """adapter name -> (keeps, loses), as plain text."""
    found: dict[str, tuple[str, str]] = {}
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        cells = [c.strip().replace("`", "") for c in line.strip("|").split(" | ")]
        if len(cells) == 3 and line.startswith("| ") and cells[0] != "format":
            for name in re.sub(r"\(.*?\)", "", cells[0].lstrip("| ")).split(","):
                found[name.strip()] = (cells[1], cells[2].rstrip("| "))
    return found
