"""Begins to profile a process where the environment asks for it. Standard library only."""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
from typing import Any

FOLDER, TORCH_STEPS = "RLDK_PROFILE", "RLDK_PROFILE_TORCH_STEPS"
HERE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - pathlib would be loaded into the script


class ProfileRecorder:
    """Everything that is recorded of this process: phases, stacks and, on request, operations of torch."""

    def __init__(self, folder: str, torch_steps: int = 0) -> None:
        from rldk_profile_clock import LineFile, PhaseClock  # type: ignore[import-not-found]
        from rldk_profile_hooks import Hooks  # type: ignore[import-not-found]
        from rldk_profile_stacks import StackSampler  # type: ignore[import-not-found]

        name = os.path.join(folder, f"process-{os.getpid()}")  # noqa: PTH118
        self._lines = LineFile(f"{name}.phases.jsonl")
        self.clock = PhaseClock(self._lines.write, facts=_device_memory)
        self.hooks = Hooks(self.clock)
        self._stacks = StackSampler(f"{name}.stacks.json", threading.get_ident(), lambda: str(self.clock.current))
        self._torch: Any = None
        self._failures: dict[str, str] = {}
        self._ended = False
        if torch_steps > 0:
            from rldk_profile_torch import TorchSteps  # type: ignore[import-not-found]

            self._torch = TorchSteps(torch_steps, f"{name}.operations.json", f"{name}.trace.json.gz")
            self.clock.stepped = self._torch.stepped

    def begin(self) -> None:
        """Hooks what is loaded and what will be, and begins to look."""
        from rldk_after_import import AfterImport  # type: ignore[import-not-found]  # beside sitecustomize

        argv = list(getattr(sys, "argv", []))[:1]
        self._lines.write({"kind": "begin", "at": time.time(), "pid": os.getpid(), "program": argv})
        self._finder = AfterImport(self.hooks.by_module, self._fail)
        for name, hook in self.hooks.by_module.items():
            module = sys.modules.get(name)
            if module is not None:
                try:
                    hook(module)
                except Exception as error:  # noqa: BLE001 - the script must run as it would without rldk
                    self._fail(name, error)
        self._finder.install()
        self._stacks.start()

    def end(self) -> None:
        """Takes the hooks away, and writes what is left. The second call does nothing."""
        if self._ended:
            return
        self._ended = True
        self.hooks.remove()
        if self._finder in sys.meta_path:
            sys.meta_path.remove(self._finder)
        if self._torch is not None and self.clock.own:
            self._torch.finish()
        self.clock.end()
        self._stacks.stop()
        self._lines.write({
            "kind": "end", "at": time.time(), "hooked": self.hooks.hooked, "failed": self._failures,
            "framework": self.clock.owner,
        })  # fmt: skip

    def _fail(self, name: str, why: Exception | str) -> None:
        self._failures[name] = why if isinstance(why, str) else f"{type(why).__name__}: {why}"


def _device_memory() -> dict[str, int]:
    """The bytes that torch has given out on the devices of this process; nothing where it has not begun to use any."""
    torch = sys.modules.get("torch")
    try:
        if torch is None or not torch.cuda.is_initialized():
            return {}
        devices = range(torch.cuda.device_count())
        return {
            "allocated": sum(torch.cuda.memory_allocated(d) for d in devices),
            "reserved": sum(torch.cuda.memory_reserved(d) for d in devices),
        }
    except (AttributeError, RuntimeError):  # torch is still being imported
        return {}


running: ProfileRecorder | None = None  # the recorder of this process


def record(folder: str, torch_steps: int = 0) -> ProfileRecorder:
    """The recorder of this process, which begins now."""
    global running  # noqa: PLW0603 - one for each process
    places = [HERE, *(p for p in sys.path if p != HERE)]
    before, sys.path[:] = sys.path[:], places
    try:
        running = ProfileRecorder(folder, torch_steps)
        running.begin()
    finally:
        sys.path[:] = before
    return running


def install() -> None:
    """Begins, where the environment says in which folder the files go. Children of this process do the same."""
    folder = os.environ.get(FOLDER)
    if not folder or not os.path.isdir(folder):  # noqa: PTH112
        return
    steps = os.environ.get(TORCH_STEPS, "0")
    recorder = record(folder, int(steps) if steps.isdigit() else 0)
    atexit.register(recorder.end)
