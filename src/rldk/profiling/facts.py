"""What a profile says, as values."""

from __future__ import annotations

from msgspec import Struct, field

from rldk.core.model import Report
from rldk.profiling.recorded import TorchOperation
from rldk.rules.profiles import MemoryTrend


class PhaseTime(Struct, frozen=True, kw_only=True):
    """`seconds`: spent in the phase and in none inside it. `share`: of the time of the steps. `per_step`: seconds; None
    where no step was seen. `how`: "timed" by a hook or by the program itself, "logged" by the trainer, or "seen" by
    looks at the stack, where the name of a function says which phase it is."""

    name: str
    seconds: float
    share: float
    per_step: float | None = None
    how: str = "timed"


class HotLine(Struct, frozen=True, kw_only=True):
    """A line of the user's code that was running often. `share`: of the looks at the stack. `calls`: the package that
    it was waiting for most often, "" for its own code. `text`: the line."""

    where: str
    function: str
    phase: str
    share: float
    calls: str = ""
    text: str = ""


class ResourceCurves(Struct, frozen=True, kw_only=True):
    """Samples over time, each list of one length. `seconds`: since the first. `cpu`: cores in use. `resident`,
    `private`, `gpu_memory`: bytes. `gpu_busy`: 0 to 1. The last two are empty without a GPU."""

    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    resident: list[int] = field(default_factory=list)
    private: list[int] = field(default_factory=list)
    gpu_busy: list[float] = field(default_factory=list)
    gpu_memory: list[int] = field(default_factory=list)


class ProfileFacts(Report, frozen=True, kw_only=True):
    """Where the time of a training goes. `passed`: no finding is critical; memory that grows is a warning.

    `phases`: the longest first. `bottleneck`: in words. `step_seconds`: of each step, without those that the profiler
    of torch has slowed down. `hot_lines`: where the program was seen most often. `operations`: of torch, over
    `torch_steps` steps. `memory`, `device_memory`: their trends, None where they could not be judged.
    `unavailable`: what was not measured -> why. `command`: what was run, "" for a part of a program. `exit_code`: of
    the command, None where it was ended."""

    phases: tuple[PhaseTime, ...] = ()
    bottleneck: str = ""
    step_seconds: list[float] = field(default_factory=list)
    hot_lines: tuple[HotLine, ...] = ()
    operations: tuple[TorchOperation, ...] = ()
    torch_steps: int = 0
    curves: ResourceCurves = field(default_factory=ResourceCurves)
    memory: MemoryTrend | None = None
    device_memory: MemoryTrend | None = None
    unavailable: dict[str, str] = field(default_factory=dict)
    command: str = ""
    exit_code: int | None = None
