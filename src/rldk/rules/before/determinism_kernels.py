"""DET: kernels that add in any order, and number formats that differ from GPU to GPU."""

from __future__ import annotations

from rldk.rules.audit import AuditView, code_rule, signal_of
from rldk.rules.determinism_flags import BY_NAME
from rldk.rules.rule import Signal

_ASK = "torch.use_deterministic_algorithms(True), with CUBLAS_WORKSPACE_CONFIG=:4096:8 in the launcher"
_NOTES = "PyTorch's notes on reproducibility"


@code_rule(
    "DET042",
    "cudnn-benchmark",
    severity="warn",
    causes=("cudnn was told to time its kernels and take the fastest",),
    fixes=("torch.backends.cudnn.benchmark = False",),
)
def cudnn_benchmark(a: AuditView) -> Signal | None:
    """Fires where `torch.backends.cudnn.benchmark` is switched on.

    Why it matters: Convolutions are timed at the start, and the fastest kernel wins. Another kernel adds in another
    order, so that two runs on the same GPU differ.
    How it is computed: An assignment of True to `torch.backends.cudnn.benchmark`.
    When it is wrong: A model without convolutions does not use it.
    Source: PyTorch's notes on reproducibility, "CUDA convolution benchmarking".
    """
    one = "lets cudnn choose its kernels by timing"
    return signal_of(a, a.sites("cudnn-benchmark"), one, one.replace("lets", "let"))


@code_rule(
    "DET043",
    "kernels-by-timing",
    severity="info",
    causes=("the compiler times several kernels and keeps the fastest",),
    fixes=("keep and reuse the cache of the compiler", "compile without max-autotune, or give one configuration"),
)
def kernels_by_timing(a: AuditView) -> Signal | None:
    """Fires where a compiler is told to choose kernels by timing them.

    Why it matters: The choice depends on the load of the machine. Another tiling adds in another order.
    How it is computed: `torch.compile` with a mode that begins with `max-autotune`, settings of inductor of the same
    meaning, and `triton.autotune` with more than one configuration.
    When it is wrong: With a warm cache the choice is the same.
    Source: section 1.4 of the list of sources of nondeterminism: autotuning.
    """
    one, many = "chooses kernels by timing them", "choose kernels by timing them"
    return signal_of(a, a.sites("kernels-by-timing"), one, many)


@code_rule(
    "DET044",
    "determinism-not-enforced",
    severity="warn",
    causes=("deterministic algorithms are switched off, or only warn",),
    fixes=(_ASK,),
)
def determinism_not_enforced(a: AuditView) -> Signal | None:
    """Fires where deterministic algorithms are switched off, or asked for with `warn_only=True`.

    Why it matters: With `warn_only`, an operation without a deterministic kernel runs and the result differs. Kernels
    of Triton and of extensions do not even warn.
    How it is computed: `torch.use_deterministic_algorithms(False)` or with `warn_only=True`,
    `set_deterministic_debug_mode` with "default" or "warn", and `torch.backends.cudnn.deterministic = False`.
    When it is wrong: The code may switch them on again, or off only for a part that does not matter.
    Source: PyTorch's documentation of `use_deterministic_algorithms`; verl#7027 on kernels that do not warn.
    """
    one = "switches deterministic algorithms off, or lets them only warn"
    many = "switch deterministic algorithms off, or let them only warn"
    return signal_of(a, a.sites("determinism-off"), one, many)


