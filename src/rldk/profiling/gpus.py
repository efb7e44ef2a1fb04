"""What NVIDIA's driver says about the GPUs of this machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

# name -> how one device is asked: the share of the time in which a kernel ran, bytes in use, degrees, watts
COUNTERS: Mapping[str, Callable[[Any, Any], float]] = {
    "busy": lambda nvml, device: nvml.nvmlDeviceGetUtilizationRates(device).gpu / 100,
    "memory": lambda nvml, device: nvml.nvmlDeviceGetMemoryInfo(device).used,
    "temperature": lambda nvml, device: nvml.nvmlDeviceGetTemperature(device, nvml.NVML_TEMPERATURE_GPU),
    "power": lambda nvml, device: nvml.nvmlDeviceGetPowerUsage(device) / 1000,
}
SILENT = "the device does not tell"
ABSENT = 'needs nvidia-ml-py (pip install "rldk[gpu]")'


class GpuSample(Struct, frozen=True, kw_only=True):
    """`busy`: the mean share of the time in which a kernel ran, 0 to 1. `memory`: bytes in use, by anyone. `power`:
    watts, NaN where a device does not tell. Over all GPUs; memory and power are sums."""

    busy: float
    memory: int
    power: float


class GpuCounters:
    """The counters of all GPUs. `missing`: why there are none, "" where there are."""

    def __init__(self) -> None:
        self._nvml: Any = None
        self._devices: list[Any] = []
        self.missing = ABSENT
        try:
            import pynvml
        except ImportError:
            return
        try:
            pynvml.nvmlInit()
            self._devices = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
            self._nvml, self.missing = pynvml, "" if self._devices else "the driver knows no GPU"
        except Exception:  # noqa: BLE001 - a driver may fail in any way; its counters are then missing
            self.missing = "no NVIDIA driver answers"

    @property
    def count(self) -> int:
        """How many GPUs there are."""
        return len(self._devices)

    def each(self, name: str) -> list[float] | None:
        """One of `COUNTERS` now, for each GPU; None where a device does not tell, or there is none."""
        try:
            return [float(COUNTERS[name](self._nvml, device)) for device in self._devices] or None
        except Exception:  # noqa: BLE001 - not every device has every counter
            return None

    def read(self) -> GpuSample | None:
        """The counters now, or None."""
        if not self._devices:
            return None
        busy, memory, power = self.each("busy"), self.each("memory"), self.each("power")
        if busy is None or memory is None:
            self.missing = SILENT
            return None
        return GpuSample(
            busy=sum(busy) / len(busy), memory=int(sum(memory)), power=float("nan") if power is None else sum(power)
        )
