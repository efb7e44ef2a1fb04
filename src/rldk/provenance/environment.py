"""The machine and the settings that a run was started with."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from typing import Any

from rldk import __version__
from rldk.core.redact import redact

MAX_TEXT = 1000
# What changes results or speed and names no secret; no other variable is ever looked at.
VARIABLES = (
    "ACCELERATE_MIXED_PRECISION",
    "CONDA_DEFAULT_ENV",
    "CUBLAS_WORKSPACE_CONFIG",
    "CUDA_LAUNCH_BLOCKING",
    "CUDA_VISIBLE_DEVICES",
    "FLASH_ATTENTION_DETERMINISTIC",
    "HF_HUB_OFFLINE",
    "HIP_VISIBLE_DEVICES",
    "LOCAL_WORLD_SIZE",
    "MKL_NUM_THREADS",
    "NCCL_ALGO",
    "NCCL_PROTO",
    "NVIDIA_TF32_OVERRIDE",
    "NVTE_ALLOW_NONDETERMINISTIC_ALGO",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "PYTHONHASHSEED",
    "PYTORCH_CUDA_ALLOC_CONF",
    "ROCR_VISIBLE_DEVICES",
    "SLURM_JOB_ID",
    "TOKENIZERS_PARALLELISM",
    "TRANSFORMERS_OFFLINE",
    "VLLM_BATCH_INVARIANT",
    "WORLD_SIZE",
    "XLA_FLAGS",
)


def environment(variables: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Python, platform, processors, visible CUDA devices and the variables of `VARIABLES` that are set.

    `cuda_devices`: None where nothing restricts them; no driver is asked. `variables` default: `os.environ`."""
    given = os.environ if variables is None else variables
    visible = given.get("CUDA_VISIBLE_DEVICES")
    return redact(
        {
            "python": platform.python_version(),
            "implementation": platform.python_implementation(),
            "platform": _platform(),
            "machine": os.uname().machine,
            "cpus": os.cpu_count(),
            "rldk": __version__,
            "cuda_devices": None if visible is None else _split(visible[:MAX_TEXT]),
            "variables": {name: given[name][:MAX_TEXT] for name in VARIABLES if name in given},
        }
    )


def _platform() -> str:
    """System, release, machine and C library, as `platform.platform()` says them, which starts a program to do so."""
    known = os.uname()
    library = "".join(platform.libc_ver())
    said = f"{known.sysname}-{known.release}-{known.machine}"
    return f"{said}-with-{library}" if library else said


def _split(visible: str) -> list[str]:
    return [device.strip() for device in visible.split(",") if device.strip()]
