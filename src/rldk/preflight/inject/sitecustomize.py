"""Loaded by Python itself at the start of a script that `rldk preflight` runs: it installs the hooks, and then loads
the sitecustomize that would have been loaded otherwise. It imports nothing but the standard library."""

from __future__ import annotations

import os
import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec

HERE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - pathlib would be loaded into the user's script


def load_the_other() -> None:
    """Runs the sitecustomize of the environment, if there is one."""
    places = [place for place in sys.path if os.path.abspath(place or ".") != HERE]  # noqa: PTH100
    spec = PathFinder.find_spec("sitecustomize", places)
    if spec is not None and spec.loader is not None:
        module = module_from_spec(spec)
        spec.loader.exec_module(module)


try:
    import rldk_first_step  # type: ignore[import-not-found]  # it is beside this file, which is on the path

    rldk_first_step.install()
except Exception as error:  # noqa: BLE001 - the script must run as it would without rldk
    print(f"rldk: the hooks were not installed: {error}", file=sys.stderr)  # noqa: T201
load_the_other()
