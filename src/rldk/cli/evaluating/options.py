"""The flags of the commands about evaluations."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from rldk.cli.flags import field_map_flag
from rldk.errors import InputError, UsageError

Command = TypeVar("Command", bound=Callable[..., Any])
PRESETS: dict[str, dict[str, str]] = {
    "lm-eval": {},  # read by their form; the names stand here so that a script may say what it gives
    "inspect": {},
    "rewardbench": {},
    "trl": {"prompt": "prompt", "response": "completion"},
    "verl": {"prompt": "input", "response": "output", "reward": "score"},
}

_SPEC: tuple[tuple[tuple[str, ...], dict[str, Any]], ...] = (
    (("--output-column",), {"metavar": "NAME", "help": "Column with the answers.  [default: found by usual names]"}),
    (("--events-column",), {"metavar": "NAME", "help": "Column with the steps of training.  [default: step]"}),
    (
        ("--column-mapping",),
        {"metavar": "JSON|FILE", "help": 'Fields and their columns, as in \'{"correct": "is_right"}\'.'},
    ),
    (("--preset",), {"type": click.Choice(tuple(PRESETS)), "help": "The tool whose column names the data has."}),
)
seed_option = click.option(
    "--seed", type=click.IntRange(0), default=42, show_default=True, help="Seed of every random draw."
)
limit_option = click.option(
    "--limit", "limits", multiple=True, metavar="NAME=VALUE", help="Another limit for an evaluation; may be repeated."
)


class TimedOut(InputError):
    """The data could not be analysed in the time that was given."""


def column_options(command: Command) -> Command:
    """The flags that say which column is what."""
    for names, options in reversed(_SPEC):
        command = click.option(*names, **options)(command)
    return command


def columns_of(given: dict[str, Any]) -> dict[str, str]:
    """Field -> column from the flags, which are taken out of `given`. Raises `UsageError`."""
    preset, told = given.pop("preset"), field_map_flag(given.pop("column_mapping"))
    made = dict(PRESETS[preset]) if preset else {}
    if told is not None:
        try:
            mapping = json.loads(told)
        except (ValueError, RecursionError):
            mapping = None
        if not isinstance(mapping, dict) or not all(isinstance(v, str) for v in mapping.values()):
            raise UsageError("--column-mapping is no JSON object of names", hint='as in \'{"correct": "is_right"}\'')
        made |= mapping
    for field, flag in (("response", "output_column"), ("step", "events_column")):
        name = given.pop(flag)
        if name is not None:
            made[field] = name
    return made


def limits_of(words: tuple[str, ...]) -> dict[str, float]:
    """Evaluation -> limit. Raises `UsageError`."""
    made: dict[str, float] = {}
    for word in words:
        name, _, value = word.partition("=")
        try:
            made[name.strip()] = float(value)
        except ValueError:
            raise UsageError(f"--limit {word!r} is not NAME=VALUE", hint="as in --limit toxicity=0.02") from None
    return made


@contextmanager
def time_limit(seconds: float | None) -> Iterator[None]:
    """Ends the block after so many seconds with `TimedOut`, where the system has timers of signals."""
    if not seconds or not hasattr(signal, "setitimer"):
        yield
        return

    def end(*_: object) -> None:
        raise TimedOut(f"no result within {seconds:g} seconds", hint="give --sample-size, or a larger --timeout")

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def canaries_of(path: Path | None) -> tuple[str, ...]:
    """The canaries in a file, one a line. Raises `UsageError`."""
    if path is None:
        return ()
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the canaries in {path}: {error}", hint="one text a line, UTF-8") from None
    return tuple(line.strip() for line in lines if line.strip())
