"""`rldk forensics kl-drift SRC`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rldk.cards.safe import clean
from rldk.cli import flags
from rldk.cli.output import progress, use_colour, width, write
from rldk.config import load_settings


@click.command("kl-drift")
@click.argument("source", metavar="SRC")
@flags.folder_option("Write the analysis files to this directory.")
@flags.trainer_option("the log uses")
@flags.field_map_option
@click.option("--step-col", metavar="NAME", help="Name of the column with the step.")
@click.option("--kl-col", metavar="NAME", help="Name of the column with the KL.")
@click.option("--kl-coef-col", metavar="NAME", help="Name of the column with the KL coefficient.")
@click.option(
    "--drift-threshold",
    type=click.FloatRange(0, 1),
    default=0.15,
    show_default=True,
    help="Distance from the reference period, from 0 to 1, at which drift begins.",
)
@click.option(
    "--drift-window-size",
    type=click.IntRange(2),
    default=100,
    show_default=True,
    help="Number of newest rows to compare with the reference period.",
)
@click.option(
    "--reference-period",
    type=click.IntRange(2),
    help="Number of first rows that form the reference period.  [default: as many as the window]",
)
@flags.fail_on_option
@flags.json_option
@flags.colour_option
def command(source: str, output_dir: Path | None, as_json: bool, colour: bool | None, **given: Any) -> int:
    """Say whether the KL drifted from where it was, since when, and how far.

    SRC is a log file, a directory, a URL, or - for stdin. It must hold one run. With --output-dir the command also
    writes RUN_comprehensive_analysis.json, RUN_health_summary.json, RUN_comprehensive_metrics.csv and
    RUN_comprehensive_metrics.json. The exit code is 3 when the log has no KL.

    \b
    Examples:
      rldk forensics kl-drift ppo.jsonl
      rldk forensics kl-drift own.csv --step-col it --kl-col divergence --output-dir drift
    """
    from rldk.cards import terminal
    from rldk.cards.forensics import drift_view
    from rldk.cards.wire import dumps
    from rldk.forensics.comprehensive import ComprehensivePPOForensics
    from rldk.forensics.scan import open_one

    columns = {given.pop(f"{name}_col"): name for name in ("step", "kl", "kl_coef")}
    settings = load_settings(
        {
            "field_map": flags.field_map_flag(given["field_map"]),
            "fail_on": given["fail_on"],
            "color": flags.color_setting(colour),
        }
    )
    chosen = {key: name for key, name in columns.items() if key is not None}
    with progress(1) as pieces:
        pieces.begin(f"reading {clean(source, 60)}")
        run = open_one(source, field_map=settings["field_map"], columns=chosen, preset=given["preset"])
        forensics = ComprehensivePPOForensics.of_run(
            run,
            reference_period=given["reference_period"],
            kl_drift_threshold=given["drift_threshold"],
            kl_drift_window_size=given["drift_window_size"],
        )
    drift = forensics.get_kl_drift_analysis()
    files = [str(f) for f in forensics.save_analysis(output_dir / run.id)] if output_dir is not None else []
    if as_json:
        write(dumps({"run": run.id, "source": source, **drift, "files": files}))
    else:
        shown: dict[str, Any] = {"colour": use_colour(settings["color"]), "width": width()}
        write(terminal.render(drift_view(drift, source, files=files), **shown))
    return exit_code(drift, settings["fail_on"])


def exit_code(drift: dict[str, Any], fail_on: str) -> int:
    """The exit code: 1 when the drift is severe enough, 3 when the log has no KL."""
    if drift["status"] == "no_data":
        return 3
    return int(flags.fails((a["level"] for a in drift["anomalies"]), fail_on))
