"""Flags that several commands share: what they set, and which exit code a finding gives."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import click

from rldk.config.settings import FAIL_ON
from rldk.core.model import LOUD, Severity
from rldk.errors import UsageError

Command = TypeVar("Command", bound=Callable[..., Any])

FILE = click.Path(dir_okay=False, path_type=Path)
FOLDER = click.Path(file_okay=False, path_type=Path)
EVERY_FORMAT = "text, json, md, html, github, junit, sarif, svg or png.  [default: text]"
TRAINERS = ("trl", "grpo", "accelerate", "openrlhf", "verl", "sb3", "cleanrl", "rllib")

json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON document.")
colour_option = click.option(
    "--color/--no-color",
    "colour",
    default=None,
    help="Switch colours on or off; NO_COLOR and FORCE_COLOR do the same.  [default: on in a terminal]",
)
fail_on_option = click.option(
    "--fail-on",
    type=click.Choice(FAIL_ON),
    help="Exit with 1 when a finding is at least this severe; never means not at all.  [default: critical]",
)
field_map_option = click.option(
    "--field-map",
    metavar="JSON|FILE",
    help='Map your metric names to those of rldk, as in \'{"avg_rew": "reward_mean"}\', or give a file of that.',
)
output_option = click.option("-o", "--output", type=FILE, help="Write to this file instead of printing.")
html_option = click.option("--html", type=FILE, help="Also write the report to this file.")
select_option = click.option(
    "--select", metavar="CODES", help="Check only these rules: codes, families or names, with commas."
)
ignore_option = click.option(
    "--ignore", metavar="CODES", help="Leave out these rules: codes, families or names, with commas."
)
reference_option = click.option(
    "--reference", metavar="RUN", help="Compare with this approved run: a material difference is a finding."
)


def format_option(names: str = EVERY_FORMAT) -> Callable[[Command], Command]:
    """The flag `--format` of a command that prints in the formats with these names."""
    return click.option("--format", "form", metavar="NAME", help=f"Print in this format: {names}")


def adapter_option(what: str) -> Callable[[Command], Command]:
    """The flag `--adapter` of a command that reads `what`: a log, a file."""
    help_text = f"Read the {what} in this format.  [default: recognise it by its content]"
    return click.option("--adapter", metavar="NAME", help=help_text)


def trainer_option(whose: str) -> Callable[[Command], Command]:
    """The flag `--preset` of a command that looks at logs; `whose`: the words for them, with their verb."""
    help_text = f"The trainer whose metric names {whose}.  [default: found from the names]"
    return click.option("--preset", type=click.Choice(TRAINERS), help=help_text)


def folder_option(help_text: str, **more: Any) -> Callable[[Command], Command]:
    """The flag `--output-dir` of a command that writes several files."""
    return click.option("--output-dir", type=FOLDER, help=help_text, **more)


def fails(severities: Iterable[Severity | None], fail_on: str) -> bool:
    """Whether at least one finding is severe enough for exit code 1."""
    return any(severity in LOUD[fail_on] for severity in severities)


def exit_line(code: int, worst: Severity | None, fail_on: str) -> str:
    """Why the exit code differs from what the headline suggests, and how to change it; "" when it does not differ."""
    if code == 3:
        return "Exit code 3: rldk could not read and judge all that matters."
    if code == 0 and worst in ("warn", "critical"):
        return f"Exit code 0 under --fail-on {fail_on}; --fail-on {worst} makes it 1."
    return ""


def color_setting(colour: bool | None) -> str | None:
    """The value of the setting `color` that the flag stands for; None when the flag was not given."""
    return None if colour is None else ("always" if colour else "never")


def field_map_flag(value: str | None) -> str | None:
    """The JSON text of `--field-map`; when the value names a file, the text in that file."""
    if value is None or value.lstrip().startswith("{"):
        return value
    try:
        return Path(value).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        hint = "give JSON, or a file of JSON"
        raise UsageError(f"cannot read the field map {value}: {error}", hint=hint) from None
