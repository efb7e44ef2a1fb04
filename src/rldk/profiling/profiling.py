"""Runs a command and profiles it from outside, without changes to it."""

from __future__ import annotations

import os
import shlex
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rldk.core.files import save
from rldk.engine.processes.injection import injected
from rldk.engine.processes.marked import marked
from rldk.engine.replicas.command import command_template
from rldk.engine.replicas.endings import last_printed
from rldk.engine.replicas.launch import ReplicaCommand, ReplicaEnd
from rldk.engine.replicas.launchers.local import LocalLauncher
from rldk.engine.replicas.running import ReplicaLimits, run_replicas
from rldk.errors import OutputError, UsageError
from rldk.profiling.conclusion import conclude_profile
from rldk.profiling.evidence import ProfileEvidence
from rldk.profiling.logged import LoggedTimes, logged_times
from rldk.profiling.recorded import recorded_processes
from rldk.profiling.report import ProfileReport
from rldk.profiling.resources import ResourceSampler

HOOKS = Path(__file__).parent / "inject" / "rldk_profile.py"
FOLDER, TORCH_STEPS = "RLDK_PROFILE", "RLDK_PROFILE_TORCH_STEPS"  # as the hooks read them
REPORT = "profile.json"
MOST_STEPS = 1000
GIB = 1 << 30


def profile_command(
    cmd: str | Sequence[str],
    *,
    torch_steps: int = 0,
    timeout: float | None = None,
    max_output_gib: float = 100.0,
    output_dir: str | os.PathLike[str] | None = None,
    look: Callable[[str], object] | None = None,
) -> ProfileReport:
    """Where the time of a command goes, and whether its memory grows.

    `cmd`: the words of the command, or a text that is split as a shell would; no shell runs it. `{out}` becomes a
    folder. `torch_steps`: record the operations of so many steps with the profiler of torch. `timeout`: seconds after
    which the command is ended; the report then covers what came before. `max_output_gib`: what it may write into
    `{out}`. `output_dir`: where the report, what was recorded and what the command printed are kept; a new temporary
    folder without it. `look`: told again and again what was seen so far.

    An interrupt ends the command, and the report covers what came before.

    Raises `UsageError` when the command cannot be started, and `OutputError` when the folder cannot be made."""
    if not 0 <= torch_steps <= MOST_STEPS:
        raise UsageError(f"{torch_steps} steps cannot be recorded", hint=f"give 0 to {MOST_STEPS}")
    template = command_template(cmd)
    home = _home(output_dir)
    folder = _fresh(home)
    out = folder / "out"
    argv, own = template.filled({"out": str(out)})
    command = ReplicaCommand(
        label="the command",
        argv=argv,
        folder=folder,
        cwd=Path.cwd(),
        variables={**own, **injected(HOOKS), FOLDER: str(folder), TORCH_STEPS: str(torch_steps)},
    )
    sampler = ResourceSampler(lambda: marked(str(folder), FOLDER))

    def tick(_: ReplicaCommand) -> bool:
        sampler.tick()
        if look is not None and sampler.samples:
            look(f"{sampler.samples[-1].private / GIB:.2f} GiB, {sampler.samples[-1].processes} processes")
        return False

    limits = ReplicaLimits(time_s=timeout, printed=2 * GIB, written=int(max_output_gib * GIB), shorten=False, stop=tick)
    since = time.monotonic()
    try:
        _, end = next(iter(run_replicas([command], LocalLauncher(), limits)))
    except KeyboardInterrupt:  # what was seen until then is worth a report
        end = ReplicaEnd(how="stopped", code=None, seconds=time.monotonic() - since)
    except UsageError:  # it was not even started
        shutil.rmtree(folder if output_dir is not None else home, ignore_errors=True)
        raise
    report = conclude_profile(_evidence(command, sampler, end, torch_steps))
    from rldk.cards.wire import document, dumps

    save(home / REPORT, dumps(document(report)) + "\n")
    return report


def _evidence(command: ReplicaCommand, sampler: ResourceSampler, end: ReplicaEnd, torch_steps: int) -> ProfileEvidence:
    processes = recorded_processes(command.folder)
    hooked = bool(processes) and processes[0].framework != ""
    return ProfileEvidence(
        processes=processes,
        logged=LoggedTimes() if hooked else logged_times(command.folder),
        samples=sampler.samples,
        gpus=sampler.gpus.count,
        missing={"resources": sampler.missing, "GPU": sampler.gpus.missing},
        folder=command.folder,
        seconds=end.seconds,
        command=shlex.join(command.argv),
        how=end.how,
        exit_code=end.code,
        torch_steps=torch_steps,
        said=last_printed(command.folder) if end.code else "",
    )


def _home(output_dir: str | os.PathLike[str] | None) -> Path:
    return Path(tempfile.mkdtemp(prefix="rldk-profile-")) if output_dir is None else Path(output_dir).resolve()


def _fresh(home: Path) -> Path:
    """A new folder for this profile. Folders of earlier profiles stay as they are."""
    number = 1
    while (folder := home / f"profile-{number}").exists():
        number += 1
    try:
        (folder / "out").mkdir(parents=True)
    except OSError as error:
        raise OutputError.of(folder, error) from None
    return folder
