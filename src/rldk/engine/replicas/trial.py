"""One run of a command in a folder of its own, with what it measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from msgspec import Struct, field

from rldk.engine.replicas.command import CommandTemplate
from rldk.engine.replicas.endings import ending_problem, last_printed
from rldk.engine.replicas.launch import Launcher, ReplicaCommand, ReplicaEnd
from rldk.engine.replicas.reading import OUT, WRITTEN, ReplicaMetrics, read_metrics
from rldk.engine.replicas.running import ReplicaLimits, run_replicas
from rldk.engine.replicas.written import Seen, files_of, keep_written
from rldk.errors import OutputError

GIB = 1 << 30


class TrialPlan(Struct, frozen=True, kw_only=True):
    """A run to make. `folder`: its own; it is made. `cwd`: where the command is started. `values`: what is put into the
    fields of the command, besides `{out}`. `variables`: of its environment; None takes one away. `own_cwd`: no other
    run uses `cwd`, so that logs which appear there are its own."""

    label: str
    template: CommandTemplate
    folder: Path
    cwd: Path
    values: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str | None] = field(default_factory=dict)
    own_cwd: bool = True

    @property
    def out(self) -> Path:
        """The folder that `{out}` stands for."""
        return self.folder / OUT

    def filled(self) -> tuple[tuple[str, ...], dict[str, str]]:
        """The words of the command and the variables before it. Raises `UsageError` for a field without a value."""
        return self.template.filled({**self.values, "out": str(self.out)})


class CommandTrial(Struct, frozen=True, kw_only=True):
    """A run that was made. `problem`: why its numbers cannot be used, "" where they can. `said`: its last printed
    lines, as they were printed. `command`: its words."""

    plan: TrialPlan
    end: ReplicaEnd
    command: tuple[str, ...]
    metrics: ReplicaMetrics = field(default_factory=ReplicaMetrics)
    problem: str = ""
    said: str = ""


def run_trials(
    plans: Sequence[TrialPlan],
    launcher: Launcher,
    limits: ReplicaLimits,
    *,
    jobs: int = 1,
    wanted: Sequence[str] | None = None,
    read: bool = True,
    begin: Callable[[str], object] = lambda _: None,
) -> Iterator[tuple[int, CommandTrial]]:
    """Yields the place of each plan with its run, in the order of ending.

    `wanted`: the metrics that matter; None for all. `read`: whether metrics are read, and needed. `begin`: called with
    each label. A caller that stops early leaves nothing running. Raises `UsageError` when a command cannot be started,
    `OutputError` when a folder cannot be made."""
    commands = [_command(plan) for plan in plans]
    folders = {command.folder: plan for command, plan in zip(commands, plans, strict=True)}
    before: dict[Path, Seen] = {}

    def began(command: ReplicaCommand) -> None:
        begin(command.label)
        if read and folders[command.folder].own_cwd:
            before[command.folder] = files_of(command.cwd, command.folder)

    for place, end in run_replicas(commands, launcher, limits, jobs, began):
        plan, command = plans[place], commands[place]
        if plan.folder in before:
            keep_written(command.cwd, before[plan.folder], plan.folder, plan.folder / WRITTEN)
        problem = ending_problem(plan.label, end, limits)
        stopped = end.how == "stopped"
        metrics = read_metrics(plan.folder, wanted) if read and (not problem or stopped) else ReplicaMetrics()
        if read and not problem and metrics.run is None:
            problem = f"{plan.label} ended well, but {metrics.reason}"
        said = last_printed(plan.folder)
        yield place, CommandTrial(plan=plan, end=end, command=command.argv, metrics=metrics, problem=problem, said=said)


def _command(plan: TrialPlan) -> ReplicaCommand:
    argv, own = plan.filled()
    try:
        plan.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError.of(plan.out, error) from None
    variables = {"WANDB_MODE": "disabled", **own, **plan.variables}
    with suppress(OSError):
        variables["PWD"] = str(plan.cwd.resolve())
    return ReplicaCommand(label=plan.label, argv=argv, folder=plan.folder, cwd=plan.cwd, variables=variables)
