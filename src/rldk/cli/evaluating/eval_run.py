"""`rldk eval --run RUN`."""

from __future__ import annotations

from typing import Any

import click

from rldk.cli.evaluating.evaluate import SUITE, evaluated, evaluating_options


@click.command("eval")
@click.option("--run", "source", required=True, metavar="RUN", help="The run or the table to evaluate.")
@click.option("--suite", default="quick", show_default=True, metavar="NAME", help=SUITE)
@evaluating_options
def command(source: str, suite: str, **given: Any) -> int:
    """Evaluate a run with a suite: the same as `rldk evals evaluate RUN`.

    \b
    Examples:
      rldk eval --run runs/grpo-7 --suite quick
      rldk eval --run runs/grpo-7 --suite comprehensive --output-dir runs/grpo-7/evaluation
    """
    return evaluated(source, suite, **given)
