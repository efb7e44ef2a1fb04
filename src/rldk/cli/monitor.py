"""`rldk monitor`: watch a training while it runs."""

from __future__ import annotations

import os
import signal
import stat
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from rldk.cli.flags import field_map_flag, field_map_option, json_option
from rldk.cli.output import say
from rldk.config import Settings, load_settings
from rldk.config.settings import FAIL_ON
from rldk.errors import UsageError

if TYPE_CHECKING:
    from rldk.adapters.live.reader import ReadOptions
    from rldk.monitor.watch import Feed

VARIABLE = "RLDK_METRICS_PATH"
C = TypeVar("C", bound=Callable[..., Any])
_FILE = click.Path(path_type=Path)

_SOURCES = (
    click.option(
        "--stream",
        "streams",
        multiple=True,
        metavar="PATH|DIR|-",
        help="Follow a file, the log of a directory, or stdin; may be repeated, and need not be there yet.",
    ),
    click.option("--once", "once", multiple=True, metavar="FILE", help="Read a finished file to its end instead."),
    click.option("--from-wandb", metavar="ENTITY/PROJECT/RUN", help="Follow a run on Weights & Biases."),
    click.option("--from-mlflow", metavar="RUN_ID", help="Follow a run on an MLflow server."),
    click.option("--tee", is_flag=True, help="Pass stdin on to stdout; alerts then go to stderr."),
    click.option(
        "--pid", type=click.IntRange(2), help="The training process: `stop` ends it, and its end ends the monitor."
    ),
)
SHARED = (
    click.option(
        "--rules", multiple=True, metavar="PRESET|FILE", help="Rules to watch by; may be repeated.  [default: default]"
    ),
    click.option(
        "--set-rule", "overrides", multiple=True, metavar="ID.FIELD=VALUE", help="Change one field of a rule."
    ),
    click.option(
        "--preset",
        metavar="NAME",
        help="Whose metric names they are: trl, grpo, accelerate, openrlhf, verl, sb3, cleanrl, rllib.",
    ),
    field_map_option,
    click.option(
        "--regex",
        metavar="NAME|PATTERN",
        help="A text log: trl, openrlhf, verl, sb3, name=value, or a pattern with named groups.",
    ),
    click.option("--alerts", type=_FILE, metavar="F.jsonl", help="Append every alert to this file."),
    click.option("--alerts-txt", type=_FILE, metavar="F", help="The same as lines of text."),
    click.option(
        "--report", type=_FILE, metavar="F", help="Write the report here at the end: JSON, or .html, .md, .xml, .sarif."
    ),
    click.option(
        "--state",
        type=_FILE,
        metavar="F",
        help="Remember what was said, so that a restart neither repeats nor misses it.",
    ),
    click.option("--reference", metavar="RUN", help="An approved run that this one is held against, as for doctor."),
    click.option(
        "--stop-on",
        type=click.Choice(("warn", "critical")),
        help="Stop the training at the first finding of this severity, whatever the rules say.",
    ),
    click.option(
        "--allow-actions",
        multiple=True,
        metavar="KINDS",
        help="Let rules run commands (shell), post (http), write sentinels anywhere.",
    ),
    click.option(
        "--kill-timeout-sec",
        "kill_s",
        type=click.FloatRange(0.1, 3600),
        default=10.0,
        show_default=True,
        help="Before `stop` goes from SIGTERM to SIGKILL.",
    ),
    click.option(
        "--http-timeout-sec",
        "http_s",
        type=click.FloatRange(0.1, 3600),
        default=10.0,
        show_default=True,
        help="Of one post.",
    ),
    click.option(
        "--retries", type=click.IntRange(0, 10), default=3, show_default=True, help="Of an action that failed."
    ),
    click.option(
        "--idle-timeout",
        "idle_s",
        type=click.FloatRange(0.1),
        metavar="SEC",
        help="End when nothing new has come for so long.",
    ),
    click.option(
        "--reward-health-window",
        "reward_window",
        type=click.IntRange(2, 1_000_000),
        default=100,
        show_default=True,
        metavar="N",
        help="Newest rows that the report's reward statistics are over.",
    ),
    click.option("--exit-code", "judge", is_flag=True, help="Exit 1 when something is wrong, as `rldk doctor` does."),
    click.option(
        "--fail-on", type=click.Choice(FAIL_ON), help="The severity from which --exit-code says 1.  [default: critical]"
    ),
    click.option("--plain", is_flag=True, help="Lines instead of the panel, on a terminal too."),
    json_option,
)


