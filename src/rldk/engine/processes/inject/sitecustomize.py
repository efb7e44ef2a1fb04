"""Loaded by Python itself at the start of a script that rldk has started with hooks. It loads the modules that the
environment names, and then the sitecustomize that would have been loaded otherwise. Standard library only."""

from __future__ import annotations

import os
import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec, spec_from_file_location

HERE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - pathlib would be loaded into the script
MODULES = "RLDK_INJECT"  # files, each with a function `install`


def install(path: str) -> None:
    """Loads one module of hooks. What goes wrong is said, and the script runs as it would without rldk."""
    name = os.path.splitext(os.path.basename(path))[0]  # noqa: PTH119, PTH122
    try:
        spec = spec_from_file_location(name, path)
        if spec is not None and spec.loader is not None:
            module = sys.modules[name] = module_from_spec(spec)
            spec.loader.exec_module(module)
            module.install()
    except Exception as error:  # noqa: BLE001 - the script must run as it would without rldk
        print(f"rldk: the hooks were not installed: {error}", file=sys.stderr)  # noqa: T201


def load_the_other() -> None:
    """Runs the sitecustomize of the environment. Without one, the import of this one fails, as it does without rldk."""
    spec = PathFinder.find_spec("sitecustomize", sys.path)
    if spec is None or spec.loader is None:
        raise ImportError("there is no other sitecustomize", name="sitecustomize")
    module = sys.modules["sitecustomize"] = module_from_spec(spec)
    spec.loader.exec_module(module)


if __name__ == "sitecustomize":
    for one in filter(None, os.environ.get(MODULES, "").split(os.pathsep)):
        install(one)
    sys.path[:] = [place for place in sys.path if os.path.abspath(place or ".") != HERE]  # noqa: PTH100
    load_the_other()
