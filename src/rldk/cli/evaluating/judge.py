"""`rldk evals judge A B --url URL --model NAME`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rldk.cli import flags
from rldk.cli.evaluating.options import column_options, columns_of, seed_option
from rldk.cli.formats import form_of, print_report
from rldk.cli.output import progress, say
from rldk.config import load_settings
from rldk.errors import UsageError


@click.command("judge")
@click.argument("a")
@click.argument("b")
@click.option("--url", required=True, metavar="URL", help="Server, up to and without /chat/completions.")
@click.option("--model", required=True, metavar="NAME", help="Model to ask there.")
@click.option("--votes", type=click.IntRange(1), default=1, show_default=True, help="Questions in each order.")
@click.option("--temperature", type=float, default=0.0, show_default=True, help="Temperature of the judge.")
@click.option("--max-tokens", type=click.IntRange(1), default=512, show_default=True, help="Tokens of its answer.")
@click.option("--question", type=flags.FILE, metavar="FILE", help="Another question, with {prompt}, {first}, {second}.")
@click.option("--human", metavar="NAME", help="Column of B with the verdicts of people.  [default: human]")
@click.option("--most", type=click.IntRange(1), help="Judge so many prompts, drawn at random.  [default: all]")
@click.option("--pairs", type=flags.FILE, metavar="FILE", help="Write each pair with its verdicts here, one a line.")
@click.option(
    "--state", type=flags.FILE, metavar="F.jsonl",
    help="Keep each answer of the judge in this file as it comes, and ask only for what is not there.  [default: "
    "NAME.answers.jsonl beside the file of --output, --pairs or --html; nothing is kept without these]",
)  # fmt: skip
@click.option("--concurrency", type=click.IntRange(1), default=8, show_default=True, help="Questions at a time.")
@click.option(
    "--timeout", "timeout_s", type=click.FloatRange(min=0, min_open=True), default=60.0, show_default=True,
    metavar="SECONDS", help="Time limit of one answer.",
)  # fmt: skip
@click.option("--retries", type=click.IntRange(0), default=3, show_default=True, help="Further tries of a question.")
@click.option(
    "--token-variable", default="OPENAI_API_KEY", show_default=True, help="Environment variable of the token."
)
@seed_option
@column_options
@flags.html_option
@flags.json_option
@flags.format_option()
@flags.output_option
@flags.colour_option
def command(a: str, b: str, as_json: bool, pairs: Path | None, question: Path | None, **given: Any) -> int:
    """Let a model judge the answers of A and B, each pair in both orders, and say how far to trust it.

    The server is any that speaks the OpenAI chat protocol. A `human` column in B (a, b or tie) gives the agreement with
    people. A question that gets no answer is left out and counted. Where there is a --state, answers are kept as they
    come: after an interruption the same command asks for the rest, and the report is the same. The exit code is 1 when
    the judge's choice depends on the order.

    \b
    Examples:
      rldk evals judge base.jsonl tuned.jsonl --url http://127.0.0.1:8000/v1 --model my-judge
      rldk evals judge a.jsonl b.jsonl --url http://127.0.0.1:8000/v1 --model my-judge --votes 3 --temperature 0.7
      rldk evals judge a.jsonl b.jsonl --url http://127.0.0.1:8000/v1 --model my-judge --state answers.jsonl
    """
    import json

    from rldk.core.files import save
    from rldk.evals.judges.pairs import QUESTION, judge_pairs
    from rldk.evals.judges.server import JudgeServer

    output, html = given.pop("output"), given.pop("html")
    form = form_of(given.pop("form"), output, as_json=as_json)
    settings = load_settings({"color": flags.color_setting(given.pop("colour"))})
    names = ("url", "model", "temperature", "max_tokens", "timeout_s", "retries", "concurrency", "token_variable")
    server = JudgeServer(**{name: given.pop(name) for name in names})
    text = QUESTION if question is None else _text_of(question)
    state = _state_of(given.pop("state"), output, pairs, html)
    try:
        with progress(1) as pieces:
            pieces.begin(f"asking {server.place}")
            report, found = judge_pairs(
                a, b, server, question=text, columns=columns_of(given), state=state, expect=pieces.expect,
                advance=lambda: pieces.advance(1), tell=say, **given,
            )  # fmt: skip
    except (KeyboardInterrupt, SystemExit):
        if state is not None:
            say(f"interrupted; the answers so far are kept in {state}, and the same command asks for the rest")
        raise
    if pairs is not None:
        save(pairs, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in found))
        say(f"wrote {pairs}")
    print_report(report, form, output, html=html, color=settings["color"])
    return int(not report.passed) if report.numbers["judged"] else 3


def _state_of(named: Path | None, *written: Path | None) -> Path | None:
    """Where answers are kept: in the file that the user names, else beside the first file that is written at the end.
    Raises `UsageError` where it is one of these."""
    files = [path for path in written if path is not None]
    path = next((path for path in files if path.is_file() or not path.exists()), None)
    state = named or (None if path is None else path.with_name(f"{path.stem}.answers.jsonl"))
    if state is not None and state.resolve() in [path.resolve() for path in files]:
        raise UsageError(f"{state} is written at the end", hint="keep the answers in another file: --state FILE")
    return state


def _text_of(path: Path) -> str:
    """The text in the file. Raises `UsageError`."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the question in {path}: {error}", hint="a text in UTF-8") from None
