"""`python -m rldk` is the `rldk` command."""

from rldk.cli.main import main

main(prog_name="rldk")
