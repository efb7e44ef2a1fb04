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
    """Unix seconds, or the ISO 8601 text as it stands."""
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
@click.option("--to", "path", required=True, metavar="F", help="The file to append to; - is stdout.")
@click.option("--name", required=True, metavar="N", help="The metric.")
@click.option("--value", required=True, type=float, metavar="V", help="A number; nan and inf are said as such.")
@click.option("--step", required=True, type=int, metavar="S", help="The step of the training.")
@click.option("--time", "moment", callback=_moment, metavar="T", help="Unix seconds or ISO 8601. [default: now]")
@click.option("--run-id", metavar="ID", help="The run that the event belongs to.")
@click.option("--tags", callback=_labels, metavar="K=V,...", help="Labels, as JSON or key=value; phase=eval is known.")
@click.option("--meta", callback=_labels, metavar="K=V,...", help="Anything else, as JSON or key=value.")
def command(path: str, name: str, value: float, step: int, moment: float | str | None, **labels: Any) -> None:
    """Append one event to a log.

    For shell scripts and trainers in other languages. The file grows by one whole line, whoever else writes to it."""
    with EventWriter(path, run_id=labels["run_id"], tags=labels["tags"], meta=labels["meta"], strict=True) as writer:
        writer.log(step=step, name=name, value=value, time=moment)
