"""The machine and the settings that a run was started with."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from typing import Any

from rldk import __version__
from rldk.core.secrets.redact import redact
from rldk.provenance.libraries import linear_algebra, torch_build
from rldk.provenance.machine import container, devices, group_limits, hash_randomised, memory_gib, processor
from rldk.provenance.packages import conda_packages, origins

MAX_TEXT = 1000
# What changes results or speed and names no secret; no other variable is ever looked at.
VARIABLES = tuple(
    (
        "ACCELERATE_MIXED_PRECISION ASCEND_LAUNCH_BLOCKING ATEN_CPU_CAPABILITY CAUSAL_CONV1D_DETERMINISTIC "
        "CONDA_DEFAULT_ENV CUBLAS_WORKSPACE_CONFIG CUDA_LAUNCH_BLOCKING CUDA_VISIBLE_DEVICES "
        "FLASH_ATTENTION_DETERMINISTIC HCCL_DETERMINISTIC HF_HUB_OFFLINE HIP_VISIBLE_DEVICES "
        "JAX_DEFAULT_MATMUL_PRECISION JAX_ENABLE_X64 JAX_THREEFRY_PARTITIONABLE LOCAL_WORLD_SIZE "
        "MAMBA_DETERMINISTIC MKL_CBWR MKL_NUM_THREADS "
        "NCCL_ALGO NCCL_PROTO NUMEXPR_NUM_THREADS NVIDIA_TF32_OVERRIDE NVTE_ALLOW_NONDETERMINISTIC_ALGO OMP_DYNAMIC "
        "OMP_NUM_THREADS OPENBLAS_NUM_THREADS PYTHONHASHSEED PYTORCH_ALLOC_CONF PYTORCH_CUDA_ALLOC_CONF "
        "ROCR_VISIBLE_DEVICES SLURM_JOB_ID TF_CUDNN_DETERMINISTIC TF_DETERMINISTIC_OPS TOKENIZERS_PARALLELISM "
        "TORCHINDUCTOR_MAX_AUTOTUNE TORCH_ALLOW_TF32_CUBLAS_OVERRIDE TRANSFORMERS_OFFLINE VERL_DISABLE_FLASH_ATTN_CE "
        "VLLM_BATCH_INVARIANT WORLD_SIZE XLA_FLAGS"
    ).split()
)


def environment(variables: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Python, platform, visible CUDA devices, the variables of `VARIABLES` that are set, and what `machine_facts` says.

    `cuda_devices`: None where nothing restricts them. `variables` default: `os.environ`."""
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
            **machine_facts(),
        }
    )


def machine_facts() -> dict[str, Any]:
    """Processor, memory, container, limits, GPUs, and how the numeric libraries were built. What is not known is left
    out. No program is started and no library is imported, except nvidia-ml-py where there is a driver."""
    found: dict[str, Any] = {
        "hash_randomised": hash_randomised(),
        "processor": processor(),
        "memory_gib": memory_gib(),
        "container": container(),
        "limits": group_limits(),
        "devices": devices(),
        "torch": torch_build(),
        "blas": linear_algebra(),
        "conda": conda_packages(),
        "origins": origins(),
    }
    return {name: value for name, value in found.items() if value not in (None, {}, [])}


def _platform() -> str:
    """System, release, machine and C library, as `platform.platform()` says them, which starts a program to do so."""
    known = os.uname()
    library = "".join(platform.libc_ver())
    said = f"{known.sysname}-{known.release}-{known.machine}"
    return f"{said}-with-{library}" if library else said


def _split(visible: str) -> list[str]:
    return [device.strip() for device in visible.split(",") if device.strip()]
