"""`rldk mismatch RUN|SAMPLES`."""

from __future__ import annotations

from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rldk.cards.safe import clean
from rldk.cli.flags import color_setting, colour_option, fail_on_option, fails, format_option, html_option, json_option
from rldk.cli.output import progress, say, use_colour, width, write
from rldk.config import load_settings
from rldk.core.files import save
from rldk.errors import UsageError

if TYPE_CHECKING:
    from rldk.core.model import Report

SHORT = {"md": "markdown", "text": "terminal"}


@click.command("mismatch")
@click.argument("source", metavar="RUN|SAMPLES")
@json_option
@format_option("text, json, md, github, junit or sarif.  [default: text]")
@html_option
@fail_on_option
@colour_option
def command(source: str, as_json: bool, form: str | None, html: Path | None, colour: bool | None, **flags: Any) -> int:
    """Say why sampler and trainer disagree about the probabilities of the same tokens.

    RUN is a directory with per-sample records, SAMPLES a file of them. The records need the log-probabilities of both
    sides: for each token, or one sum for each response, which says less. The command tells apart stale weights,
    temperature, truncated sampling, precision, tokenisation and expert routing, as far as the records allow. The exit
    code is 1 when a cause is as severe as --fail-on says, and 3 when there are no log-probabilities of both sides.

    \b
    Examples:
      rldk mismatch runs/grpo
      rldk mismatch samples-0.jsonl --fail-on warn
      rldk mismatch train_data_step12.jsonl --html gap.html
    """
    from rldk.cards.mismatch import mismatch_view
    from rldk.cards.wire import document, dumps
    from rldk.core.registry import renderers
    from rldk.logprobs import mismatch

    if as_json and form not in (None, "json"):
        raise UsageError(f"--json and --format {form} ask for two things", hint="give one of them")
    name = "json" if as_json else SHORT.get(form or "text", form or "")
    render = None if name == "json" else renderers.get(name)
    settings = load_settings({**flags, "color": color_setting(colour)})
    with progress(1) as pieces:
        pieces.begin(f"reading {clean(source, 60)}")
        report = mismatch(source)
    view = mismatch_view(report)
    if html is not None:
        save(html, str(renderers.get("html")(view)))
        say(f"wrote {html}")
    how = {"colour": use_colour(settings["color"]), "width": width(), "fail_on": settings["fail_on"]}
    if render is None:
        write(dumps(document(report)))
    else:
        known = signature(render).parameters
        write(str(render(view, **{key: value for key, value in how.items() if key in known})))
    return exit_code(report, settings["fail_on"])


def exit_code(report: Report, fail_on: str) -> int:
    """The exit code: 1 when a cause is severe enough, 3 when nothing could be compared."""
    if not report.checked and not report.findings:
        return 3
    return int(fails([report.worst()], fail_on))
