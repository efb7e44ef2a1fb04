"""What NVIDIA's driver says about the GPUs of this machine."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

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

    def read(self) -> GpuSample | None:
        """The counters now, or None."""
        if not self._devices:
            return None
        nvml = self._nvml
        try:
            busy = [nvml.nvmlDeviceGetUtilizationRates(d).gpu / 100 for d in self._devices]
            memory = [int(nvml.nvmlDeviceGetMemoryInfo(d).used) for d in self._devices]
        except Exception:  # noqa: BLE001 - as above
            self.missing = "the device does not tell"
            return None
        try:
            power = sum(nvml.nvmlDeviceGetPowerUsage(d) for d in self._devices) / 1000
        except Exception:  # noqa: BLE001 - not every device has it
            power = float("nan")
        return GpuSample(busy=sum(busy) / len(busy), memory=sum(memory), power=power)
