"""`rldk completion SHELL`."""

from __future__ import annotations

import click

from rldk.cli.output import write

SHELLS = ("bash", "zsh", "fish")


@click.command("completion")
@click.argument("shell", type=click.Choice(SHELLS))
def command(shell: str) -> None:
    """Print the script that completes rldk commands in your shell.

    SHELL is bash, zsh or fish.

    \b
    Examples:
      eval "$(rldk completion bash)"              add this line to ~/.bashrc
      eval "$(rldk completion zsh)"               add this line to ~/.zshrc
      rldk completion fish > ~/.config/fish/completions/rldk.fish
    """
    from click.shell_completion import get_completion_class

    from rldk.cli.main import main

    found = get_completion_class(shell)
    if found is not None:  # click ships all three
        write(found(main, {}, "rldk", "_RLDK_COMPLETE").source())
