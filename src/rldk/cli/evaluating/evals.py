"""`rldk evals evaluate|compare|judge|list-suites|validate-data`."""

from __future__ import annotations

import click

from rldk.cli.evaluating import compare, evaluate, judge, listing


@click.group("evals")
def command() -> None:
    """Evaluate answers with intervals, and say whether one model is better than another.

    \b
    Examples:
      rldk evals list-suites
      rldk evals validate-data answers.jsonl
      rldk evals evaluate answers.jsonl --suite quick
      rldk evals compare base.jsonl tuned.jsonl
    """


command.add_command(evaluate.command)
command.add_command(compare.command)
command.add_command(judge.command)
command.add_command(listing.list_command)
command.add_command(listing.validate_command)
command.add_command(listing.validate_command, "validate")
