"""The `rldk` command: which subcommands there are, and what every one of them does with an error."""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
import warnings
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn

import click

from rldk.cli.commands import COMMANDS, SECTIONS
from rldk.errors import OutputError, RldkError, UnknownName, UsageError

DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG})
# raised by click from 8.2 on when a group is called bare; earlier ones print the help themselves
NO_ARGUMENTS = getattr(click.exceptions, "NoArgsIsHelpError", ())


class LazyGroup(click.Group):
    """Loads a subcommand only when it is called, runs `doctor` on a bare path, and gives each error its exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - the signature is of click
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - the signature is of click
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"rldk.cli.{COMMANDS[cmd_name][0]}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] in COMMANDS:
            found = super().resolve_command(ctx, args)
            _check_values(ctx, found[1], args)
            return found
        if is_source(args[0]):
            return "doctor", self.get_command(ctx, "doctor"), args
        error = UnknownName("command", args[0], COMMANDS)
        error.hint = error.hint if error.nearest else "`rldk --help` lists the commands; a path must exist"
        raise error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - the signature is of click
        widest = max(map(len, COMMANDS))
        for title, some in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(widest), text) for name, (_, text) in some.items()])

    def main(self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any) -> NoReturn:  # type: ignore[override]
        words = list(sys.argv[1:] if args is None else args)
        extra["standalone_mode"] = False
        _end_on_sigterm()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                warnings.simplefilter("default", UserWarning)
                warnings.showwarning = _warn
                code = super().main(words, prog_name, **extra)
        except (KeyboardInterrupt, click.Abort):
            sys.exit(130)
        except SystemExit as error:
            sys.exit(0 if error.code == 1 else error.code)  # 1: by click itself, the reader of its help went away
        except click.ClickException as error:
            if isinstance(error, NO_ARGUMENTS):
                click.echo(error.format_message(), err=True)
                sys.exit(2)
            hint = (
                f"`{error.ctx.command_path} --help` shows how"
                if isinstance(error, click.UsageError) and error.ctx
                else ""
            )
            fail(error.format_message(), hint, exit_code=2, kind="UsageError", words=words)
        except RldkError as error:
            fail(error.message, error.hint, exit_code=error.exit_code, kind=type(error).__name__, words=words)
        except OSError as error:
            if error.errno not in DISK_FULL or error.filename is not None:
                _bug(error, words)
            _drop_stdout()
            lost = OutputError.of("the output", error)
            fail(lost.message, lost.hint, exit_code=lost.exit_code, kind="OutputError", words=words)
        except Exception as error:  # noqa: BLE001 - the end of the process: anything else is a bug, and says so briefly
            _bug(error, words)
        sys.exit(code if isinstance(code, int) else 0)


def _check_values(ctx: click.Context, command: click.Command | None, words: Sequence[str]) -> None:
    """Raises `UsageError` where an option would take the next option as its value: `--html --json` writes no file
    named --json."""
    at = 1
    while isinstance(command, click.Group) and at < len(words):
        command, at = command.get_command(ctx, words[at]), at + 1
    if command is None:
        return
    named = {name: option for option in command.params for name in (*option.opts, *option.secondary_opts)}
    own = words[at : words.index("--")] if "--" in words else words[at:]
    for word, following in pairwise(own):
        option = named.get(word)
        takes_value = isinstance(option, click.Option) and not option.is_flag and not option.count
        if takes_value and following.startswith("-") and following in named:
            raise UsageError(
                f"{word} needs a value before {following}", hint=f"`rldk {' '.join(words[:at])} --help` shows how"
            )


def _drop_stdout() -> None:
    from rldk.cli.output import close_stdout

    close_stdout()


def _end_on_sigterm() -> None:
    """Makes SIGTERM unwind the program, so that temporary folders are removed; a command may handle it differently."""
    with suppress(ValueError):  # not the main thread
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))


def _bug(error: Exception, words: Sequence[str]) -> NoReturn:
    if os.environ.get("RLDK_DEBUG"):
        import traceback

        traceback.print_exc()
    hint = "this is a bug in rldk: set RLDK_DEBUG=1 for the traceback and report it with this command line"
    fail(f"internal error: {type(error).__name__}: {error}", hint, exit_code=5, kind="InternalError", words=words)


def is_source(word: str) -> bool:
    """Whether an argument that names no command can only be meant as something to read."""
    if word == "-" or "://" in word or any(c in word for c in "*?[" + os.sep):
        return True
    try:
        return Path(word).exists()
    except (OSError, ValueError):  # too long a name, a NUL in it
        return False


def _warn(message: Warning | str, *_: Any, **__: Any) -> None:
    from rldk.cards.safe import clean

    click.echo(f"warning: {clean(message, 1000)}", err=True)


def fail(message: str, hint: str, *, exit_code: int, kind: str, words: Sequence[str]) -> NoReturn:
    """Ends the process: the error and its hint on stderr, and a document on stdout where one was asked for."""
    from rldk.cards.safe import clean

    message, hint = clean(message, 1000), clean(hint, 2000)
    if "--json" in words:
        error = {"kind": kind, "message": message, "hint": hint, "exit_code": exit_code}
        try:
            click.echo(json.dumps({"schema_version": 1, "error": error}, indent=2))
        except OSError:  # stdout may be what failed
            _drop_stdout()
    with suppress(OSError):
        click.echo(f"error: {message}" + (f"\nhint: {hint}" if hint else ""), err=True)
    sys.exit(exit_code)


def _print_version(ctx: click.Context, option: click.Parameter, asked: bool) -> None:  # noqa: ARG001 - of click
    if asked:
        version = import_module("rldk.cli.version").command
        ctx.exit(ctx.invoke(version, check=False, as_json=False))


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="`rldk PATH` is short for `rldk doctor PATH`. `rldk COMMAND --help` shows the options of a command with "
    "examples. `rldk explain exit-codes` lists the exit codes.",
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Print the versions of rldk and Python.",
)
def main() -> None:
    """rldk tells what broke in a reinforcement-learning run, at which step, why, and what to change.

    It reads the logs you already have: TRL, verl, OpenRLHF, Stable-Baselines3, RLlib, CleanRL, TensorBoard, W&B,
    MLflow, JSONL, CSV and more. It works offline, from the log alone.

    \b
    Examples:
      rldk runs/exp1                              say what went wrong in a finished run
      rldk monitor --stream runs/exp1             watch a run while it trains
      rldk run -- python train.py                 start a training and watch it
    """
