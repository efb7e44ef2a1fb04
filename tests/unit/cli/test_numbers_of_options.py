"""Which numbers each option takes: the lowest and the highest are taken, and what lies beyond is refused."""

from __future__ import annotations

from collections.abc import Iterator

import click

from rldk.cli.main import main

MONITOR: dict[str, tuple[float | None, float | None, float | None]] = {
    "--kill-timeout-sec": (0.1, 3600, 10.0), "--http-timeout-sec": (0.1, 3600, 10.0), "--retries": (0, 10, 3),
    "--idle-timeout": (0.1, None, None), "--reward-health-window": (2, 1_000_000, 100),
}  # fmt: skip
SCORERS: dict[str, tuple[float | None, float | None, float | None]] = {
    "--batch-size": (1, None, 16), "--max-tokens": (1, None, None), "--retries": (0, None, 3),
    "--timeout": (0.001, None, 30.0),
}  # fmt: skip
SEED: dict[str, tuple[float | None, float | None, float | None]] = {"--seed": (0, None, 42)}
# command -> option -> lowest, highest, and what holds without the option
NUMBERS: dict[str, dict[str, tuple[float | None, float | None, float | None]]] = {
    "bench": {"--jobs": (1, None, None)},
    "card determinism": {"--tolerance": (0, None, 0.0)},
    "dataset fingerprint": {"--max-rows": (1, None, None)},
    "diff": {"--tolerance": (0, None, 2.0), "--k": (1, None, 3), "--window": (10, None, 50)},
    "doctor": {"--max": (1, None, 5), "--jobs": (1, None, None)},
    "eval": {"--sample-size": (1, None, None), "--min-samples": (1, None, 1), "--timeout": (0, None, None), **SEED},
    "evals compare": SEED,
    "evals evaluate": {
        "--sample-size": (1, None, None), "--min-samples": (1, None, 1), "--timeout": (0, None, None), **SEED,
    },
    "evals judge": {
        **SEED,
        "--votes": (1, None, 1), "--max-tokens": (1, None, 512), "--most": (1, None, None),
        "--concurrency": (1, None, 8), "--timeout": (0, None, 60.0), "--retries": (0, None, 3),
    },
    "forensics doctor": {"--max": (1, None, 5), "--jobs": (1, None, None)},
    "forensics kl-drift": {
        "--drift-threshold": (0, 1, 0.15), "--drift-window-size": (2, None, 100), "--reference-period": (2, None, None),
    },
    "monitor": {"--pid": (2, None, None), **MONITOR},
    "preflight": {"--processes": (1, None, None), "--time-limit": (1.0, None, 600.0)},
    "rules list": {"--tier": (0, 3, None)},
    "reward reward-drift": SCORERS,
    "reward-drift": SCORERS,
    "run": {"--samples": (0, None, 64), **MONITOR},
    "runs list": {"--last": (1, None, 50)},
}  # fmt: skip


def commands(group: click.Group, prefix: str = "") -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from commands(command, f"{prefix}{name} ")
        elif command is not None:
            yield f"{prefix}{name}", command


def taken(command: click.Command, option: click.Parameter, text: str) -> bool:
    try:
        option.type_cast_value(click.Context(command), [text] if option.multiple else text)
    except click.BadParameter:
        return False
    return True


def test_the_lowest_and_the_highest_are_taken_and_nothing_beyond() -> None:
    found: dict[str, set[str]] = {}
    for name, command in commands(main):
        for option in command.params:
            if not isinstance(option.type, click.IntRange | click.FloatRange):
                continue
            found.setdefault(name, set()).add(option.opts[0])
            low, high, usual = NUMBERS[name][option.opts[0]]
            step = 1 if isinstance(option.type, click.IntRange) else 1e-6
            for edge, beyond in ((low, -step), (high, step)):
                if edge is not None:
                    inside = edge - beyond if option.type.min_open else edge
                    assert taken(command, option, str(inside)), (name, option.opts, edge)
                    assert taken(command, option, str(edge)) is not option.type.min_open, (name, option.opts, edge)
                    assert not taken(command, option, str(edge + beyond)), (name, option.opts, edge)
            if high is None:
                assert taken(command, option, str(10**9)), (name, option.opts)
            assert usual is None or option.get_default(click.Context(command)) == usual, (name, option.opts)
    assert found == {name: set(options) for name, options in NUMBERS.items()}
