"""The signatures of all that is public, with every default. A change of one is a change of what users wrote."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from rldk import errors

MODULES = (
    "rldk", "rldk.adapters", "rldk.cards", "rldk.comparison", "rldk.determinism", "rldk.diagnosis", "rldk.diff",
    "rldk.emit", "rldk.evals", "rldk.forensics", "rldk.integrations.loop", "rldk.io",
    "rldk.preflight", "rldk.profiling", "rldk.reward", "rldk.testing", "rldk.tracking", "rldk.utils.seed",
)  # fmt: skip


def _public(module: str) -> Iterator[tuple[str, Any]]:
    found = importlib.import_module(module)
    for name in sorted(getattr(found, "__all__", ())):
        thing = getattr(found, name)
        if inspect.isroutine(thing) or inspect.isclass(thing):
            yield f"{module}.{name}", thing


def _lines(name: str, thing: Any) -> Iterator[str]:
    if inspect.isclass(thing) and issubclass(thing, msgspec.Struct):
        for field in msgspec.structs.fields(thing):
            yield f"{name}.{field.name} = {'' if field.default is msgspec.NODEFAULT else repr(field.default)}".rstrip()
        return
    yield f"{name}{_signature(thing)}"
    if inspect.isclass(thing):
        for method, body in sorted(vars(thing).items()):
            if not method.startswith("_") and inspect.isroutine(body) and not isinstance(body, property):
                yield f"  .{method}{_signature(getattr(thing, method))}"


def _signature(thing: Any) -> str:
    """Names, order and defaults. What else a default is made of has an address, which is left out."""
    try:
        found = inspect.signature(thing)
    except ValueError:
        return "(...)"
    plain = [p.replace(annotation=inspect.Parameter.empty) for p in found.parameters.values()]
    text = str(found.replace(parameters=plain, return_annotation=inspect.Signature.empty))
    text = re.sub(r"<([^<>]*?) at 0x[0-9a-f]+>", r"<\1>", text)
    return text if len(text) < 90 else re.sub(r", (?=\*|/|\w+[=,)])", ",\n      ", text)


def test_golden_signatures(golden: Callable[[str, str], None]) -> None:
    lines = [line for module in MODULES for name, thing in _public(module) for line in _lines(name, thing)]
    exits = sorted(
        f"{name}: exit code {kind.exit_code}"
        for name, kind in vars(errors).items()
        if inspect.isclass(kind) and issubclass(kind, errors.RldkError)
    )
    golden("signatures.txt", "\n".join([*lines, *exits]))
