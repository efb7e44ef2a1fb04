"""`rldk config show`."""

from __future__ import annotations

import click

from rldk.cards.safe import clean
from rldk.cli.flags import json_option
from rldk.cli.output import write
from rldk.config import KEYS, load_settings


@click.group("config")
def command() -> None:
    """Show which settings are in force and where each one came from.

    \b
    Example:
      rldk config show --origin
    """


@command.command("show")
@click.option("--origin", is_flag=True, help="Also print where each value came from.")
@json_option
def show(origin: bool, as_json: bool) -> None:
    """Print the value of every setting.

    A command-line flag wins over an RLDK_* environment variable. The variable wins over the nearest rldk.toml or
    [tool.rldk] in pyproject.toml, and that file wins over ~/.config/rldk/config.toml.

    \b
    Examples:
      rldk config show                            values, and what each setting is for
      rldk config show --origin                   values, and where each one came from
    """
    import json

    settings = load_settings().all
    if as_json:
        write(json.dumps({k: {"value": s.value, "origin": s.origin} for k, s in settings.items()}, indent=2))
        return
    for key, setting in settings.items():
        line = f"{key} = {clean(json.dumps(setting.value))}"
        write(f"{line:<40}  # {clean(setting.origin)}" if origin else f"{line:<40}  # {KEYS[key].help}")
