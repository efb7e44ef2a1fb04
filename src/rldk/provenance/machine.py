"""The machine: its processor, memory, limits and container, from files that the system keeps. No program is started."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path("/")
MAX_BYTES = 1 << 16
# what decides which kernels a library chooses; other flags say nothing about numbers
_FLAGS = frozenset(
    "sse4_2 avx avx2 fma f16c avx512f avx512bw avx512vl avx512_bf16 avx512_fp16 avx512_vnni avx_vnni amx_bf16 amx_int8 "
    "amx_tile asimd asimdhp asimddp bf16 i8mm sve sve2 fphp".split()
)
_CONTAINERS = {"/.dockerenv": "docker", "/run/.containerenv": "podman"}
_BY_VARIABLE = {
    "APPTAINER_NAME": "apptainer",
    "SINGULARITY_NAME": "singularity",
    "KUBERNETES_SERVICE_HOST": "kubernetes",
}


def processor(root: Path = ROOT) -> dict[str, Any]:
    """The processor's model, and those of its instruction sets that change the order of sums."""
    fields: dict[str, str] = {}
    for line in _text(root / "proc/cpuinfo").split("\n\n")[0].splitlines():
        name, _, value = line.partition(":")
        fields[name.strip().lower()] = value.strip()
    flags = (fields.get("flags") or fields.get("features") or "").split()
    model = fields.get("model name") or fields.get("cpu part")
    return _known({"model": model, "flags": sorted(_FLAGS.intersection(flags)), "usable": usable_cpus()})


def usable_cpus() -> int | None:
    """How many processors this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count()


def memory_gib(root: Path = ROOT) -> float | None:
    """The memory of the machine."""
    for line in _text(root / "proc/meminfo").splitlines():
        if line.startswith("MemTotal:") and line.split()[1].isdigit():
            return round(int(line.split()[1]) / (1 << 20), 2)
    return None


def container(root: Path = ROOT, variables: Mapping[str, str] | None = None) -> str | None:
    """The kind of container that this process runs in; None where nothing says that there is one."""
    given = os.environ if variables is None else variables
    by_variable = next((kind for name, kind in _BY_VARIABLE.items() if given.get(name)), None)
    by_file = next((kind for path, kind in _CONTAINERS.items() if (root / path[1:]).exists()), None)
    if by_variable or by_file:
        return by_variable or by_file
    groups = _text(root / "proc/1/cgroup")
    return next((kind for kind in ("docker", "kubepods", "containerd", "lxc") if kind in groups), None)


def group_limits(root: Path = ROOT) -> dict[str, float]:
    """The limits that the control groups of this process set: `cpus` and `memory_gib`, without what is not limited."""
    found: dict[str, float] = {}
    for folder in _groups(root):
        quota = _text(folder / "cpu.max").split()
        if len(quota) == 2 and quota[0].isdigit() and quota[1].isdigit() and int(quota[1]):
            _least(found, "cpus", int(quota[0]) / int(quota[1]))
        most = _text(folder / "memory.max").strip()
        if most.isdigit():
            _least(found, "memory_gib", int(most) / (1 << 30))
    old = root / "sys/fs/cgroup"
    quota = [_text(old / "cpu" / name).strip() for name in ("cpu.cfs_quota_us", "cpu.cfs_period_us")]
    if all(word.isdigit() for word in quota) and int(quota[1]):
        _least(found, "cpus", int(quota[0]) / int(quota[1]))
    most = _text(old / "memory/memory.limit_in_bytes").strip()
    if most.isdigit() and int(most) < 1 << 60:  # a number near 2^63 stands for no limit
        _least(found, "memory_gib", int(most) / (1 << 30))
    return {name: round(value, 3) for name, value in found.items()}


def devices(root: Path = ROOT) -> dict[str, Any]:
    """The NVIDIA driver and GPUs: by nvidia-ml-py where it is installed, else from what the driver shows as files."""
    if not (root / "proc/driver/nvidia").exists() and not (root / "dev/nvidiactl").exists():
        return {}
    return _by_library() or _by_files(root / "proc/driver/nvidia")


def _by_library() -> dict[str, Any]:
    try:
        import pynvml  # the module of nvidia-ml-py
    except ImportError:
        return {}
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return {}
    try:
        handles = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
        gpus = [
            {
                "name": _word(pynvml.nvmlDeviceGetName(handle)),
                "uuid": _word(pynvml.nvmlDeviceGetUUID(handle)),
                "memory_gib": round(pynvml.nvmlDeviceGetMemoryInfo(handle).total / (1 << 30), 2),
            }
            for handle in handles
        ]
        cuda = pynvml.nvmlSystemGetCudaDriverVersion()
        driver = _word(pynvml.nvmlSystemGetDriverVersion())
        return {"driver": driver, "cuda": f"{cuda // 1000}.{cuda % 1000 // 10}", "gpus": gpus}
    except pynvml.NVMLError:
        return {}
    finally:
        pynvml.nvmlShutdown()


def _by_files(folder: Path) -> dict[str, Any]:
    words = _text(folder / "version").split()
    driver = next((word for word in words if word.count(".") >= 1 and word.replace(".", "").isdigit()), None)
    gpus: list[dict[str, str]] = []
    try:
        places = sorted((folder / "gpus").iterdir())
    except OSError:
        places = []
    for place in places:
        pairs = (line.partition(":") for line in _text(place / "information").splitlines())
        told = {name.strip(): value.strip() for name, _, value in pairs}
        gpus.append(_known({"name": told.get("Model", ""), "uuid": told.get("GPU UUID", "")}))
    return _known({"driver": driver, "gpus": gpus})


def _groups(root: Path) -> Iterator[Path]:
    """The folder of the process's own control group and those above it, in the unified hierarchy."""
    home = root / "sys/fs/cgroup"
    line = next((x for x in _text(root / "proc/self/cgroup").splitlines() if x.startswith("0::")), "0::/")
    parts = [part for part in line[3:].split("/") if part not in ("", "..")]
    for count in range(len(parts) + 1):
        yield home.joinpath(*parts[:count])


def _least(found: dict[str, float], name: str, value: float) -> None:
    found[name] = min(value, found.get(name, value))


def _word(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _known(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value not in (None, "", [])}


def _text(path: Path) -> str:
    """The beginning of a small file, empty when there is none."""
    try:
        with path.open("rb") as stream:
            return stream.read(MAX_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""


def hash_randomised() -> bool:
    """Whether this process hashes text differently from the next one."""
    return bool(sys.flags.hash_randomization)
