"""A configuration as preflight reads it: a file or a shell line, of which trainer, and its values by dotted keys."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from rldk.core.algorithms import ALGORITHMS
from rldk.core.configuration.nested import dotted
from rldk.core.rundir import MANIFEST
from rldk.errors import MalformedInput, UnreadableSource, UsageError
from rldk.preflight.hydra import compose, override, resolve
from rldk.preflight.recognise import Recognised, recognise
from rldk.preflight.shell import read_shell
from rldk.preflight.yaml_text import load_yaml

MAX_BYTES = 1 << 20
YAML, JSON = frozenset({".yaml", ".yml"}), frozenset({".json"})


class ConfigSource(Struct, frozen=True, kw_only=True):
    """A configuration. `how`: by what the trainer was recognised. `notes`: what could not be read, in sentences."""

    path: str
    framework: str | None = None
    algorithm: str | None = None
    how: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def read_config(
    path: Path, overrides: Sequence[str] = (), *, framework: str | None = None, algorithm: str | None = None
) -> ConfigSource:
    """The configuration in a YAML or JSON file, in the command of a shell script, or in the manifest of a run.

    `overrides`: `key=value`, as hydra takes them. `framework`, `algorithm`: said by the user, where they are not to be
    recognised. Raises `UnreadableSource`, `MalformedInput` and `UsageError`."""
    path = path / MANIFEST if path.is_dir() else path  # the directory of a run
    text = _text(path)
    notes: list[str] = []
    command: tuple[str, ...] = ()
    if path.suffix in YAML:
        nested = compose(path, load_yaml(text, str(path)), overrides, notes)
    elif path.suffix in JSON:
        nested = _json(text, str(path))
    else:
        shell = read_shell(text)
        command, nested = shell.command, shell.values
        notes += shell.notes
        if not nested:
            hint = "give a YAML file, a JSON file, or a script whose command holds the settings"
            raise MalformedInput(f"{path} holds no settings of a trainer", hint=hint)
    for word in overrides:
        override(nested, word)
    return source_of(nested, str(path), command=command, notes=notes, framework=framework, algorithm=algorithm)


def source_of(
    config: Mapping[str, Any],
    name: str,
    *,
    command: Sequence[str] = (),
    notes: Sequence[str] = (),
    framework: str | None = None,
    algorithm: str | None = None,
) -> ConfigSource:
    """The configuration of a mapping, nested or with dotted keys."""
    if algorithm is not None and algorithm not in ALGORITHMS:
        raise UsageError(f"unknown algorithm {algorithm!r}", hint=f"one of {', '.join(sorted(ALGORITHMS))}")
    values = _plain(resolve(dotted(config)))
    found = recognise(values, command)
    if framework is not None and framework != found.framework:
        found = Recognised(framework=framework, algorithm=found.algorithm, how="as you said")
    return ConfigSource(
        path=name,
        framework=found.framework,
        algorithm=algorithm or found.algorithm,
        how=found.how,
        values=values,
        notes=tuple(notes),
    )


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Keys as the trainers' settings are known by: without leading dashes; underscores within a word of a flag."""
    return {key.lstrip("-+").replace("-", "_"): value for key, value in values.items()}


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise MalformedInput(f"{path} is larger than 1 MiB", hint="a configuration is not that long")
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise MalformedInput(f"{path} is no text", hint="give a YAML file, a JSON file or a shell script") from None
    except OSError as error:
        hint = "give the path of a configuration"
        raise UnreadableSource(f"cannot read {path}: {error.strerror or error}", hint=hint) from None


def _json(text: str, name: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MalformedInput(f"{name} is no JSON: {error}", hint="was it copied whole?") from None
    if not isinstance(value, dict):
        raise MalformedInput(f"{name} is no JSON object", hint="a configuration has keys and values")
    inner = value.get("config")  # the manifest of a run directory, or what W&B keeps
    return inner if isinstance(inner, dict) else value
