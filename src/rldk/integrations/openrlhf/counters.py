"""What a machine says about its GPUs and its network, as numbers of a row. What it does not say is named, never
guessed."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from rldk.profiling.gpus import SILENT, GpuCounters

GB, MB = 1e9, 1e6
NETWORK = Path("/proc/net/dev")
# name in a row -> counter, and how many of its unit are one of the row's
GPU = {
    "gpu_utilisation": ("busy", 1.0),
    "gpu_memory_used_gb": ("memory", GB),
    "gpu_temperature_c": ("temperature", 1.0),
    "gpu_power_w": ("power", 1.0),
}
NO_NETWORK = "not available: this system has no /proc/net/dev"


class MachineCounters:
    """Reads the counters of this machine. `missing`: what is not available, and why."""

    def __init__(
        self, network: Path = NETWORK, clock: Callable[[], float] = time.monotonic, *, gpus: GpuCounters | None = None
    ) -> None:
        self.missing: dict[str, str] = {}
        self._network = network
        self._clock = clock
        self._before: tuple[float, dict[str, float]] | None = None
        self._gpus = gpus or GpuCounters()
        if self._gpus.missing:
            self.missing["gpu"] = f"not available: {self._gpus.missing}"
        self._before = self._traffic()
        if self._before is None:
            self.missing["network"] = NO_NETWORK

    def read(self) -> dict[str, float]:
        """The counters now. Rates of the network are means since the last call."""
        return {**self._of_gpus(), **self._rates()}

    def _of_gpus(self) -> dict[str, float]:
        """The mean and the largest value over the GPUs of this machine."""
        found: dict[str, float] = {}
        for name, (counter, unit) in GPU.items() if self._gpus.count else ():
            values = self._gpus.each(counter)
            if values is None:
                self.missing[name] = f"not available: {SILENT}"
                continue
            found |= {f"{name}/mean": sum(values) / len(values) / unit, f"{name}/max": max(values) / unit}
        return found

    def _rates(self) -> dict[str, float]:
        before, now = self._before, self._traffic()
        self._before = now
        if before is None or now is None or now[0] <= before[0]:
            return {}
        seconds = now[0] - before[0]
        moved = {name: max(0.0, value - before[1].get(name, value)) for name, value in now[1].items()}
        return {
            "network_received_mb_per_s": moved["received"] / MB / seconds,
            "network_sent_mb_per_s": moved["sent"] / MB / seconds,
            "network_errors": moved["errors"],
        }

    def _traffic(self) -> tuple[float, dict[str, float]] | None:
        """The bytes and errors of all interfaces but the loopback since the machine started."""
        total = {"received": 0.0, "sent": 0.0, "errors": 0.0}
        try:
            for line in self._network.read_text(encoding="ascii", errors="replace").splitlines()[2:]:
                name, _, fields = line.partition(":")
                numbers = [float(field) for field in fields.split()]
                if name.strip() != "lo" and len(numbers) >= 12:
                    total["received"] += numbers[0]
                    total["sent"] += numbers[8]
                    total["errors"] += numbers[2] + numbers[3] + numbers[10] + numbers[11]
        except (OSError, ValueError):
            return None
        return self._clock(), total
