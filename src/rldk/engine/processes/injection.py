"""Hooks in the Python processes of a command: the environment that makes Python load them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

INJECT = Path(__file__).parent / "inject"
MODULES = "RLDK_INJECT"


def injected(module: Path, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What the environment of a command gets besides its own, so that its Python processes load a module of hooks.

    The module has a function `install`, and needs nothing but the standard library and `rldk_after_import`."""
    paths = [str(INJECT), *filter(None, [environment.get("PYTHONPATH", "")])]
    modules = [*filter(None, [environment.get(MODULES, "")]), str(module)]
    return {"PYTHONPATH": os.pathsep.join(paths), MODULES: os.pathsep.join(modules)}