@code_rule(
    "DET045",
    "atomic-operation",
    severity="info",
    causes=("on a GPU the operation adds with atomics, in any order",),
    fixes=(_ASK, "replace it: weight[index] for an embedding, index_add for scatter_add"),
)
def atomic_operation(a: AuditView) -> Signal | None:
    """Fires where an operation of PyTorch is used that adds in any order on a GPU, and nothing asks for another kernel.

    Why it matters: Sums differ in the last bits from run to run, and training amplifies them.
    How it is computed: `index_add`, `scatter_add`, `scatter_reduce_`, `index_reduce_`, `index_put_` and `put_` with
    `accumulate=True`, `bincount`, `histc`, `grid_sample`, `ctc_loss`, in a file that imports PyTorch; and the code
    never switches deterministic algorithms on.
    When it is wrong: On a CPU with one thread these are deterministic, and sums of integers always are.
    Source: PyTorch's documentation of `use_deterministic_algorithms`, which lists them.
    """
    if a.sees("asks-determinism"):
        return None
    one, many = "adds in any order on a GPU", "add in any order on a GPU"
    return signal_of(a, a.sites("atomic-operation"), one, many)


@code_rule(
    "DET046",
    "determinism-not-asked",
    severity="info",
    causes=("PyTorch chooses fast kernels by default",),
    fixes=(_ASK, "transformers: full_determinism=True in the arguments of the trainer"),
)
def determinism_not_asked(a: AuditView) -> Signal | None:
    """Fires when a program uses PyTorch, and nothing that was read asks for deterministic algorithms.

    Why it matters: With the same seed, two runs on a GPU may differ from the first step on.
    How it is computed: A program imports `torch`; no file calls `use_deterministic_algorithms(True)`,
    `enable_full_determinism` or `set_global_seed`, sets `full_determinism=True`, or switches them off on purpose.
    When it is wrong: On a CPU the default kernels are mostly deterministic. Deterministic kernels cost time, and need
    not be wanted.
    Source: PyTorch's notes on reproducibility; F93 of the rule catalogue.
    """
    if a.asks() or a.sees("determinism-off"):
        return None
    programs = [site for site in a.sites("uses-torch") if site.file in a.code.programs]
    one = "uses PyTorch, and nothing asks for deterministic algorithms"
    return signal_of(a, programs, one, one.replace("uses", "use", 1))


@code_rule(
    "DET047",
    "reduced-precision",
    severity="info",
    causes=("TF32 or reduced sums were switched on for speed",),
    fixes=("torch.set_float32_matmul_precision('highest') where results of two kinds of GPU are compared",),
)
def reduced_precision(a: AuditView) -> Signal | None:
    """Fires where matrix products are allowed a reduced precision.

    Why it matters: The result is the same on one kind of GPU and differs from those of another kind, and of a CPU.
    How it is computed: `allow_tf32`, `fp32_precision = "tf32"`, reduced-precision reductions of bf16 or fp16,
    `set_float32_matmul_precision("high" or "medium")`, or `tf32=True` in the arguments of a trainer.
    When it is wrong: All runs may use the same kind of GPU.
    Source: PyTorch's notes on numerical accuracy.
    """
    one, many = "allows products of reduced precision", "allow products of reduced precision"
    return signal_of(a, a.sites("reduced-precision"), one, many)


@code_rule(
    "DET048",
    "flash-attention-backward",
    severity="info",
    causes=("the backward pass of FlashAttention adds with atomics by default",),
    fixes=("FLASH_ATTENTION_DETERMINISTIC=1 for transformers", "deterministic=True where it is called directly"),
)
def flash_attention_backward(a: AuditView) -> Signal | None:
    """Fires where FlashAttention is chosen, and its deterministic backward pass is not.

    Why it matters: Gradients differ in the last bits from run to run.
    How it is computed: `attn_implementation` names FlashAttention 2 or 3, or one of its functions is called without
    `deterministic`; FLASH_ATTENTION_DETERMINISTIC is not 1 in the environment or in the code.
    When it is wrong: Inference has no backward pass.
    Source: the documentation of flash-attn, and transformers `enable_full_determinism`.
    """
    if BY_NAME["FLASH_ATTENTION_DETERMINISTIC"].accepts(a.variable("FLASH_ATTENTION_DETERMINISTIC") or ""):
        return None
    one = "uses FlashAttention with a backward pass that adds in any order"
    return signal_of(a, a.sites("flash-attention"), one, one.replace("uses", "use"))
