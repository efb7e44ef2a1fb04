"""Settings by precedence: flag > RLDK_* > the nearest rldk.toml or pyproject.toml upwards > user file > default."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from rldk.errors import ConfigError, UnknownName

FAIL_ON = ("warn", "critical", "never")
COLOUR = ("auto", "always", "never")
VALIDATION = ("strict", "flexible", "lenient")


class Key(Struct, frozen=True, kw_only=True):
    """One setting: its default, the function that reads a stated value (raises ValueError), and what it is for."""

    default: Any
    read: Callable[[Any], Any]
    help: str


class Setting(Struct, frozen=True, kw_only=True):
    """A value and where it came from: "flag", "env RLDK_X", a file's path, or "default"."""

    value: Any
    origin: str


def _names(value: Any) -> tuple[str, ...]:
    words = value.split(",") if isinstance(value, str) else value
    if not isinstance(words, list | tuple) or not all(isinstance(w, str) for w in words):
        raise ValueError('a list of names such as ["KL", "REW001"]')
    return tuple(w.strip() for w in words if w.strip())


def _choice(options: tuple[str, ...]) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if value not in options:
            raise ValueError(f"one of {', '.join(options)}")
        return str(value)

    return read


def _flag(value: Any) -> bool:
    words = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    if isinstance(value, bool):
        return value
    try:
        return words[str(value).lower()]
    except KeyError:
        raise ValueError("true or false") from None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("a string")
    return value


def _mapping(value: Any) -> dict[str, str]:
    import json

    try:
        mapping = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        mapping = None
    if not isinstance(mapping, dict) or not all(isinstance(v, str) for v in mapping.values()):
        raise ValueError('a mapping of your names to rldk\'s, such as {"avg_return": "reward_mean"}')
    return mapping


KEYS: dict[str, Key] = {
    "select": Key(default=(), read=_names, help="rules to check: codes, families or names; empty means all"),
    "ignore": Key(default=(), read=_names, help="rules to leave out"),
    "fail_on": Key(default="critical", read=_choice(FAIL_ON), help="a finding this severe makes the exit code 1"),
    "adapter": Key(default=None, read=_text, help="the format to read a log in; null recognises it by the content"),
    "field_map": Key(default=None, read=_mapping, help="maps your metric names to those of rldk"),
    "strict": Key(default=False, read=_flag, help="whether a malformed line is an error"),
    "validation_mode": Key(
        default="flexible",
        read=_choice(VALIDATION),
        help="what `rldk ingest` does about unknown names and missing fields",
    ),
    "required_fields": Key(default=(), read=_names, help="columns that `rldk ingest` requires"),
    "color": Key(default="auto", read=_choice(COLOUR), help="whether the output has colours"),
}


class Settings(Struct, frozen=True):
    """Every key of `KEYS`; `settings["fail_on"]` is the value, `settings.all` has the origins too."""

    all: dict[str, Setting]

    def __getitem__(self, key: str) -> Any:
        return self.all[key].value


def load_settings(
    flags: Mapping[str, Any] | None = None,
    *,
    file: Path | None = None,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> Settings:
    """The settings in force. A flag of None was not given; `file` (TOML, JSON or YAML) comes right after the flags.

    Raises `ConfigError`, which names the key and the file or variable it came from."""
    env = os.environ if env is None else env
    layers = [
        *_files(Path.cwd() if cwd is None else cwd, env),
        *((f"env RLDK_{k.upper()}", {k: env[f"RLDK_{k.upper()}"]}) for k in KEYS if env.get(f"RLDK_{k.upper()}")),
        *([(str(file), _any_file(file))] if file is not None else []),
        ("flag", {k: v for k, v in (flags or {}).items() if v is not None}),
    ]
    found = {key: Setting(value=spec.default, origin="default") for key, spec in KEYS.items()}
    for origin, values in layers:
        for name, value in values.items():
            key = name.replace("-", "_")
            found[key] = Setting(value=_read(key, value, origin), origin=origin)
    return Settings(found)


def _read(key: str, value: Any, origin: str) -> Any:
    if key not in KEYS:
        error = UnknownName("setting", key, KEYS)
        raise ConfigError(f"{origin}: unknown setting {key!r}", hint=error.hint)
    try:
        return KEYS[key].read(value)
    except ValueError as error:
        raise ConfigError(f"{origin}: {key} is {value!r}", hint=f"it must be {error}") from None


def _files(cwd: Path, env: Mapping[str, str]) -> list[tuple[str, dict[str, Any]]]:
    """The file of the user, then the nearest one of the project, as (path, values)."""
    home = Path(env["XDG_CONFIG_HOME"]) if env.get("XDG_CONFIG_HOME") else Path(env.get("HOME", "/")) / ".config"
    user = home / "rldk" / "config.toml"
    layers = [(str(user), _toml(user))] if _there(user) else []
    for folder in (cwd.absolute(), *cwd.absolute().parents):
        own, shared = folder / "rldk.toml", folder / "pyproject.toml"
        if _there(own):
            return [*layers, (str(own), _toml(own))]
        tools = _toml(shared).get("tool") if _there(shared) else None
        if isinstance(tools, dict) and isinstance(tools.get("rldk"), dict):
            return [*layers, (f"{shared} [tool.rldk]", tools["rldk"])]
    return layers


def _there(path: Path) -> bool:
    """Whether the file exists; in a directory that may not be read (HOME of another user) no file does."""
    try:
        return path.is_file()
    except OSError:
        return False


def _any_file(path: Path) -> dict[str, Any]:
    if path.suffix.lower() not in {".json", ".yaml", ".yml"}:
        return _toml(path)
    import yaml

    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))  # JSON is YAML
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: {error}", hint="correct the file or move it away") from None
    if not isinstance(values, dict) or not all(isinstance(k, str) for k in values):
        raise ConfigError(f"{path}: the file is not a mapping of settings", hint=f"it may set {', '.join(KEYS)}")
    return values


def _toml(path: Path) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: {error}", hint="correct the file or move it away") from None
