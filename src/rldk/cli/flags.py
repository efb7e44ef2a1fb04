"""Flags that several commands share: what they set, and which exit code a finding gives."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click

from rldk.config.settings import FAIL_ON
from rldk.core.model import LOUD, Severity
from rldk.errors import UsageError

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


def fails(severities: Iterable[Severity | None], fail_on: str) -> bool:
    """Whether at least one finding is severe enough for exit code 1."""
    return any(severity in LOUD[fail_on] for severity in severities)


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
