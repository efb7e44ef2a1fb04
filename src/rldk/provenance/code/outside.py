"""What comes from outside: environment variables, the clock, the network, engines that batch as requests arrive."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from rldk.core.text import later
from rldk.provenance.code.module import CodeModule, constant, keyword
from rldk.provenance.code.order import Seen

_CLOCKS = frozenset(
    "time.time time.monotonic time.perf_counter time.time_ns time.process_time datetime.datetime.now".split()
)
_TRAINS = later(r"save|save_\w+|evaluate|eval|train_step|step|backward|checkpoint|save_checkpoint|learn|rollout|update")
_REWARD = later(r".*(?:reward|judge|score_with|grader).*", 2)
_REMOTE = frozenset(
    f"{home}.{verb}"
    for home in ("requests", "httpx", "urllib.request")
    for verb in ("get", "post", "urlopen", "request")
)
_ASKS_MODEL = ("chat.completions.create", "messages.create", "responses.create", "completions.create")
_THREADS = frozenset("OMP_NUM_THREADS MKL_NUM_THREADS OPENBLAS_NUM_THREADS NUMEXPR_NUM_THREADS MKL_CBWR".split())
_READ_AT_IMPORT = frozenset({"numpy", "torch", "scipy", "numexpr", "jax", "tensorflow"})
_ENGINES = {"vllm.LLM": "vllm", "vllm.AsyncLLMEngine": "vllm", "sglang.Engine": "sglang"}


def seen_in(module: CodeModule) -> Iterator[Seen]:
    """Every such place."""
    yield from _variables(module)
    yield from _clock(module)
    yield from _remote(module)
    yield from _engines(module)


def _variables(module: CodeModule) -> Iterator[Seen]:
    """Environment variables that the code sets, as `sets-variable` with `NAME=value`; and those set too late."""
    imports = {n.lineno for n in module.tree.body if isinstance(n, ast.Import | ast.ImportFrom) and _reads(n)}
    started = min((call.lineno for call, name in module.calls if name == "ray.init"), default=None)
    restarts = any(name.startswith("os.exec") for name in module.called)
    for node, word, value in _settings(module):
        said = constant(value)
        yield "sets-variable", node, f"{word}={said}" if isinstance(said, str) else f"{word}="
        line = getattr(node, "lineno", 0)
        if word == "PYTHONHASHSEED" and not restarts:
            yield "hash-seed-too-late", node, word
        top = isinstance(module.scope(node), ast.Module)
        if word in _THREADS and top and any(number < line for number in imports):
            yield "variable-too-late", node, word
        elif started is not None and started < line and top and word.isupper():
            yield "variable-too-late", node, f"{word} after ray.init"


def _reads(node: ast.Import | ast.ImportFrom) -> bool:
    if isinstance(node, ast.ImportFrom):
        return (node.module or "").partition(".")[0] in _READ_AT_IMPORT and not node.level
    return any(alias.name.partition(".")[0] in _READ_AT_IMPORT for alias in node.names)


def _settings(module: CodeModule) -> Iterator[tuple[ast.AST, str, ast.AST | None]]:
    for node in module.of(ast.Assign):
        for target in node.targets:
            if isinstance(target, ast.Subscript) and module.full_name(target.value) == "os.environ":
                word = constant(target.slice)
                if isinstance(word, str):
                    yield node, word, node.value
    for call, name in module.calls:
        if name in ("os.environ.setdefault", "os.putenv") and len(call.args) == 2:
            word = constant(call.args[0])
            if isinstance(word, str):
                yield call, word, call.args[1]
        elif name == "os.environ.update" and call.args and isinstance(call.args[0], ast.Dict):
            for key, value in zip(call.args[0].keys, call.args[0].values, strict=True):
                word = constant(key)
                if isinstance(word, str):
                    yield call, word, value


def _clock(module: CodeModule) -> Iterator[Seen]:
    """Steps, evaluations and checkpoints that depend on how much time has passed."""
    branches: list[ast.If | ast.While] = [*module.of(ast.If), *module.of(ast.While)]
    for node in branches:
        if _asks_clock(module, node.test):
            body = (inner for statement in node.body for inner in ast.walk(statement))
            calls = (inner.func for inner in body if isinstance(inner, ast.Call))
            methods = (func for func in calls if isinstance(func, ast.Attribute) and _TRAINS.fullmatch(func.attr))
            first = next((f for f in methods if not module.full_name(f).startswith(("torch.", "time."))), None)
            if first is not None:
                yield "clock-controls-training", node.test, f"{first.attr}()"


def _asks_clock(module: CodeModule, test: ast.AST) -> bool:
    compares = any(isinstance(n, ast.Compare) for n in ast.walk(test))
    return compares and any(isinstance(n, ast.Call) and module.full_name(n.func) in _CLOCKS for n in ast.walk(test))


def _remote(module: CodeModule) -> Iterator[Seen]:
    """Rewards that a service gives."""
    for call, name in module.calls:
        if name in _REMOTE or name.endswith(_ASKS_MODEL):
            names = (getattr(outer, "name", "") for outer in module.above(call))
            home = next((word for word in names if isinstance(word, str) and _REWARD.fullmatch(word)), None)
            if home is not None:
                yield "remote-reward", call, home


def _engines(module: CodeModule) -> Iterator[Seen]:
    """Engines that put requests into batches as they come."""
    for call, name in module.calls:
        if name in _ENGINES:
            if constant(keyword(call, "enable_deterministic_inference")) is not True:
                yield f"engine-{_ENGINES[name]}", call, name
        elif constant(keyword(call, "use_vllm")) is True:
            yield "engine-vllm", call, "use_vllm=True"
