"""`rldk preflight CONFIG [KEY=VALUE ...]` and `rldk preflight -- COMMAND...`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rldk.cli.doctor import exit_code
from rldk.cli.flags import (
    color_setting,
    colour_option,
    exit_line,
    fail_on_option,
    format_option,
    html_option,
    ignore_option,
    json_option,
    output_option,
    select_option,
)
from rldk.cli.formats import form_of, print_report
from rldk.config import load_settings
from rldk.errors import UsageError

if TYPE_CHECKING:
    from rldk.core.model import Report

_COMMAND = "rldk.preflight.command"  # where the words after -- are kept


class WithCommand(click.Command):
    """A command whose words after -- are a command of the user's, to be run as it is."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if "--" in args:
            at = args.index("--")
            ctx.meta[_COMMAND] = tuple(args[at + 1 :])
            args = args[:at]
        return super().parse_args(ctx, args)


@click.command("preflight", cls=WithCommand)
@click.argument("config", required=False, type=click.Path(path_type=Path), metavar="[CONFIG")
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...] [-- COMMAND...]")
@click.option(
    "--processes",
    type=click.IntRange(1),
    metavar="N",
    help="Number of training processes, where CONFIG does not say it.",
)
@click.option(
    "--packages",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Check these versions: a requirements or lock file, or the directory of a run.  [default: what is installed]",
)
@click.option(
    "--framework",
    type=click.Choice(("trl", "transformers", "verl", "openrlhf")),
    help="The trainer.  [default: recognised by the keys]",
)
@click.option(
    "--algorithm", metavar="NAME", help="The algorithm, such as grpo or dpo.  [default: recognised by the keys]"
)
@click.option(
    "--time-limit",
    "time_limit_s",
    type=click.FloatRange(min=1.0),
    default=600.0,
    show_default=True,
    metavar="S",
    help="Seconds that COMMAND may take until its first optimizer step.",
)
@click.option("--all", "everything", is_flag=True, help="Show every rule that could not look, and why.")
@json_option
@format_option("text, json, md, github, junit or sarif.")
@output_option
@html_option
@fail_on_option
@select_option
@ignore_option
@colour_option
def command(config: Path | None, overrides: tuple[str, ...], **flags: Any) -> int:
    """Check a training before it starts, and before a GPU is spent.

    CONFIG is the configuration of TRL (YAML), verl (hydra YAML) or OpenRLHF, or a shell script that starts one of them;
    the script is read, not run. KEY=VALUE overrides a setting. With -- COMMAND, rldk runs your own script up to its
    first optimizer step, looks at loss, gradients and weights, and stops it with all of its children. None of its files
    is changed. rldk.preflight(...) also tries out a tokenizer, a reward function, a data set and a model.

    \b
    Examples:
      rldk preflight grpo.yaml --processes 8
      rldk preflight run_qwen3_8b.sh trainer.n_gpus_per_node=4
      rldk preflight ppo_trainer.yaml data.train_batch_size=512 --packages uv.lock
      rldk preflight -- python train.py --lr 1e-6
    """
    output = flags.pop("output")
    form = form_of(flags.pop("form"), output, as_json=flags.pop("as_json"))
    settings = load_settings({"color": color_setting(flags.pop("colour")), **_chosen(flags)})
    html, everything = flags.pop("html"), flags.pop("everything")
    report = _report(config, overrides, click.get_current_context().meta.get(_COMMAND), flags, settings)
    fail_on = settings["fail_on"]
    code = exit_code([report], [], fail_on)
    look: dict[str, Any] = {"color": settings["color"], "fail_on": fail_on, "everything": everything}
    print_report(report, form, output, html=html, closing=exit_line(code, report.worst(), fail_on), **look)
    return code


def _chosen(flags: dict[str, Any]) -> dict[str, Any]:
    return {name: flags.pop(name) for name in ("fail_on", "select", "ignore")}


def _report(
    config: Path | None, overrides: tuple[str, ...], words: tuple[str, ...] | None, flags: dict[str, Any], settings: Any
) -> Report:
    """The report on the configuration, or on the command. Raises `UsageError` when there are both or none."""
    if (config is None) == (words is None):
        hint = "rldk preflight grpo.yaml, or rldk preflight -- python train.py"
        raise UsageError("give a configuration, or a command after --", hint=hint)
    chosen = {"select": settings["select"], "ignore": settings["ignore"]}
    limit, processes = flags.pop("time_limit_s"), flags.pop("processes")
    if words is not None:
        from rldk.preflight.command import preflight_command

        return preflight_command(words, time_limit_s=limit, passed_on=_pass_on, **flags, **chosen)
    from rldk.preflight.check import preflight_config

    if config is None:
        raise UsageError("give a configuration", hint="rldk preflight grpo.yaml")
    return preflight_config(config, overrides, processes=processes, **flags, **chosen)


def _pass_on(chunk: bytes) -> None:
    """What the script prints goes to stderr, so that stdout holds the report alone."""
    sys.stderr.buffer.write(chunk)
    sys.stderr.buffer.flush()
