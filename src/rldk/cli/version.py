"""`rldk version`."""

from __future__ import annotations

import click

from rldk import __version__
from rldk.cli.flags import json_option
from rldk.cli.output import width, write


@click.command("version")
@click.option("--self", "check", is_flag=True, help="Check this installation. Exit 1 when something is wrong with it.")
@json_option
def command(check: bool, as_json: bool) -> int:
    """Print the versions of rldk and Python.

    With --self, check this installation: Python, the packages that rldk needs and their lower bounds, the optional
    packages and the command that installs a missing one, and whether temporary files can be written. A missing optional
    package is no fault.

    \b
    Examples:
      rldk version --json
      rldk version --self
    """
    if check:
        return check_self(as_json)
    import json
    import platform

    python = platform.python_version()
    write(json.dumps({"rldk": __version__, "python": python}) if as_json else f"rldk {__version__} (Python {python})")
    return 0


def check_self(as_json: bool) -> int:
    """Prints the check of this installation, and returns 1 when something is wrong with it."""
    from rldk.cards import terminal
    from rldk.cards.wire import dumps
    from rldk.provenance.installation import check_installation, view_of

    found = check_installation()
    write(dumps(found) if as_json else terminal.render(view_of(found), width=width()))
    return int(bool(found.problems))
