"""Environment variables that decide whether a run can be repeated: the values that are fit for it, as data."""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct

from rldk.core.text import later


class Flag(Struct, frozen=True, kw_only=True):
    """A variable. `fit`: a pattern of the whole value that is fit for repeatable runs. `advice`: the value to set.

    `packages`: it matters where the code imports one of these. `by_default`: without the variable, the library is
    repeatable. `source`: where this is documented."""

    name: str
    fit: str
    advice: str
    packages: tuple[str, ...]
    by_default: bool = False
    source: str = ""

    def accepts(self, value: str) -> bool:
        return re.fullmatch(self.fit, value.strip(), re.IGNORECASE) is not None


_ON, _OFF = r"1|true|yes|on", r"0|false|no|off"
_TRAINERS = ("torch", "transformers", "trl", "verl", "openrlhf", "lightning", "accelerate", "deepspeed")
_NCCL = ("verl", "openrlhf", "deepspeed", "megatron")
# The accepted algorithms of NCCL are those that Megatron-Core's deterministic mode accepts.
FLAGS = (
    Flag(name="CUBLAS_WORKSPACE_CONFIG", fit=r":4096:8|:16:8", advice=":4096:8", packages=_TRAINERS, source="PyTorch"),
    Flag(
        name="NCCL_ALGO",
        fit=r"(?:Ring|CollnetDirect|CollnetChain|\^NVLS)(?:,(?:Ring|CollnetDirect|CollnetChain|\^NVLS))*",
        advice="Ring",
        packages=_NCCL,
        source="Megatron-Core",
    ),
    Flag(name="NCCL_PROTO", fit="Simple", advice="Simple", packages=("verl",), source="verl"),
    Flag(
        name="NVTE_ALLOW_NONDETERMINISTIC_ALGO",
        fit=_OFF,
        advice="0",
        packages=("transformer_engine", "megatron"),
        source="Transformer Engine",
    ),
    Flag(name="FLASH_ATTENTION_DETERMINISTIC", fit=_ON, advice="1", packages=("flash_attn",), source="transformers"),
    Flag(name="VERL_DISABLE_FLASH_ATTN_CE", fit=_ON, advice="1", packages=("verl",), source="verl"),
    Flag(name="MAMBA_DETERMINISTIC", fit=_ON, advice="1", packages=("mamba_ssm",), source="Mamba"),
    Flag(name="CAUSAL_CONV1D_DETERMINISTIC", fit=_ON, advice="1", packages=("causal_conv1d",), source="causal-conv1d"),
    Flag(name="VLLM_BATCH_INVARIANT", fit=_ON, advice="1", packages=("vllm",), source="vLLM"),
    Flag(name="HCCL_DETERMINISTIC", fit=r"true|strict|1", advice="true", packages=("torch_npu",), source="Ascend"),
    Flag(
        name="XLA_FLAGS",
        fit=r".*--xla_gpu_(?:deterministic_ops|exclude_nondeterministic_ops)(?:=true)?(?:\s.*)?",
        advice="--xla_gpu_deterministic_ops=true",
        packages=("jax", "flax"),
        source="XLA",
    ),
    Flag(name="TF_DETERMINISTIC_OPS", fit=_ON, advice="1", packages=("tensorflow",), source="TensorFlow"),
    Flag(
        name="NVIDIA_TF32_OVERRIDE",
        fit=_OFF,
        advice="0",
        packages=_TRAINERS,
        by_default=True,
        source="NVIDIA cuBLAS",
    ),
    Flag(
        name="TORCHINDUCTOR_MAX_AUTOTUNE", fit=_OFF, advice="0", packages=("torch",), by_default=True, source="PyTorch"
    ),
)
BY_NAME = {flag.name: flag for flag in FLAGS}
# variables that only make other values comparable: nothing is wrong with any of them
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_HASH_SEED = later(r"\d{1,10}")


def fixes_hashes(value: str | None) -> bool:
    """Whether a value of PYTHONHASHSEED fixes the order of sets."""
    return value is not None and _HASH_SEED.fullmatch(value) is not None and int(value) < 1 << 32


def flags_for(imports: frozenset[str]) -> Iterator[Flag]:
    """The flags that matter for code that imports these packages."""
    return (flag for flag in FLAGS if not imports.isdisjoint(flag.packages))
