"""Every error rldk raises, and the exit code each one carries.

RldkError                     5  anything below
├── UsageError                2  the command or call is wrong
│   ├── UnknownName           2  no such metric, rule, adapter ...; names the nearest
│   ├── ConfigError           2  a settings or rule file is wrong; names file and key
│   └── OutputError           2  the result cannot be written; names the file
├── InputError                3  the input cannot be read or analysed
│   ├── UnreadableSource      3  missing, not permitted, not reachable
│   ├── NotALog               3  readable, but no known log format
│   ├── NoData                3  a log without a single usable row
│   ├── UnsafePickle          3  a pickle names what only a program needs; says what
│   └── MalformedInput        3  strict mode met a bad line; names line and offset
├── MissingExtra              4  an optional package is absent; names the install command
└── TrainingStopped           1  a rule asked a training to stop, and the trainer has no other way to be told
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


class RldkError(Exception):
    """An error with a one-line message and a hint that names the next action."""

    exit_code = 5

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        return _made_again, (type(self), self.args, self.__dict__)  # another process does not call `__init__`


def _made_again(kind: type[RldkError], args: tuple[Any, ...], state: dict[str, Any]) -> RldkError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


class UsageError(RldkError):
    exit_code = 2


FEW = 20  # names that a hint lists


class UnknownName(UsageError):
    """A name that does not exist. The hint offers the nearest known ones."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        import difflib

        self.name = name
        every = list(known)
        self.nearest = difflib.get_close_matches(name, sorted(every), n=3, cutoff=0.5)
        hint = f"did you mean {', '.join(self.nearest)}?" if self.nearest else f"no {kind} has a similar name"
        if not self.nearest and 0 < len(every) <= FEW:
            hint = f"there are: {', '.join(every)}"
        super().__init__(f"unknown {kind} {name!r}", hint=hint)


class ConfigError(UsageError):
    pass


class OutputError(UsageError):
    """The result cannot be written where it was asked for."""

    @classmethod
    def of(cls, where: object, error: OSError) -> OutputError:
        """Makes one from `error`, an error of the operating system while writing to `where`."""
        return cls(
            f"cannot write {where}: {error.strerror or error}", hint="check the folder, its permissions and its space"
        )


class InputError(RldkError):
    exit_code = 3


class UnreadableSource(InputError):
    pass


class NotALog(InputError):
    pass


class NoData(InputError):
    pass


class MalformedInput(InputError):
    pass


class UnsafePickle(InputError):
    """A pickle that would import or call what no checkpoint needs. `named`: the first of these, with arguments."""

    def __init__(self, where: str, named: tuple[str, ...], count: int) -> None:
        self.named = named
        more = f" and {count - len(named)} more" if count > len(named) else ""
        message = f"{where} was refused: loading it would run or import {', '.join(named)}{more}"
        super().__init__(message, hint="do not load this file; get the weights as safetensors from whoever made it")


class MissingExtra(RldkError, ImportError):
    """An optional package is absent. It is also an `ImportError`, which callers of optional imports expect."""

    exit_code = 4

    def __init__(self, extra: str, package: str) -> None:
        self.extra = extra
        super().__init__(f"this needs {package}, which is not installed", hint=f'pip install "rldk[{extra}]"')


class TrainingStopped(RldkError):
    """A rule asked for a stop in a trainer that has no flag for it."""

    exit_code = 1
