"""The profiler of torch for some steps of a training. Standard library only, until torch is loaded."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

SKIPPED = 2  # steps at the start, which load kernels and fill caches
MOST = 60  # operations that are kept
LARGE = 2_000_000  # events of a trace that is not written


class TorchSteps:
    """Records the operations of so many steps. A step that is recorded takes longer, and its time does not count."""

    def __init__(self, steps: int, path: str, trace: str) -> None:
        self._left, self._path, self._trace = steps, path, trace
        self._wait, self._done = SKIPPED, 0
        self._profiler: Any = None

    def stepped(self) -> bool:
        """A step has ended. Returns whether it was recorded."""
        if self._left <= 0:
            return False
        if self._profiler is None:
            self._wait -= 1
            if self._wait < 0 and "torch" in sys.modules:
                self._start()
            return False
        self._done += 1
        self._left -= 1
        if not self._left:
            self.finish()
        return True

    def _start(self) -> None:
        import torch
        from torch.profiler import ProfilerActivity, profile

        activities = [ProfilerActivity.CPU]
        activities += [ProfilerActivity.CUDA] if torch.cuda.is_available() else []
        self._profiler = profile(activities=activities)
        self._profiler.start()

    def finish(self) -> None:
        """Ends the recording, and writes what was recorded."""
        profiler, self._profiler, self._left = self._profiler, None, 0
        if profiler is None:
            return
        profiler.stop()
        if not self._done:
            return
        found: list[dict[str, Any]] = [
            {
                "name": str(one.key)[:200],
                "calls": int(one.count),
                "cpu_s": float(one.self_cpu_time_total) / 1e6,
                "device_s": float(getattr(one, "self_device_time_total", 0.0)) / 1e6,
            }
            for one in profiler.key_averages()
            if not str(one.key).startswith("ProfilerStep")
        ]
        found.sort(key=lambda one: -max(one["cpu_s"], one["device_s"]))
        trace = self._trace if len(profiler.events()) <= LARGE else ""
        try:
            if trace:
                profiler.export_chrome_trace(trace)
            with open(f"{self._path}.part", "w", encoding="utf-8") as stream:  # noqa: PTH123
                json.dump({"steps": self._done, "trace": trace, "operations": found[:MOST]}, stream)
            os.replace(f"{self._path}.part", self._path)  # noqa: PTH105
        except (OSError, RuntimeError):
            return
