"""`rldk emit --to F --name N --value V --step S`."""

from __future__ import annotations

import json
from typing import Any

import click

from rldk.emit import EventWriter


def _labels(context: click.Context, parameter: click.Parameter, text: str | None) -> dict[str, Any]:
    """The mapping in a JSON object, or in `key=value,key=value`."""
    if text is None:
        return {}
    try:
        value = json.loads(text) if text.lstrip().startswith("{") else dict(p.split("=", 1) for p in text.split(","))
    except (ValueError, RecursionError):
        raise click.BadParameter(
            f'{text!r:.80}: give {{"key": "value"}} or key=value,key=value', context, parameter
        ) from None
    labels: dict[str, Any] = value
    return labels


def _moment(context: click.Context, parameter: click.Parameter, text: str | None) -> float | str | None:
    """Unix seconds as a number, or the ISO 8601 text unchanged."""
    from datetime import datetime

    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        pass
    try:
        datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(f"{text!r:.80}: give unix seconds or ISO 8601", context, parameter) from None
    return text


@click.command("emit")
@click.option("--to", "path", required=True, metavar="F", help="Append to this file; - prints to stdout.")
@click.option("--name", required=True, metavar="N", help="Name of the metric.")
@click.option("--value", required=True, type=float, metavar="V", help="The measured number; nan and inf are allowed.")
@click.option("--step", required=True, type=int, metavar="S", help="Training step of the value.")
@click.option(
    "--time",
    "moment",
    callback=_moment,
    metavar="T",
    help="Time of the value, in unix seconds or ISO 8601.  [default: now]",
)
@click.option("--run-id", metavar="ID", help="Name of the run that the value belongs to.  [default: none]")
@click.option(
    "--tags",
    callback=_labels,
    metavar="K=V,...",
    help="Labels, as JSON or key=value pairs; phase=eval marks a value of an evaluation.",
)
@click.option("--meta", callback=_labels, metavar="K=V,...", help="Further facts to keep, as JSON or key=value pairs.")
def command(path: str, name: str, value: float, step: int, moment: float | str | None, **labels: Any) -> None:
    """Append one measured value to a log file.

    Use it from shell scripts and from trainers in other languages. The file grows by one whole line, also when other
    processes write to it at the same time.

    \b
    Examples:
      rldk emit --to run.jsonl --name kl --value 0.12 --step 40
      rldk emit --to run.jsonl --name eval/reward --value 0.7 --step 100 --tags phase=eval
    """
    with EventWriter(path, run_id=labels["run_id"], tags=labels["tags"], meta=labels["meta"], strict=True) as writer:
        writer.log(step=step, name=name, value=value, time=moment)
