"""How the numeric libraries were built: their version files are read, and no library is imported for it."""

from __future__ import annotations

import re
import sys
from importlib import util
from pathlib import Path
from typing import Any

from rldk.core.text import later

MAX_BYTES = 1 << 18
_TORCH = later(r"^(__version__|cuda|hip|git_version|debug)\b[^=\n]{0,60}=\s*['\"]?([^'\"\n]{1,80})", re.MULTILINE)
_BLAS = later(r"\"(blas|lapack)\"\s*:\s*\{([^{}]{0,4000})")
_FIELD = later(r"\"(name|version|openblas configuration)\"\s*:\s*r?\"([^\"]{0,300})\"")


def torch_build() -> dict[str, Any]:
    """The version of PyTorch, and the CUDA or ROCm that it was built for; empty where it is not installed.

    `threads` and `deterministic` are those of this process, where PyTorch is imported already."""
    text = _text("torch", "version.py")
    found = {name.strip("_"): value for name, value in _TORCH.findall(text) if value.strip() not in ("None", "False")}
    module = sys.modules.get("torch")
    if module is not None and hasattr(module, "get_num_threads"):  # it may be half imported
        found["threads"] = module.get_num_threads()
        found["deterministic"] = module.are_deterministic_algorithms_enabled()
    return found


def linear_algebra() -> dict[str, dict[str, str]]:
    """The BLAS and LAPACK that NumPy was built with; empty where its build does not say so."""
    text = _text("numpy", "__config__.py")
    return {part: dict(_FIELD.findall(fields)) for part, fields in _BLAS.findall(text) if _FIELD.search(fields)}


def _text(package: str, name: str) -> str:
    """The text of a file of an installed package; empty where there is none."""
    try:
        found = util.find_spec(package)
    except (ImportError, ValueError):
        return ""
    for place in (found.submodule_search_locations or ()) if found else ():
        try:
            with (Path(place) / name).open("rb") as stream:
                return stream.read(MAX_BYTES).decode("utf-8", "replace")
        except OSError:
            continue
    return ""
