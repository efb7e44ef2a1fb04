"""Nothing reaches the network unless the user named a remote source."""

from __future__ import annotations

import re
from pathlib import Path

SRC = Path(__file__).parents[2] / "src" / "rldk"
CLIENTS = re.compile(r"^\s*(?:import|from)\s+(?:urllib\.request|http\.client|requests|httpx|socket|aiohttp)\b", re.M)

# a judge or a scorer is asked where the user gave its address;
# the `http` action of a rule file posts to the address that the user wrote there and allowed on the command line
ALLOWED = {"engine/actions/webhook.py", "engine/services/json_server.py"}


def test_no_module_imports_a_network_client() -> None:
    found = {p.relative_to(SRC).as_posix() for p in SRC.rglob("*.py") if CLIENTS.search(p.read_text())}
    assert found == ALLOWED
