"""Flags that several commands share: what they set, and which exit code a finding gives."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click

from rldk.config.settings import FAIL_ON
from rldk.core.model import LOUD, Severity
from rldk.errors import UsageError

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
colour_option = click.option(
    "--color/--no-color",
    "colour",
    default=None,
    help="Colours, whatever the terminal; NO_COLOR and FORCE_COLOR work too.",
)
fail_on_option = click.option(
    "--fail-on", type=click.Choice(FAIL_ON), help="Exit 1 from this severity on.  [default: critical]"
)
field_map_option = click.option("--field-map", metavar="JSON|FILE", help="Your metric names -> rldk's.")


def fails(severities: Iterable[Severity | None], fail_on: str) -> bool:
    """Whether one of the severities is as grave as asked for."""
    return any(severity in LOUD[fail_on] for severity in severities)


def color_setting(colour: bool | None) -> str | None:
    """The setting `color` that the flag stands for; None where it was not given."""
    return None if colour is None else ("always" if colour else "never")


def field_map_flag(value: str | None) -> str | None:
    """The JSON of `--field-map`, which may name a file of it."""
    if value is None or value.lstrip().startswith("{"):
        return value
    try:
        return Path(value).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        hint = "give JSON, or a file of JSON"
        raise UsageError(f"cannot read the field map {value}: {error}", hint=hint) from None
