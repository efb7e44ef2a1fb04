"""`python -m rldk` is the `rldk` command. Worker processes import this module, and must not run it."""

from rldk.cli.main import main

if __name__ == "__main__":
    main(prog_name="rldk")
