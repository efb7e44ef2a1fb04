"""`rldk version`."""

from __future__ import annotations

import click

from rldk import __version__
from rldk.cli.flags import json_option
from rldk.cli.output import write


@click.command("version")
@json_option
def command(as_json: bool) -> None:
    """Print the versions of rldk and Python.

    \b
    Example:
      rldk version --json
    """
    import json
    import platform

    python = platform.python_version()
    write(json.dumps({"rldk": __version__, "python": python}) if as_json else f"rldk {__version__} (Python {python})")
