"""`rldk env-audit PATH`, also as `rldk forensics env-audit`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rldk.cards.safe import clean
from rldk.cli.flags import (
    FILE,
    color_setting,
    colour_option,
    exit_line,
    fail_on_option,
    fails,
    format_option,
    html_option,
    ignore_option,
    json_option,
    output_option,
    select_option,
)
from rldk.cli.formats import form_of, print_report
from rldk.cli.output import progress, say
from rldk.config import load_settings
from rldk.core.files import save

if TYPE_CHECKING:
    from rldk.core.model import Report
    from rldk.forensics.env_audit import EnvironmentAudit


@click.command("env-audit")
@click.argument("path", type=click.Path(path_type=Path), required=False, default=Path())
@click.option(
    "--lock",
    type=FILE,
    metavar="FILE",
    default=Path("rldk.lock"),
    show_default=True,
    help="Compare this environment with that lock. Where there is none, write it.",
)
@click.option("--update", is_flag=True, help="Update the lock after the comparison.")
@click.option("--no-lock", is_flag=True, help="Neither read nor write a lock.")
@click.option(
    "--card", type=FILE, metavar="FILE", help="Also write the card of the environment, as JSON, to this file."
)
@click.option("--all", "everything", is_flag=True, help="Show every finding with its places, and what was not checked.")
@json_option
@format_option("text, json, md, github, junit or sarif.")
@output_option
@html_option
@fail_on_option
@select_option
@ignore_option
@colour_option
def command(path: Path, lock: Path, update: bool, no_lock: bool, **flags: Any) -> int:
    """Say what in a program and its environment keeps runs from being repeated.

    PATH is a Python file, a notebook, or a folder of them; without it, the current folder. The code is read, not run.
    Each finding names file and line, why it matters, and what to change. The environment is the one that this command
    runs in: call it as the training is called. PATH may also be a run directory; then the script and the environment
    are those that the run has recorded. The first call writes rldk.lock with packages, variables and machine; later
    calls name what has changed since. Findings are warnings at most: --fail-on warn makes a build fail on them.

    \b
    Examples:
      rldk env-audit train.py
      rldk env-audit . --fail-on warn --format github
      rldk env-audit . --select DET020,DET021 --all
      rldk env-audit train.py --lock envs/a100.lock --update
    """
    output = flags.pop("output")
    form = form_of(flags.pop("form"), output, as_json=flags.pop("as_json"))
    chosen = {name: flags.pop(name) for name in ("fail_on", "select", "ignore")}
    settings = load_settings({"color": color_setting(flags.pop("colour")), **chosen})
    made = _audited(path, lock if lock.exists() and not no_lock else None, settings)
    if flags["card"] is not None:
        _write_card(flags["card"], made)
    if not no_lock and (update or not lock.exists()):
        _write_lock(lock, made)
    report, fail_on = made.report, settings["fail_on"]
    look: dict[str, Any] = {"color": settings["color"], "fail_on": fail_on, "everything": flags["everything"]}
    code = _exit_code(report, fail_on)
    closing = exit_line(code, report.worst(), fail_on)
    print_report(report, form, output, html=flags["html"], closing=closing, most=100, **look)
    return code


def _audited(path: Path, lock: Path | None, settings: Any) -> EnvironmentAudit:
    from rldk.forensics.env_audit import audit

    with progress(1) as pieces:
        return audit(
            path,
            lock=lock,
            select=settings["select"],
            ignore=settings["ignore"],
            begin=lambda name: pieces.begin(clean(name, 60)),
            expect=lambda count: pieces.expect(count - 1),
        )


def _write_card(path: Path, made: EnvironmentAudit) -> None:
    from rldk.cards.wire import dumps

    save(path, dumps(made.card) + "\n")
    say(f"wrote {path}")


def _write_lock(path: Path, made: EnvironmentAudit) -> None:
    from rldk.provenance.lock import lock_text

    save(path, lock_text(made.lock))
    say(f"wrote {path}")


def _exit_code(report: Report, fail_on: str) -> int:
    if fails([report.worst()], fail_on):
        return 1
    return 0 if report.checked and report.numbers.get("files") else 3
