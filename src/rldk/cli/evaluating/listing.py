"""`rldk evals list-suites` and `rldk evals validate-data DATA`."""

from __future__ import annotations

from typing import Any

import click

from rldk.cli import flags
from rldk.cli.evaluating.options import column_options, columns_of
from rldk.cli.output import write


@click.command("list-suites")
@flags.json_option
def list_command(as_json: bool) -> int:
    """List the suites, their evaluations, and the data that each of them takes.

    \b
    Examples:
      rldk evals list-suites
      rldk evals list-suites --json
    """
    from rldk.cards.wire import dumps
    from rldk.evals.coverage import suites_text, suites_told

    write(dumps({"schema_version": 1, "suites": suites_told()}) if as_json else suites_text())
    return 0


@click.command("validate-data")
@click.argument("data")
@click.option("--suite", default="comprehensive", show_default=True, metavar="NAME", help="The suite to check for.")
@column_options
@flags.json_option
def validate_command(data: str, suite: str, as_json: bool, **given: Any) -> int:
    """Say how data is read, which column means what, and which evaluations it allows.

    DATA is anything that `rldk evals evaluate` reads. The exit code is 1 when some records cannot be read or the
    data allows no evaluation, and 3 when it cannot be read at all.

    \b
    Examples:
      rldk evals validate-data answers.jsonl
      rldk evals validate answers.csv --suite safety --column-mapping '{"refused": "declined"}'
    """
    from rldk.cards.wire import dumps
    from rldk.evals.coverage import coverage, coverage_text
    from rldk.evals.reading import read_table
    from rldk.evals.suites import suite_of

    chosen = suite_of(suite)
    found = coverage(read_table(data, columns_of(given)), chosen)
    write(dumps({"schema_version": 1, **found}) if as_json else coverage_text(found))
    return int(not found["valid"])
