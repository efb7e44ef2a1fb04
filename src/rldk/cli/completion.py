"""`rldk completion SHELL`."""

from __future__ import annotations

import click

from rldk.cli.output import write

INSTALL = {
    "bash": 'eval "$(rldk completion bash)"  # in ~/.bashrc',
    "zsh": 'eval "$(rldk completion zsh)"  # in ~/.zshrc',
    "fish": "rldk completion fish > ~/.config/fish/completions/rldk.fish",
}


@click.command("completion", epilog="Install: " + "; ".join(INSTALL.values()))
@click.argument("shell", type=click.Choice(list(INSTALL)))
def command(shell: str) -> None:
    """Print the completion script of a shell."""
    from click.shell_completion import get_completion_class

    from rldk.cli.main import main

    found = get_completion_class(shell)
    if found is not None:  # click ships all three
        write(found(main, {}, "rldk", "_RLDK_COMPLETE").source())
