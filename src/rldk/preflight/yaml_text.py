"""Reads YAML as trainers do: 1e-6 is a number."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from rldk.errors import MalformedInput

_FLOAT = re.compile(r"[-+]?(?:\d[\d_]*\.?[\d_]*|\.[\d_]+)[eE][-+]?\d+$")


@cache
def _loader() -> Any:
    """The safe loader, which takes `1e-6` for a number as OmegaConf and argparse do; plain YAML 1.1 reads a text."""
    import yaml

    class Loader(yaml.SafeLoader):
        pass

    Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+0123456789."))
    return Loader


def load_yaml(text: str, name: str) -> dict[str, Any]:
    """The mapping in a YAML text. Raises `MalformedInput` with the line."""
    import yaml

    try:
        value = yaml.load(text, Loader=_loader())  # noqa: S506 - a subclass of the safe loader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark is not None else ""
        reason = str(getattr(error, "problem", None) or error).splitlines()[0]
        raise MalformedInput(f"{name}{line}: {reason}", hint="correct the YAML") from None
    except (RecursionError, ValueError) as error:
        raise MalformedInput(f"{name} cannot be read: {type(error).__name__}", hint="correct the YAML") from None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise MalformedInput(f"{name} is no mapping", hint="a configuration has keys and values")
    return {str(key): item for key, item in value.items()}


def scalar(text: str) -> Any:
    """One value as YAML reads it; the text itself where it is no YAML."""
    import yaml

    try:
        return yaml.load(text, Loader=_loader())  # noqa: S506 - a subclass of the safe loader
    except (yaml.YAMLError, RecursionError, ValueError):
        return text
