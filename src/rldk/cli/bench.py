"""`rldk bench CORPUS`: measures the rules on logs whose faults are known."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rldk.cards.safe import clean
from rldk.cli.flags import FILE, ignore_option, json_option, select_option
from rldk.cli.output import progress, say, write
from rldk.core.files import save

if TYPE_CHECKING:
    from rldk.bench.judge import RuleChoice
    from rldk.bench.score import Score
    from rldk.core.view import Table


@click.command("bench")
@click.argument("corpus")
@json_option
@click.option("--html", type=FILE, help="Also write the report to this HTML file.")
@click.option("--markdown", type=FILE, help="Also write the tables to this Markdown file.")
@click.option(
    "--jobs",
    type=click.IntRange(1),
    help="Number of processes to use.  [default: one for each processor]",
)
@click.option(
    "--rules",
    metavar="NAME|FILE",
    default="default",
    show_default=True,
    help="The rules to measure: a preset or a rule file.",
)
@select_option
@ignore_option
@click.option(
    "--at-least",
    metavar="NAME=X,...",
    default="",
    help="Exit with 1 when a figure is lower than this: named=0.95.",
)
@click.option(
    "--at-most",
    metavar="NAME=X,...",
    default="",
    help="Exit with 1 when a figure is higher than this: clean=1/32,critical=0,delay=5.",
)
@click.option(
    "--compare",
    "other",
    type=FILE,
    help="Compare with the --json output of an earlier call and list the runs that changed.",
)
def command(corpus: str, *, as_json: bool, jobs: int | None, other: Path | None, **options: Any) -> int:
    """Measure the rules on labelled logs: what they find, and how often they raise a false alarm.

    CORPUS is a directory. Each run is a directory in it with a log and a label.json:
    {"fault": "lr_jump", "onset": 70, "families": ["OPT"]}, or {"fault": "none"} for a healthy run. A fault counts as
    named when a warning or a critical finding of one of the families begins at the onset or later.

    --at-least and --at-most take these figures: named, detected and early (shares of the faulty runs), clean and
    critical (shares of the healthy runs with a warning, with a critical finding), delay (median, in steps), auc (how
    well the health separates healthy runs from faulty ones) and errors (runs that could not be judged).

    \b
    Examples:
      rldk bench corpus
      rldk bench corpus --json > before.json
      rldk bench corpus --compare before.json --at-most critical=0
    """
    from rldk.bench.cases import find_cases
    from rldk.bench.compare import compare
    from rldk.bench.document import document, read_results
    from rldk.bench.gates import failed_gates, read_gates
    from rldk.bench.judge import judge_all
    from rldk.bench.score import score
    from rldk.bench.tables import tables, view_of
    from rldk.cards import terminal
    from rldk.cards.wire import dumps
    from rldk.core.codec import to_builtins
    from rldk.engine.executors import processors

    gates = [*read_gates(options["at_least"], least=True), *read_gates(options["at_most"], least=False)]
    before = read_results(other) if other else None
    choice = _choice(options)
    cases = find_cases(corpus)
    with progress(len(cases)) as pieces:
        results = judge_all(cases, choice, jobs or processors(), lambda name: pieces.begin(clean(name, 60)))
    scored = score(results, corpus)
    comparison = compare(before, results) if before is not None else None
    shown = tables(scored, comparison)
    _save(scored, shown, options)
    if as_json:
        told = document(scored, choice)
        write(dumps({**told, "comparison": to_builtins(comparison)} if comparison else told))
    else:
        write(terminal.render(view_of(scored, shown)))
    missed = failed_gates(gates, scored.summary)
    for sentence in missed:
        say(f"gate: {sentence}")
    return max([int(bool(missed)), *(r.exit_code for r in results)])


def _choice(options: dict[str, Any]) -> RuleChoice:
    from rldk.bench.judge import RuleChoice

    select, ignore = (tuple((options[key] or "").split(",")) for key in ("select", "ignore"))
    return RuleChoice(preset=options["rules"], select=select, ignore=ignore)


def _save(scored: Score, shown: list[Table], options: dict[str, Any]) -> None:
    from rldk.bench.tables import view_of
    from rldk.cards import markdown, page

    view = view_of(scored, shown)
    if options["html"]:
        _write(options["html"], page.render(view))
    if options["markdown"]:
        _write(options["markdown"], markdown.render(view, head=False))


def _write(path: Path, content: str) -> None:
    save(path, content)
    say(f"wrote {path}")
