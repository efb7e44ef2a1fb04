"""`rldk card determinism|drift|reward|kl-drift`."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from rldk.cards.safe import clean
from rldk.cli import flags, gate
from rldk.cli.formats import form_of, print_report
from rldk.cli.output import progress, say
from rldk.config import load_settings
from rldk.core.rundir import CARDS

if TYPE_CHECKING:
    from rldk.cards.trust.card import Card

F = TypeVar("F", bound=Callable[..., Any])
ELSEWHERE = "rldk_cards"
OPTIONS = (
    flags.folder_option(
        "Write the card's files to this directory.  [default: cards/ in the run's directory; rldk_cards/ here when "
        "the run is no directory]"
    ),
    flags.trainer_option("the log uses"),
    flags.field_map_option,
    gate.gate_option,
    gate.gate_codes_option,
    flags.json_option,
    flags.format_option(),
    click.option("-o", "--output", type=flags.FILE, help="Write what would be printed to this file."),
    flags.colour_option,
)


def card_options(function: F) -> F:
    """Adds the options that all cards share."""
    for option in reversed(OPTIONS):
        function = option(function)
    return function


@click.group("card")
def command() -> None:
    """Make a trust card: one page on whether a run repeats, drifted, or has a sound reward.

    A card is a JSON file, which is the truth, with a page, Markdown and a picture of it. It says what was checked, on
    how much data, by which method, and what was not checked. Pictures need rldk[plot].

    \b
    Examples:
      rldk card determinism runs/exp1             say whether the program repeats
      rldk card drift runs/before runs/after      say whether the second run left the first
      rldk card reward runs/exp1                  say whether its reward is learnt, kept and honest
      rldk card kl-drift runs/exp1                say whether the KL left its course
    """


@command.command("determinism")
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@click.option(
    "--tolerance",
    type=click.FloatRange(0),
    default=0.0,
    show_default=True,
    help="Values agree when they differ by at most this share of the larger one; 0 means bit by bit.",
)
@card_options
def determinism(runs: tuple[str, ...], tolerance: float, **given: Any) -> int:
    """Say whether a program repeats, from a determinism check, from replicas, or from what one run records.

    RUN is the directory that `rldk check-determinism --output-dir` wrote; or several runs of one command and seed,
    which are compared; or one run; the card then shows what it records of seed, code, packages and data. One run
    alone cannot show that it repeats: the exit code is then 3.

    \b
    Examples:
      rldk card determinism checked/
      rldk card determinism runs/seed1-a runs/seed1-b --output-dir out
      rldk card determinism runs/exp1 --json
    """
    source: Any = runs[0] if len(runs) == 1 else list(runs)
    return _made("determinism", (source,), runs, given, tolerance=tolerance)


@command.command("drift")
@click.argument("run_a", metavar="A")
@click.argument("run_b", metavar="B")
@click.option(
    "--signals",
    metavar="NAMES",
    help="Compare these metrics, with commas.  [default: every known metric of both]",
)
@click.option(
    "--baseline",
    "baselines",
    multiple=True,
    metavar="RUN",
    help="A run that differs from A in its seed only; repeat it. Five or more tell seed noise from a change.",
)
@card_options
def drift(run_a: str, run_b: str, signals: str | None, baselines: tuple[str, ...], **given: Any) -> int:
    """Say whether run B left run A, in which metric and from which step on, and what may have caused it.

    A and B are log files, run directories or URLs. The card answers the same question as `rldk diff` and says which one
    it is. It warns, and does not fail, where one pair of runs cannot tell a change from a seed.

    \b
    Examples:
      rldk card drift runs/before runs/after
      rldk card drift runs/s1 runs/new --baseline 'runs/s[2-5]' --gate --format junit -o drift.xml
    """
    asked = {"signals": signals, "baseline_runs": list(baselines) or None}
    beside = [word for one in baselines for word in ("--baseline", one)]
    beside += ["--signals", signals] if signals is not None else []
    return _made("drift", (run_a, run_b), (run_a, run_b), given, beside=beside, **asked)


@command.command("reward")
@click.argument("run", metavar="RUN")
@card_options
def reward(run: str, **given: Any) -> int:
    """Say whether the reward of a run is learnt, kept and honest, as far as its log can say.

    RUN is a log file, a directory, a URL, or - for stdin. It must hold one run. Where it has records of single answers
    (samples-*.jsonl, completions), the card also has length bias, shortcuts, saturation and what else
    `rldk reward-health` finds in them. What the data cannot answer is listed with what it needs.

    \b
    Examples:
      rldk card reward runs/exp1
      rldk card reward completions.parquet --output-dir out
      rldk card reward own.csv --field-map '{"avg_rew": "reward_mean"}' --output-dir out
    """
    from rldk.reward.single_answers import health_of_answers

    with progress(1) as pieces:
        pieces.begin(f"looking at single answers of {clean(run, 60)}")
        health = health_of_answers(run)
    if health is not None and "step" not in health.meta["columns"]:
        return _made("reward", (health,), (run,), given)  # there is no course to judge
    return _made("reward", (run,), (run,), given, health=health)


@command.command("kl-drift")
@click.argument("run", metavar="RUN")
@card_options
def kl_drift(run: str, **given: Any) -> int:
    """Say whether the KL of a run left its course, since when and how far.

    RUN is a log file, a directory, a URL, or - for stdin. It must hold one run. The exit code is 3 when the log has no
    KL, or too little of it.

    \b
    Examples:
      rldk card kl-drift runs/exp1
      rldk card kl-drift ppo.jsonl --preset trl --gate-codes 0,0,1
    """
    return _made("kl-drift", (run,), (run,), given)


def _made(
    kind: str,
    sources: tuple[Any, ...],
    words: tuple[str, ...],
    given: dict[str, Any],
    *,
    beside: list[str] | None = None,
    **asked: Any,
) -> int:
    """Makes the card, writes its files, prints it, and returns the exit code."""
    from rldk.cards.trust.kinds import generate

    output, folder = given.pop("output"), given.pop("output_dir") or default_folder(words[-1])
    form = form_of(given.pop("form"), output, as_json=given.pop("as_json"))
    graded = gate.gate_of(gate=given.pop("gate"), codes=given.pop("gate_codes"))
    names, colour = flags.field_map_flag(given.pop("field_map")), given.pop("colour")
    settings = load_settings({"field_map": names, "color": flags.color_setting(colour)})
    field_map = {**flags.preset_map(given.pop("preset")), **(settings["field_map"] or {})} or None
    again = shlex.join(["rldk", "card", kind, *words, *(beside or ())])
    with progress(1) as pieces:
        pieces.begin(f"reading {clean(words[0], 60)}")
        card = generate(kind, *sources, field_map=field_map, command=again, **asked)
    _write(card, folder)
    print_report(card, form, output, color=settings["color"])
    return graded.exit_code(card.status)


def default_folder(source: str) -> Path:
    """Where the files go when nothing is said: into the directory of the run, or else into this one."""
    path = Path(source)
    return path / CARDS if path.is_dir() else Path(ELSEWHERE)


def _write(card: Card, folder: Path) -> None:
    from rldk.cards.trust.files import write_card

    files = write_card(card, folder)
    say(f"wrote {', '.join(file.name for file in files)} to {clean(folder)}")
    if len(files) < 4:
        say('no picture: it needs matplotlib, pip install "rldk[plot]"')
