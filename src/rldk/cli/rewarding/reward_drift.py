"""`rldk reward-drift A B --prompts P`, also as `rldk reward reward-drift`."""

from __future__ import annotations

from typing import Any

import click

from rldk.cli import flags
from rldk.cli.formats import form_of, print_report
from rldk.cli.gate import gate_codes_option, gate_of, gate_option
from rldk.cli.output import progress
from rldk.config import load_settings
from rldk.errors import UsageError


@click.command("reward-drift")
@click.argument("models", nargs=-1, metavar="[A B]")
@click.option("--prompts", metavar="FILE", help="Prompts with answers, or pairs, that both models score.")
@click.option("--scores-a", metavar="FILE", help="Scores of the first model, instead of the model.")
@click.option("--scores-b", metavar="FILE", help="Scores of the second model, instead of the model.")
@click.option("--batch-size", "batch", default=16, show_default=True, type=click.IntRange(1), help="Texts at a time.")
@click.option("--device", help="cpu, cuda:0, ...: where a classifier runs.  [default: a GPU where there is one]")
@click.option("--max-tokens", type=click.IntRange(1), help="Where the input of a classifier is cut.")
@click.option(
    "--timeout",
    "timeout_s",
    default=30.0,
    show_default=True,
    type=click.FloatRange(0.001),
    help="Time limit of a request, in seconds.",
)
@click.option("--retries", default=3, show_default=True, type=click.IntRange(0), help="Further tries of a request.")
@click.option(
    "--token-variable",
    default="RLDK_SCORER_TOKEN",
    show_default=True,
    metavar="NAME",
    help="Environment variable with the token of an HTTP scorer.",
)
@gate_option
@gate_codes_option
@flags.html_option
@click.option("--all", "everything", is_flag=True, help="Show every disagreement.")
@flags.json_option
@flags.format_option()
@flags.output_option
@flags.colour_option
def command(models: tuple[str, ...], prompts: str | None, **given: Any) -> int:
    """Say whether two reward models, or two versions of one, agree on the same answers.

    A and B are local directories of sequence classifiers, functions ("package.module:function"), files of scores, or
    http addresses. Two files of scores need no prompts: they are joined by id, or else by text. The report has rank
    correlations, pairs and signs that flip, the change of scale, and the answers on which they disagree most. The exit
    code is 1 when they do not agree, and 3 when the answers are too few to tell.

    \b
    Examples:
      rldk reward-drift rm-v1/ rm-v2/ --prompts answers.jsonl
      rldk reward-drift --scores-a v1.jsonl --scores-b v2.jsonl --html drift.html
      rldk reward-drift my_rewards:old my_rewards:new --prompts pairs.jsonl --gate
    """
    from rldk.reward.models import compare_models
    from rldk.reward.scorers.options import ScorerOptions

    first, second = _two(models, given.pop("scores_a"), given.pop("scores_b"))
    output, html, everything = given.pop("output"), given.pop("html"), given.pop("everything")
    form = form_of(given.pop("form"), output, as_json=given.pop("as_json"))
    gate = gate_of(gate=given.pop("gate"), codes=given.pop("gate_codes"))
    settings = load_settings({"color": flags.color_setting(given.pop("colour"))})
    with progress(1) as pieces:
        pieces.begin("scoring")
        how = ScorerOptions(**given)
        report = compare_models(first, second, prompts, options=how, advance=pieces.advance)
    print_report(report, form, output, html=html, color=settings["color"], everything=everything)
    loud = any(f.severity != "info" for f in report.findings)
    judged = report.spearman.bounded or loud
    return gate.exit_code("fail" if not report.passed else "warn" if loud else "pass" if judged else "not checked")


def _two(models: tuple[str, ...], scores_a: str | None, scores_b: str | None) -> tuple[str, str]:
    """The two models. Files of scores stand for the model that was not named. Raises `UsageError`."""
    named = list(models)
    first = scores_a if scores_a is not None else named.pop(0) if named else None
    second = scores_b if scores_b is not None else named.pop(0) if named else None
    if first is None or second is None or named:
        raise UsageError("give two models", hint="rldk reward-drift A B --prompts P, or --scores-a F --scores-b F")
    return first, second
