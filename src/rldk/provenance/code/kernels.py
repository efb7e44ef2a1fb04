"""Kernels and number formats: what makes a GPU add in another order, or another GPU compute something else."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from rldk.core.text import later
from rldk.provenance.code.module import CodeModule, constant, keyword, last_word
from rldk.provenance.code.order import Seen

_CUDNN, _MATMUL = "torch.backends.cudnn", "torch.backends.cuda.matmul"
# assignments of a constant: (full name, value) -> kind
_SWITCHES: dict[tuple[str, object], str] = {
    (f"{_CUDNN}.benchmark", True): "cudnn-benchmark",
    (f"{_CUDNN}.deterministic", False): "determinism-off",
    (f"{_CUDNN}.deterministic", True): "asks-cudnn",
    (f"{_CUDNN}.allow_tf32", True): "reduced-precision",
    (f"{_MATMUL}.allow_tf32", True): "reduced-precision",
    (f"{_MATMUL}.allow_bf16_reduced_precision_reduction", True): "reduced-precision",
    (f"{_MATMUL}.allow_fp16_reduced_precision_reduction", True): "reduced-precision",
    (f"{_MATMUL}.fp32_precision", "tf32"): "reduced-precision",
    ("torch.backends.fp32_precision", "tf32"): "reduced-precision",
    ("torch._inductor.config.max_autotune", True): "kernels-by-timing",
    ("torch._inductor.config.coordinate_descent_tuning", True): "kernels-by-timing",
}
_ENFORCERS = frozenset({"torch.use_deterministic_algorithms", "torch.set_deterministic_debug_mode"})
_ASKERS = frozenset({"enable_full_determinism", "enable_op_determinism", "seed_everything_deterministic"})
# documented to be nondeterministic on CUDA unless deterministic algorithms are on, and named like nothing else
_ATOMIC = frozenset({"index_add_", "scatter_add_", "index_reduce_", "scatter_reduce_", "scatter_add", "index_add"})
_ATOMIC_CALLS = frozenset(
    "torch.bincount torch.nn.CTCLoss torch.nn.functional.ctc_loss torch.nn.functional.grid_sample torch.histc "
    "torch.scatter_add torch.index_add".split()
)
_ATTENTION = later(r"flash_attention_[23]|flash_attn")
_FLASH = frozenset({"flash_attn_func", "flash_attn_varlen_func", "flash_attn_qkvpacked_func"})
_ON = ("full_determinism", "deterministic", "use_deterministic_algorithms")


def seen_in(module: CodeModule) -> Iterator[Seen]:
    """Every switch, and every operation that adds in any order."""
    for node in module.of(ast.Assign):
        value = constant(node.value)
        for target in node.targets if isinstance(value, bool | str) else ():
            kind = _SWITCHES.get((module.full_name(target), value))
            if kind is not None:
                yield kind, node, ast.unparse(node)[:80]
    for call, name in module.calls:
        yield from _switch(call, name)
        yield from _choice(call, name)
        yield from _operation(module, call, name)
    yield from _tuned(module)
    yield from _contradictions(module)
    yield from _uses(module)


def _switch(call: ast.Call, name: str) -> Iterator[Seen]:
    """Calls that switch deterministic algorithms on or off."""
    last = last_word(name)
    first = call.args[0] if call.args else keyword(call, "mode", "debug_mode")
    if name in _ENFORCERS:
        weak = constant(keyword(call, "warn_only")) is True or constant(first) == "warn"
        off = constant(first) is False or constant(first) in ("default", 0)
        kind = "determinism-off" if off or weak else "asks-determinism"
        yield (
            kind,
            call,
            f"{last}({ast.unparse(first) if first else ''}{', warn_only=True' if weak and not off else ''})",
        )
    elif last in _ASKERS:
        yield "asks-determinism", call, last
    elif last in ("seed_everything", "set_global_seed", "set_seed", "Trainer") or last.endswith(
        ("Arguments", "Config")
    ):
        asked = any(constant(keyword(call, word)) is True for word in _ON)
        if asked or (last == "set_global_seed" and constant(keyword(call, "deterministic")) is not False):
            yield "asks-determinism", call, last
    if name == "torch.set_float32_matmul_precision" and constant(first) in ("high", "medium"):
        yield "reduced-precision", call, f'set_float32_matmul_precision("{constant(first)}")'
    if constant(keyword(call, "tf32")) is True and last.endswith(("Arguments", "Config")):
        yield "reduced-precision", call, "tf32=True"


def _choice(call: ast.Call, name: str) -> Iterator[Seen]:
    """Calls that choose a kernel: by timing it, or by name."""
    if name == "torch.compile":
        mode = constant(keyword(call, "mode"))
        if isinstance(mode, str) and mode.startswith("max-autotune"):
            yield "kernels-by-timing", call, f'torch.compile(mode="{mode}")'
    attention = constant(keyword(call, "attn_implementation", "_attn_implementation"))
    if isinstance(attention, str) and _ATTENTION.search(attention):
        yield "flash-attention", call, f'attn_implementation="{attention[:40]}"'
    last = last_word(name)
    if last in _FLASH and name.startswith("flash_attn") and keyword(call, "deterministic") is None:
        yield "flash-attention", call, f"{last} without deterministic=True"


def _operation(module: CodeModule, call: ast.Call, name: str) -> Iterator[Seen]:
    """Operations that add with atomics on a GPU."""
    if "torch" not in module.roots:
        return
    last = last_word(name)
    method = isinstance(call.func, ast.Attribute) and last in _ATOMIC
    accumulates = last in ("index_put_", "put_") and constant(keyword(call, "accumulate")) is True
    foreign = name.startswith(("numpy", "jax", "tensorflow"))
    if constant(keyword(call, "reduce")) in ("amax", "amin", "prod"):
        return
    if name == "torch.bincount" and keyword(call, "weights") is None and len(call.args) < 2:
        return  # counts are whole numbers, and their sum has no order
    if not foreign and (method or accumulates or name in _ATOMIC_CALLS):
        yield "atomic-operation", call, last


def _tuned(module: CodeModule) -> Iterator[Seen]:
    """Functions with a decorator that times kernels."""
    for node in module.of(ast.FunctionDef):
        for decorator in node.decorator_list:
            target = decorator.func if isinstance(decorator, ast.Call) else decorator
            if module.full_name(target) == "triton.autotune" and not _has_one_choice(decorator):
                yield "kernels-by-timing", node, "triton.autotune"


def _has_one_choice(decorator: ast.AST) -> bool:
    """Whether there is only one configuration to choose from."""
    if not isinstance(decorator, ast.Call):
        return False
    given = keyword(decorator, "configs") or (decorator.args[0] if decorator.args else None)
    return isinstance(given, ast.List) and len(given.elts) == 1


def _contradictions(module: CodeModule) -> Iterator[Seen]:
    """Places that let cudnn time its kernels, where the same file asks for deterministic ones and no branch separates
    the two."""
    asking: list[ast.AST] = []
    timing: list[ast.AST] = []
    for node in module.of(ast.Assign):
        names = {module.full_name(target) for target in node.targets}
        if constant(node.value) is True:
            asking += [node] if f"{_CUDNN}.deterministic" in names else []
            timing += [node] if f"{_CUDNN}.benchmark" in names else []
    asking += [call for call, name in module.calls for kind, _, _ in _switch(call, name) if kind == "asks-determinism"]
    for timed in timing:
        if any(not _are_apart(module, timed, other) for other in asking):
            yield "determinism-contradicted", timed, "cudnn.benchmark"


def _are_apart(module: CodeModule, one: ast.AST, other: ast.AST) -> bool:
    """Whether two statements stand in different branches of one `if`, or in different functions."""
    if module.scope(one) is not module.scope(other):
        return True
    branches = dict(_branches(module, one))
    return any(branches.get(outer, taken) != taken for outer, taken in _branches(module, other))


def _branches(module: CodeModule, node: ast.AST) -> Iterator[tuple[ast.AST, bool]]:
    """Each `if` around a node, and whether the node stands in its first branch."""
    inner = node
    for outer in module.above(node):
        if isinstance(outer, ast.If):
            yield outer, inner in outer.body
        inner = outer


def _uses(module: CodeModule) -> Iterator[Seen]:
    """The first import of PyTorch."""
    if "torch" not in module.roots:
        return
    imports: list[ast.Import | ast.ImportFrom] = [*module.of(ast.Import), *module.of(ast.ImportFrom)]
    for node in imports:
        named = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
        if any(name.partition(".")[0] == "torch" for name in named):
            yield "uses-torch", node, "import torch"
            return
