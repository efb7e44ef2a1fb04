"""What starts replicas: a small protocol, and the launchers by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, Protocol, TypeVar

from msgspec import Struct, field

from rldk.core.registry import Registry, modules_of

ReplicaEnding = Literal["ended", "late", "flooded", "full", "large", "stopped"]
STDOUT, STDERR = "stdout.txt", "stderr.txt"


class ReplicaCommand(Struct, frozen=True, kw_only=True):
    """One replica to start. `folder`: its own, which exists; what it prints is kept there in `STDOUT` and `STDERR`.

    `variables`: what its environment has besides ours; None takes a variable away. `cwd`: where it is started."""

    label: str
    argv: tuple[str, ...]
    folder: Path
    cwd: Path
    variables: Mapping[str, str | None] = field(default_factory=dict)


class ReplicaEnd(Struct, frozen=True, kw_only=True):
    """How a replica ended. `code`: its exit code, 128 plus the number where a signal ended it; None where rldk did.

    `how`: "late" past its time limit, "flooded" when it printed too much, "full" when the disk was nearly full, "large"
    when it wrote too much into its folder, "stopped" when the caller asked for its end.
    `left`: how many processes it left behind, which were then ended."""

    how: ReplicaEnding
    code: int | None
    seconds: float
    left: int = 0


class Handle(Protocol):
    """A replica that was started."""

    def waiting(self) -> bool:
        """Whether it does not run yet, for want of a machine. Its time limit begins when it runs."""

    def exit_code(self) -> int | None:
        """The exit code, 128 plus the number of a signal; None while it runs."""

    def end(self) -> int:
        """Ends it with all that it started, also after it has ended by itself. Returns how many were left behind."""


class Launcher(Protocol):
    """Starts replicas: on this machine, or on others that share the folder."""

    def start(self, command: ReplicaCommand) -> Handle:
        """Starts a replica. Raises `UsageError` when it cannot be started."""


Made = TypeVar("Made", bound=Callable[[], Launcher])


launchers: Registry[Callable[[], Launcher]] = Registry(
    "launcher", group="rldk.launchers", builtins=modules_of("rldk.engine.replicas.launchers")
)


def launcher(name: str) -> Callable[[Made], Made]:
    """Registers a launcher under a name: a class without arguments, or a function that makes one."""

    def register(made: Made) -> Made:
        launchers.register(name, made)
        return made

    return register
