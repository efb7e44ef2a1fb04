"""`rldk seed`: what a seed would set, the state of this Python, and a command started with its hashes fixed."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

import click

from rldk.cli.flags import json_option
from rldk.cli.output import write
from rldk.errors import InputError, UsageError

if TYPE_CHECKING:
    from rldk.utils.seed import SeedCheck


@click.group("seed", invoke_without_command=True)
@click.option("--seed", type=int, metavar="N", help="The seed, from 0 to 4294967295.  [default: a random one]")
@click.option(
    "--deterministic/--non-deterministic",
    default=True,
    show_default=True,
    help="Whether torch and cuBLAS are asked for deterministic algorithms, too.",
)
@click.option("--show", is_flag=True, help="Print the seed of $RLDK_SEED and what stands in the environment.")
@click.option("--env", "as_env", is_flag=True, help='Print the exports, for eval "$(rldk seed --seed 42 --env)".')
@click.option("--validate", is_flag=True, help="Seed this Python twice and compare its draws. Exit 1 if they differ.")
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    *,
    seed: int | None,
    deterministic: bool,
    show: bool,
    as_env: bool,
    validate: bool,
    as_json: bool,
) -> int:
    """Say what a seed sets, and start a command with its hashes fixed.

    A process cannot seed another one: your script calls rldk.utils.seed.set_global_seed(42). This command says what
    that call sets on this machine, and what it cannot set.

    \b
    Examples:
      rldk seed --seed 42
      eval "$(rldk seed --seed 42 --env)"
      rldk seed --validate
      rldk seed exec --seed 42 -- python train.py
    """
    if ctx.invoked_subcommand is not None:
        return 0
    import json

    from rldk.utils.seed import exports, set_global_seed, validate_seed_consistency

    if show:
        asked = {name: os.environ.get(name) for name in exports(0)}
        write(
            json.dumps(asked)
            if as_json
            else "\n".join(f"{name}: {value or 'not set'}" for name, value in asked.items())
        )
        return 0
    chosen = set_global_seed(seed, deterministic)
    if as_env:
        write(
            "\n".join(f"export {name}={shlex.quote(value)}" for name, value in exports(chosen, deterministic).items())
        )
        return 0
    repeats = _repeats(chosen, deterministic) if validate else {}
    check = validate_seed_consistency()
    differing = sorted(name for name, same in repeats.items() if not same)
    if as_json:
        from rldk.core.codec import to_builtins

        write(json.dumps({**to_builtins(check), "repeats": repeats}))
    else:
        write("\n".join(_lines(check, repeats)))
    return int(bool(differing))


@command.command("exec", context_settings={"ignore_unknown_options": False})
@click.option("--seed", type=int, required=True, metavar="N", help="The seed, from 0 to 4294967295.")
@click.option(
    "--deterministic/--non-deterministic",
    default=True,
    show_default=True,
    help="Whether cuBLAS is asked for deterministic algorithms, too.",
)
@click.argument("words", nargs=-1, required=True, metavar="-- COMMAND...")
def execute(seed: int, deterministic: bool, words: tuple[str, ...]) -> None:
    """Become COMMAND, with the order of its hashes fixed and $RLDK_SEED set.

    PYTHONHASHSEED must be there before Python starts. COMMAND takes the place of this process, so that signals and the
    exit code are its own. Its generators are for the script to seed: set_global_seed() without an argument takes
    $RLDK_SEED.

    \b
    Example:
      rldk seed exec --seed 42 -- python train.py
    """
    from rldk.utils.seed import exports

    try:
        os.execvpe(words[0], list(words), {**os.environ, **exports(seed, deterministic)})  # noqa: S606 - as asked for
    except OSError as error:
        raise InputError(f"cannot run {words[0]}: {error.strerror}", hint="check the name and the PATH") from None
    except ValueError as error:  # an embedded null
        raise UsageError(f"cannot run this command: {error}") from None


def _repeats(seed: int, deterministic: bool) -> dict[str, bool]:
    """For each generator in use whether the same seed gives the same state and the same draws twice."""
    from rldk.utils.seed import seed_state, set_global_seed

    states = []
    for _ in range(2):
        set_global_seed(seed, deterministic)
        _draw()
        states.append(seed_state().shared)
    return {name: states[1].get(name) == state for name, state in states[0].items()}


def _draw() -> None:
    import random
    import sys

    random.random()  # noqa: S311 - the draw is only compared
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.random(7)
    if "torch" in sys.modules:
        sys.modules["torch"].rand(7)


def _lines(check: SeedCheck, repeats: dict[str, bool]) -> list[str]:
    lines = [f"Seed {check.seed}", "", "In a process that calls set_global_seed with it"]
    for name, how in check.generators.items():
        said = "is not installed" if how == "not loaded" else "is seeded"
        if name in repeats:
            said = "gives the same draws twice" if repeats[name] else "gives OTHER DRAWS the second time"
        lines.append(f"  {name:<8} {said}")
    lines += ["", "Settings after that call", *(f"  {name}: {value}" for name, value in check.settings.items())]
    if check.advice:
        lines += ["", "What a seed cannot set", *(f"  {text}" for text in check.advice)]
    return lines
