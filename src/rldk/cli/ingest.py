"""`rldk ingest SRC`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rldk.cards.safe import clean
from rldk.cli.flags import FILE, adapter_option, field_map_flag, field_map_option, json_option
from rldk.cli.output import progress, say, write
from rldk.config import load_settings
from rldk.config.settings import VALIDATION

if TYPE_CHECKING:
    from rldk.core.model import Run


@click.command("ingest")
@click.argument("source", nargs=-1, required=True, metavar="SRC...")
@click.option(
    "-o",
    "--output",
    type=FILE,
    help="Write the table to this file: .jsonl, .csv or .parquet.",
)
@adapter_option("log")
@field_map_option
@click.option(
    "--config-file",
    type=click.Path(path_type=Path),
    help="Take settings from this TOML, JSON or YAML file.",
)
@click.option(
    "--validation-mode",
    type=click.Choice(VALIDATION),
    help="strict fails on malformed lines, unknown names and missing fields; flexible warns of unknown names; lenient "
    "warns of missing fields too.  [default: flexible]",
)
@click.option("--required-fields", metavar="a,b", help="Fail when one of these columns is missing.")
@click.option("--no-validate", is_flag=True, help="Skip all checks and read what can be read.")
@json_option
def command(
    source: tuple[str, ...],
    output: Path | None,
    config_file: Path | None,
    no_validate: bool,
    as_json: bool,
    **flags: Any,
) -> None:
    """Read any training log into one table.

    SRC is a log file, a directory, a glob or a URL. The command prints what it read: each metric of rldk with the key
    under which the log has it. With -o it also writes the table.

    \b
    Examples:
      rldk ingest outputs/my-run
      rldk ingest train.log -o table.csv
    """
    from rldk.cards.wire import dumps
    from rldk.ingest import read_runs, validate
    from rldk.ingest import write as save

    flags["field_map"] = field_map_flag(flags["field_map"])
    settings = load_settings(flags, file=config_file)
    mode = settings["validation_mode"]
    strict = not no_validate and (settings["strict"] or mode == "strict")
    with progress(1) as pieces:
        pieces.begin(f"reading {clean(source[0], 60)}")
        wanted = source[0] if len(source) == 1 else list(source)
        runs = read_runs(wanted, adapter=settings["adapter"], field_map=settings["field_map"], strict=strict)
        if not no_validate:
            validate(runs, mode, settings["required_fields"])
        if output is not None:
            save(runs, output)
    if output is not None:
        say(f"wrote {output}")
    found = [_facts(run) for run in runs]
    write(dumps({"runs": found}) if as_json else "\n\n".join(map(_text, found)))


def _facts(run: Run) -> dict[str, Any]:
    return {
        "run": run.id,
        "source": run.source,
        "format": run.meta.format,
        "rows": len(run.metrics),
        "lines": run.lines,
        "rejected": run.rejected_count,
        "metrics": dict(run.meta.names),
        "columns": list(run.metrics.columns),
        "notes": list(run.meta.notes),
    }


def _text(facts: dict[str, Any]) -> str:
    head = (
        f"{clean(facts['run'])}: {facts['rows']:,} rows, format {facts['format']}, {facts['rejected']:,} lines rejected"
    )
    own = [c for c in facts["columns"] if c not in facts["metrics"] and c not in set(facts["metrics"].values())]
    lines = [f"  {clean(name)} <- {clean(key)}" for name, key in facts["metrics"].items()]
    lines += [f"  {clean(name)} (no canonical name)" for name in own]
    return "\n".join([head, *lines, *(f"  note: {clean(note)}" for note in facts["notes"])])
