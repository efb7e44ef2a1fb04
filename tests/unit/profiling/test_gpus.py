"""The counters of GPUs, with a stand-in for NVIDIA's library: no GPU is at hand where these tests run."""

from __future__ import annotations

import math
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from rldk.profiling.gpus import GpuCounters


def _library(**functions: Any) -> ModuleType:
    library: Any = ModuleType("pynvml")
    library.nvmlInit = lambda: None
    library.nvmlDeviceGetCount = lambda: 2
    library.nvmlDeviceGetHandleByIndex = lambda n: n
    library.nvmlDeviceGetUtilizationRates = lambda n: SimpleNamespace(gpu=40 + 20 * n)
    library.nvmlDeviceGetMemoryInfo = lambda n: SimpleNamespace(used=5 << 30)
    library.nvmlDeviceGetPowerUsage = lambda n: 300_000
    for name, function in functions.items():
        setattr(library, name, function)
    return library  # type: ignore[no-any-return]


def _fails(*_: Any) -> None:
    raise RuntimeError("not supported")


def test_counters_are_over_all_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", _library())
    found = GpuCounters().read()
    assert found is not None
    assert (found.busy, found.memory, found.power) == (0.5, 10 << 30, 600.0)


def test_a_device_may_not_tell_its_power(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", _library(nvmlDeviceGetPowerUsage=_fails))
    found = GpuCounters().read()
    assert found is not None
    assert math.isnan(found.power)


@pytest.mark.parametrize(
    ("broken", "why"),
    [("nvmlInit", "no NVIDIA driver answers"), ("nvmlDeviceGetUtilizationRates", "the device does not tell")],
)
def test_what_does_not_answer_is_named_and_no_zero(broken: str, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", _library(**{broken: _fails}))
    counters = GpuCounters()
    assert counters.read() is None
    assert counters.missing == why


def test_without_the_library_the_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert "rldk[gpu]" in GpuCounters().missing