def options(*groups: tuple[Callable[[C], C], ...]) -> Callable[[C], C]:
    """All the options of the groups, in order."""

    def decorate(command: C) -> C:
        for option in reversed([option for group in groups for option in group]):
            command = option(command)
        return command

    return decorate


@click.command("monitor")
@options(_SOURCES, SHARED)
def command(streams: tuple[str, ...], once: tuple[str, ...], tee: bool, **flags: Any) -> int:
    """Watch a training while it runs: alert when something breaks.

    Rules may also stop it, or call for help. Without --stream or --once it reads stdin when that is a pipe or a
    file, else the file that RLDK_METRICS_PATH names. It ends with its input, on Ctrl-C, when the process of --pid
    is gone, or after --idle-timeout; the exit code is 0 whatever was found, unless --exit-code."""
    from rldk.cli.watching import asked_rules, conduct, until
    from rldk.monitor.signals import Signals

    remote = {"wandb": flags.pop("from_wandb"), "mlflow": flags.pop("from_mlflow")}
    named = sum((bool(streams), bool(once), *(bool(v) for v in remote.values())))
    if named > 1:
        raise UsageError("several kinds of source at once", hint="give --stream, --once, --from-wandb or --from-mlflow")
    if not named:
        streams = (default_stream(),)
    if tee and "-" not in streams:
        raise UsageError(
            "--tee passes stdin on, and stdin is not read", hint="use it as `train.py | rldk monitor --tee`"
        )
    how, settings = reading(flags)
    rules = asked_rules(flags)
    feeds = _feeds(streams, once, remote, how, tee=(1,) if tee else (), exclude=written(flags))
    with Signals() as signals:
        code = conduct(
            feeds,
            rules,
            fail_on=settings["fail_on"],
            hold=not once,
            stdout=not tee,
            wait=until(signals),
            **flags,
        )
    return 130 if signals.caught is signal.SIGINT else code


def _feeds(
    streams: Sequence[str],
    once: Sequence[str],
    remote: Mapping[str, str | None],
    how: ReadOptions,
    *,
    tee: Sequence[int],
    exclude: Sequence[Path],
) -> Sequence[Feed]:
    """The feeds of whichever of the sources there is; each loads what it needs only."""
    if once:
        from rldk.monitor.feeds import finished_feeds

        return finished_feeds(once, how, warn=say)
    from rldk.monitor.sources import live_feeds, remote_feeds

    if any(remote.values()):
        return remote_feeds(remote, how, warn=say)
    return live_feeds(streams, how, warn=say, tee=tee, exclude=exclude)


def reading(flags: dict[str, Any]) -> tuple[ReadOptions, Settings]:
    """How logs are to be read, and the settings; takes the options that say so out of `flags`."""
    from rldk.adapters.live.reader import ReadOptions

    settings = load_settings({"field_map": field_map_flag(flags.pop("field_map")), "fail_on": flags.pop("fail_on")})
    how = ReadOptions(field_map=settings["field_map"] or {}, preset=flags.pop("preset"), pattern=flags.pop("regex"))
    return how, settings


def written(flags: dict[str, Any]) -> list[Path]:
    """The files that the monitor itself writes."""
    return [flags[name] for name in ("alerts", "alerts_txt", "report", "state") if flags[name] is not None]


def default_stream() -> str:
    """What to follow when nothing is named. Raises `UsageError` when there is nothing."""
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode
    except (OSError, ValueError, AttributeError):
        mode = 0
    if stat.S_ISFIFO(mode) or stat.S_ISREG(mode) or stat.S_ISSOCK(mode):
        return "-"
    path = os.environ.get(VARIABLE, "").strip()
    if path:
        return path
    raise UsageError("nothing to watch", hint=f"give --stream PATH, pipe a training into it, or set {VARIABLE}")
