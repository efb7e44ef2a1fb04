"""`rldk reward-health SOURCE`, and `rldk reward reward-health run|gate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rldk.cli import flags
from rldk.cli.formats import drawn, emit, form_of, print_report
from rldk.cli.gate import GateCodes, Grade, gate_codes_option, gate_of, gate_option
from rldk.cli.output import progress, say
from rldk.cli.rewarding.options import data_options, health_arguments
from rldk.config import load_settings
from rldk.errors import MalformedInput, MissingExtra, OutputError, UnreadableSource, UsageError

if TYPE_CHECKING:
    from rldk.reward.report import RewardHealthReport

FILES = ("json", "md", "html", "png")


@click.command("reward-health")
@click.argument("source", required=False)
@click.option("--run", "run", metavar="SOURCE", help="The same as SOURCE.")
@click.option("--reference", metavar="SOURCE", help="Measure drift against these rewards, not against the run's start.")
@data_options
@flags.folder_option("Also write health.json, health.md, health.html and health.png here.")
@flags.select_option
@flags.ignore_option
@gate_option
@gate_codes_option
@flags.html_option
@click.option("--all", "everything", is_flag=True, help="Also show what the reward goes with, feature by feature.")
@flags.json_option
@flags.format_option()
@flags.output_option
@flags.colour_option
def command(source: str | None, run: str | None, **given: Any) -> int:
    """Say whether a reward is real: drift, saturation, calibration, shortcuts, leakage, length bias, wrong labels.

    SOURCE is a table with one scored answer in each row (Parquet, JSON lines, JSON, CSV), one with pairs (chosen_score,
    rejected_score), a run directory with samples, or a log of steps. A check whose data is missing says what it needs.
    The exit code is 1 when a check fails, and 3 when no check could look.

    \b
    Examples:
      rldk reward-health completions.parquet
      rldk reward-health --run runs/grpo --gold-scores gold.jsonl --html health.html
      rldk reward-health scores.jsonl --reference last-week.jsonl --gate
    """
    name = _one(source, run)
    return checked(name, **given)


@click.group("reward-health")
def group() -> None:
    """Look at rewards, or fail a build on an earlier look.

    \b
    Examples:
      rldk reward reward-health run --scores scores.jsonl --out health/
      rldk reward reward-health gate --from health/health.json
    """


@group.command("run")
@click.option("--scores", required=True, metavar="SOURCE", help="The rewards: a table, a run directory, or a log.")
@click.option("--out", type=flags.FOLDER, metavar="DIR", help="Write health.json, .md, .html and .png here.")
@click.option("--reference", metavar="SOURCE", help="Measure drift against these rewards.")
@data_options
@gate_option
@gate_codes_option
@flags.json_option
@flags.format_option()
@flags.colour_option
def look(scores: str, out: Path | None, **given: Any) -> int:
    """Look at the rewards, and write the report as JSON, Markdown, HTML and, with matplotlib, PNG.

    \b
    Examples:
      rldk reward reward-health run --scores scores.jsonl --out health/
      rldk reward reward-health run --scores scores.parquet --out health/ --gold-scores gold.csv --gate
    """
    more = {"select": None, "ignore": None, "html": None, "everything": False, "output": None}
    return checked(scores, output_dir=out, **more, **given)


@group.command("gate")
@click.option(
    "--from", "path", required=True, type=flags.FILE, metavar="FILE", help="The health.json of an earlier run."
)
@gate_codes_option
@flags.json_option
def gate_command(path: Path, gate_codes: str | None, as_json: bool) -> int:
    """Exit with 0 when the report passes or warns, with 1 when it fails, and with 3 when nothing could be judged.

    \b
    Examples:
      rldk reward reward-health gate --from health/health.json
      rldk reward reward-health gate --from health.json --gate-codes 0,1,1
    """
    from rldk.cards.wire import dumps
    from rldk.cli.output import write

    report = read_report(path)
    chosen = gate_of(gate=True, codes=gate_codes)
    found = grade(report)
    if as_json:
        states = {name: check.status for name, check in report.checks.items()}
        write(dumps({"schema_version": 1, "grade": found, "verdict": report.verdict, "checks": states}))
    else:
        write(f"{found}: {report.verdict}")
    return chosen.exit_code(found)


def checked(source: str, **given: Any) -> int:
    """Looks at the source, prints and writes the report, and returns the exit code."""
    from rldk.reward.assessment import health

    output, html, out = given.pop("output"), given.pop("html"), given.pop("output_dir")
    form = form_of(given.pop("form"), output, as_json=given.pop("as_json"))
    gate = gate_of(gate=given.pop("gate"), codes=given.pop("gate_codes"))
    settings = load_settings({"color": flags.color_setting(given.pop("colour"))})
    everything, reference = given.pop("everything"), given.pop("reference")
    arguments = health_arguments(given)
    arguments |= {name: given[name] for name in ("select", "ignore") if given[name] is not None}
    with progress(1) as pieces:
        pieces.begin(f"looking at {Path(source).name}")
        report = health(source, reference, **arguments)
    if out is not None:
        write_files(report, out)
    print_report(report, form, output, html=html, color=settings["color"], everything=everything)
    return exit_code(report, gate)


def write_files(report: RewardHealthReport, folder: Path, stem: str = "health") -> None:
    """Writes the report in all forms; a picture only where matplotlib is installed. Raises `OutputError`."""
    for form in FILES:
        try:
            made = drawn({"md": "markdown"}.get(form, form), [report], [], everything=True)
        except MissingExtra as error:
            say(f"{stem}.{form} was not written: {error.message} ({error.hint})")
            continue
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError.of(folder, error) from None
        emit(made, folder / f"{stem}.{form}")


def read_report(path: Path) -> RewardHealthReport:
    """The report in a file. Raises `UnreadableSource` and `MalformedInput`."""
    import json

    from rldk.reward.report import RewardHealthReport

    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UnreadableSource(f"cannot read {path}: {error.strerror}", hint="check the path") from None
    except (ValueError, RecursionError) as error:
        raise MalformedInput(f"{path} is no JSON: {error}", hint="give the health.json of an earlier run") from None
    if not isinstance(data, dict) or data.get("kind") != "reward_health":
        raise MalformedInput(f"{path} is no report on rewards", hint="give the health.json of an earlier run")
    try:
        return RewardHealthReport.from_dict(data)  # type: ignore[return-value]  # of the class that is asked
    except MalformedInput as error:
        raise MalformedInput(f"{path}: {error.message}", hint=error.hint) from None


def grade(report: RewardHealthReport) -> Grade:
    """How a gate sees the report."""
    states = {check.status for name, check in report.checks.items() if name != "missing_rewards"}
    states |= {check.status for check in report.checks.values() if check.status in ("warn", "fail")}
    if "fail" in states:
        return "fail"
    if "warn" in states:
        return "warn"
    return "pass" if "pass" in states else "not checked"


def exit_code(report: RewardHealthReport, gate: GateCodes) -> int:
    """The exit code: 1 when a check fails, 3 when none could look."""
    return gate.exit_code(grade(report))


def _one(source: str | None, run: str | None) -> str:
    if (source is None) == (run is None):
        raise UsageError("give one source of rewards", hint="rldk reward-health scores.jsonl")
    return source or run or ""
