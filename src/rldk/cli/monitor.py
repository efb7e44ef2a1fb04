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
        help="Follow a file, the newest log in a directory, or stdin (-). The path may appear later; you may repeat "
        "the option.",
    ),
    click.option(
        "--once",
        "once",
        multiple=True,
        metavar="FILE",
        help="Read a finished file to its end, then stop; you may repeat the option.",
    ),
    click.option("--from-wandb", metavar="ENTITY/PROJECT/RUN", help="Follow a run on Weights & Biases."),
    click.option("--from-mlflow", metavar="RUN_ID", help="Follow a run on an MLflow server."),
    click.option("--tee", is_flag=True, help="Copy stdin to stdout and print alerts to stderr."),
    click.option(
        "--pid",
        type=click.IntRange(2),
        metavar="PID",
        help="Process id of the training. The action `stop` ends it, and the monitor ends after it.",
    ),
)
SHARED = (
    click.option(
        "--rules",
        multiple=True,
        metavar="PRESET|FILE",
        help="Check these rules: a preset or a rule file; you may repeat the option.  [default: default]",
    ),
    click.option(
        "--set-rule",
        "overrides",
        multiple=True,
        metavar="ID.FIELD=VALUE",
        help="Change one field of a rule, as in KL002.rows=5; you may repeat the option.",
    ),
    click.option(
        "--preset",
        metavar="NAME",
        help="The trainer whose metric names the log uses: trl, grpo, accelerate, openrlhf, verl, sb3, cleanrl or "
        "rllib.  [default: found from the names]",
    ),
    field_map_option,
    click.option(
        "--regex",
        metavar="NAME|PATTERN",
        help="Read a text log by trl, openrlhf, verl, sb3, name=value, or a regular expression with named groups.  "
        "[default: recognise the format]",
    ),
    click.option("--alerts", type=_FILE, metavar="F.jsonl", help="Append every alert to this file, as JSON lines."),
    click.option("--alerts-txt", type=_FILE, metavar="F", help="Append every alert to this file, as lines of text."),
    click.option("--report", type=_FILE, metavar="F.json", help="Write the report to this JSON file at the end."),
    click.option(
        "--state",
        type=_FILE,
        metavar="F",
        help="Keep in this file which alerts were given, so that a restart neither repeats nor misses one.",
    ),
    click.option(
        "--reference",
        metavar="RUN",
        help="Compare with this approved run: a material difference is a finding.",
    ),
    click.option(
        "--stop-on",
        type=click.Choice(("warn", "critical")),
        help="Stop the training at the first finding that is at least this severe.  [default: only when a rule "
        "has the action stop]",
    ),
    click.option(
        "--allow-actions",
        multiple=True,
        metavar="KINDS",
        help="Allow these actions of rules, with commas: shell (run a command), http (post to a server), sentinel "
        "(write a file outside the run too).  [default: none]",
    ),
    click.option(
        "--kill-timeout-sec",
        "kill_s",
        type=click.FloatRange(0.1, 3600),
        default=10.0,
        show_default=True,
        metavar="SEC",
        help="Seconds that `stop` waits after SIGTERM before it sends SIGKILL.",
    ),
    click.option(
        "--http-timeout-sec",
        "http_s",
        type=click.FloatRange(0.1, 3600),
        default=10.0,
        show_default=True,
        metavar="SEC",
        help="Time limit of one HTTP action, in seconds.",
    ),
    click.option(
        "--retries",
        type=click.IntRange(0, 10),
        metavar="N",
        default=3,
        show_default=True,
        help="How often rldk tries a failed action again.",
    ),
    click.option(
        "--idle-timeout",
        "idle_s",
        type=click.FloatRange(0.1),
        metavar="SEC",
        help="End after this many seconds without anything new.  [default: never]",
    ),
    click.option(
        "--reward-health-window",
        "reward_window",
        type=click.IntRange(2, 1_000_000),
        default=100,
        show_default=True,
        metavar="N",
        help="Number of newest rows for the reward statistics of the report.",
    ),
    click.option(
        "--exit-code",
        "judge",
        is_flag=True,
        help="Exit with 1 or 3 as `rldk doctor` does.  [default: exit with 0]",
    ),
    click.option(
        "--fail-on",
        type=click.Choice(FAIL_ON),
        help="With --exit-code: exit with 1 when a finding is at least this severe; never means not at all.  "
        "[default: critical]",
    ),
    click.option("--plain", is_flag=True, help="Print lines instead of a panel in a terminal."),
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

    Rules can also stop the training, run a command or post to a server. When you name no source, the monitor reads
    stdin if that is a pipe or a file, else the file that RLDK_METRICS_PATH names. It ends when its input ends, on
    Ctrl-C, when the process of --pid has ended, or after --idle-timeout. The exit code is 0 whatever it found, unless
    you give --exit-code.

    \b
    Examples:
      rldk monitor --stream runs/exp1/metrics.jsonl
      rldk monitor --stream runs/exp1 --rules ppo_safe --alerts alerts.jsonl
      python train.py | rldk monitor --tee
    """
    from rldk.cli.watching import conduct, load_asked_rules, until
    from rldk.monitor.signals import Signals

    remote = {"wandb": flags.pop("from_wandb"), "mlflow": flags.pop("from_mlflow")}
    named = sum((bool(streams), bool(once), *(bool(v) for v in remote.values())))
    if named > 1:
        raise UsageError(
            "you named several kinds of source", hint="give --stream, --once, --from-wandb or --from-mlflow"
        )
    if not named:
        streams = (default_stream(),)
    if tee and "-" not in streams:
        raise UsageError(
            "--tee copies stdin, but the monitor does not read stdin", hint="use it as `train.py | rldk monitor --tee`"
        )
    how, settings = reading_options(flags)
    rules = load_asked_rules(flags)
    feeds = _feeds(streams, once, remote, how, tee=(1,) if tee else (), exclude=output_files(flags))
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
    """The feeds of the source that was named; only the modules of that source are loaded."""
    if once:
        from rldk.monitor.feeds import finished_feeds

        return finished_feeds(once, how, warn=say)
    from rldk.monitor.sources import live_feeds, remote_feeds

    if any(remote.values()):
        return remote_feeds(remote, how, warn=say)
    return live_feeds(streams, how, warn=say, tee=tee, exclude=exclude)


def reading_options(flags: dict[str, Any]) -> tuple[ReadOptions, Settings]:
    """How to read the logs, and the settings; removes the options that it used from `flags`."""
    from rldk.adapters.live.reader import ReadOptions

    settings = load_settings({"field_map": field_map_flag(flags.pop("field_map")), "fail_on": flags.pop("fail_on")})
    how = ReadOptions(field_map=settings["field_map"] or {}, preset=flags.pop("preset"), pattern=flags.pop("regex"))
    return how, settings


def output_files(flags: dict[str, Any]) -> list[Path]:
    """The files that the monitor writes itself."""
    return [flags[name] for name in ("alerts", "alerts_txt", "report", "state") if flags[name] is not None]


def default_stream() -> str:
    """What to follow when no source is named. Raises `UsageError` when there is nothing to follow."""
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
