"""Nothing reaches the network unless the user named a remote source."""

from __future__ import annotations

import re
from pathlib import Path

SRC = Path(__file__).parents[2] / "src" / "rldk"
CLIENTS = re.compile(r"^\s*(?:import|from)\s+(?:urllib\.request|http\.client|requests|httpx|socket|aiohttp)\b", re.M)


def test_no_module_imports_a_network_client() -> None:
    assert not [str(p.relative_to(SRC)) for p in SRC.rglob("*.py") if CLIENTS.search(p.read_text())]
