"""The command of a replica: its words, and what is put in for `{seed}`, `{out}`, `{steps}` and other fields."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct, field

from rldk.errors import UsageError

FIELDS = ("seed", "out", "steps", "device", "at", "checkpoint")
_FIELD = re.compile(r"\{(" + "|".join(FIELDS) + r")\}")
_VARIABLE = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)
_SHELL = frozenset({"&&", "||", "|", ">", ">>", "<", ";", "&", "2>&1"})
_MODULE = "-m"


class CommandTemplate(Struct, frozen=True, kw_only=True):
    """A command with fields to fill. `variables`: those written before it, as in `SEED=1 python train.py`."""

    words: tuple[str, ...]
    variables: Mapping[str, str] = field(default_factory=dict)

    def has(self, name: str) -> bool:
        """Whether the command has this field."""
        return any(f"{{{name}}}" in word for word in (*self.words, *self.variables.values()))

    def filled(self, values: Mapping[str, str]) -> tuple[tuple[str, ...], dict[str, str]]:
        """The words and the variables with the values put in."""
        return tuple(_fill(word, values) for word in self.words), {
            name: _fill(word, values) for name, word in self.variables.items()
        }

    def script(self, cwd: Path) -> Path | None:
        """The Python file that the command starts, where it names one that is there."""
        words = list(self.words)
        for place, word in enumerate(words):
            if word.endswith(".py") and (cwd / word).is_file():
                return cwd / word
            if word == _MODULE and place + 1 < len(words):
                return _module(cwd, words[place + 1])
        return None


def command_template(cmd: str | Sequence[str]) -> CommandTemplate:
    """The command as a user writes it: a text that is split as a shell would, or its words. Raises `UsageError`."""
    try:
        words = shlex.split(cmd) if isinstance(cmd, str) else [str(word) for word in cmd]
    except ValueError as error:
        raise UsageError(f"the command cannot be split into words: {error}", hint="check its quotes") from None
    variables: dict[str, str] = {}
    while words and (match := _VARIABLE.fullmatch(words[0])):
        variables[match[1]] = match[2]
        words.pop(0)
    if not words:
        raise UsageError("the command is empty", hint='--cmd "python train.py --seed {seed}"')
    if isinstance(cmd, str) and (found := next((word for word in words if word in _SHELL), None)):
        hint = "write bash -c '...' around what a shell has to read"
        raise UsageError(f"the command is not run by a shell, and {found} means nothing without one", hint=hint)
    return CommandTemplate(words=tuple(words), variables=variables)


def _fill(word: str, values: Mapping[str, str]) -> str:
    def put(match: re.Match[str]) -> str:
        if match[1] not in values:
            name = match[1]
            raise UsageError(f"the command has {{{name}}}, and no {name} was given", hint=f"give --{name}")
        return values[match[1]]

    return _FIELD.sub(put, word)


def _module(cwd: Path, name: str) -> Path | None:
    place = cwd.joinpath(*name.split("."))
    return next((p for p in (place.with_suffix(".py"), place / "__main__.py") if p.is_file()), None)
