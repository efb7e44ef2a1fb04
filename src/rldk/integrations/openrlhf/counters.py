"""What a machine says about its GPUs and its network. What it does not say is named, never guessed."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

GB, MB = 1e9, 1e6
NETWORK = Path("/proc/net/dev")
NO_GPU = "not available: needs nvidia-ml-py and an NVIDIA driver"
NO_NETWORK = "not available: this system has no /proc/net/dev"


class MachineCounters:
    """Reads the counters of this machine. `missing`: what is not available, and why."""

    def __init__(self, network: Path = NETWORK, clock: Callable[[], float] = time.monotonic) -> None:
        self.missing: dict[str, str] = {}
        self._network = network
        self._clock = clock
        self._before: tuple[float, dict[str, float]] | None = None
        self._devices, self._nvml = self._open()
        if not self._devices:
            self.missing["gpu"] = NO_GPU
        self._before = self._traffic()
        if self._before is None:
            self.missing["network"] = NO_NETWORK

    def read(self) -> dict[str, float]:
        """The counters now. Rates of the network are means since the last call."""
        return {**self._gpus(), **self._rates()}

    def _open(self) -> tuple[list[Any], Any]:
        try:
            import pynvml

            pynvml.nvmlInit()
            return [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())], pynvml
        except Exception:  # noqa: BLE001 - a driver may fail in any way; its counters are then missing
            return [], None

    def _gpus(self) -> dict[str, float]:
        """The mean and the largest value over the GPUs of this machine."""
        readers: dict[str, Callable[[Any], float]] = {
            "gpu_utilisation": lambda d: self._nvml.nvmlDeviceGetUtilizationRates(d).gpu / 100,
            "gpu_memory_used_gb": lambda d: self._nvml.nvmlDeviceGetMemoryInfo(d).used / GB,
            "gpu_temperature_c": lambda d: self._nvml.nvmlDeviceGetTemperature(d, self._nvml.NVML_TEMPERATURE_GPU),
            "gpu_power_w": lambda d: self._nvml.nvmlDeviceGetPowerUsage(d) / 1000,
        }
        found: dict[str, float] = {}
        for name, reader in readers.items() if self._devices else ():
            try:
                values = [float(reader(device)) for device in self._devices]
            except Exception:  # noqa: BLE001 - not every device has every counter
                self.missing[name] = "not available: the device does not tell"
                continue
            found |= {f"{name}/mean": sum(values) / len(values), f"{name}/max": max(values)}
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
