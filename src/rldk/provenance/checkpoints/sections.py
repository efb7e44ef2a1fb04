"""What the entries of a checkpoint are: weights, optimiser, schedule, random state; by the names that trainers use."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import Any

from rldk.core.checkpoint import Section
from rldk.errors import MalformedInput
from rldk.provenance.checkpoints.archive import Archive
from rldk.provenance.checkpoints.described import DescribedTensor, Global, Made, StorageRef
from rldk.provenance.checkpoints.stored import Contents

MAX_ENTRIES = 1_000_000
MAX_DEPTH = 32
LONGEST_NAME, LONGEST_TEXT = 1000, 200
LONGEST = 16  # numbers of a list that are shown; a longer one becomes a digest
_MODEL = frozenset(
    "model state_dict model_state_dict module policy actor net network weights params".split()
)  # entries of a file that hold weights under names of their own
_BY_ENTRY: tuple[tuple[re.Pattern[str], Section], ...] = (
    (re.compile(r"rng|random", re.I), "random"),
    (re.compile(r"sched", re.I), "scheduler"),
    (re.compile(r"optim|scaler", re.I), "optimizer"),
)
_NAMES = {"_reconstruct": "array", "scalar": "number"}  # as numpy pickles them -> as a reader knows them
_PREFIXES = ("module.", "_orig_mod.", "_forward_module.", "_fsdp_wrapped_module.")


def section_of(text: str) -> Section | None:
    """The section that the name of a file or of an entry speaks of; None where it speaks of none."""
    return next((section for pattern, section in _BY_ENTRY if pattern.search(text)), None)


def bare_name(name: str) -> str:
    """The name without what wrappers put before it."""
    for prefix in _PREFIXES:
        name = name.removeprefix(prefix)
    return name


def add_archive(contents: Contents, archive: Archive, prefix: str, default: Section | None) -> None:
    """Adds what a file of `torch.save` holds. `default`: the section that the name of the file speaks of."""
    value = archive.value
    if isinstance(value, DescribedTensor):
        value = {"tensor": value}
    if not isinstance(value, dict):
        raise MalformedInput(f"{archive.file} holds a {type(value).__name__}, not a mapping of tensors")
    budget = _Budget()
    weights = default is None and not any(isinstance(v, dict) for v in value.values())
    for key, part in value.items():
        section, name = (default or "model", str(key)) if weights or default else _place(str(key), part)
        for path, leaf in _leaves(part, name, 0, budget):
            full = tensor_name(prefix + (bare_name(path) if section == "model" else path))
            _add(contents, archive, (section, full), leaf, budget)


def _place(key: str, part: Any) -> tuple[Section, str]:
    """Section and name of an entry of a file that holds several things; a mapping of weights loses its own name."""
    named = section_of(key)
    if named is not None:
        return named, "" if isinstance(part, dict) else key
    if isinstance(part, dict) and _has_tensor(part):
        return "model", "" if key in _MODEL else key
    return ("model" if isinstance(part, DescribedTensor) else "other"), key


def _has_tensor(part: dict[Any, Any]) -> bool:
    """Whether there is a tensor at any depth. Each dictionary is looked at once: a small pickle may hold one a million
    times."""
    seen: set[int] = set()
    left: list[Any] = [part]
    while left:
        value = left.pop()
        if isinstance(value, DescribedTensor):
            return True
        if isinstance(value, dict) and id(value) not in seen:
            seen.add(id(value))
            left.extend(value.values())
    return False


class _Budget:
    """Counts entries, so that a small file cannot describe an endless value."""

    def __init__(self) -> None:
        self.left = MAX_ENTRIES

    def spend(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise MalformedInput(f"the checkpoint has more than {MAX_ENTRIES:,} entries")


def _leaves(value: Any, path: str, depth: int, budget: _Budget) -> Iterator[tuple[str, Any]]:
    budget.spend()
    if depth > MAX_DEPTH:
        raise MalformedInput(f"the entries of the checkpoint are nested more than {MAX_DEPTH} deep")
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _leaves(part, f"{path}.{key}" if path else str(key), depth + 1, budget)
    elif isinstance(value, list | tuple) and (_any_inside(value) or len(value) <= LONGEST):
        for number, part in enumerate(value):
            yield from _leaves(part, f"{path}.{number}", depth + 1, budget)
    else:
        yield path, value


def _any_inside(value: list[Any] | tuple[Any, ...]) -> bool:
    return any(isinstance(v, DescribedTensor | dict) for v in value)


def _add(contents: Contents, archive: Archive, key: tuple[Section, str], leaf: Any, budget: _Budget) -> None:
    if not isinstance(leaf, DescribedTensor):
        contents.values.setdefault(key, text_of(leaf, budget))
    elif key not in contents.tensors:
        contents.tensors[key] = archive.tensor(leaf, section=key[0], name=key[1])


def text_of(value: Any, budget: _Budget | None = None) -> str:
    """A value as short text: a digest for what is long or opaque."""
    if _is_short(value):
        return _harmless(str(value))
    if isinstance(value, Global):
        return value.path
    made = hashlib.sha256()
    _feed(made, value, 0, budget or _Budget())
    size = f"{len(value):,} entries, " if isinstance(value, list | tuple | bytes | str) else ""
    kind = f"{_NAMES.get(value.of.name, value.of.name)}, " if isinstance(value, Made) else ""
    return f"{kind}{size}sha256 {made.hexdigest()[:12]}"


def _is_short(value: Any) -> bool:
    if isinstance(value, int):
        return value.bit_length() <= 256
    return value is None or isinstance(value, float) or (isinstance(value, str) and len(value) <= LONGEST_TEXT)


def _harmless(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def tensor_name(name: str) -> str:
    """The name of an entry as text that can be written. Raises `MalformedInput` for a very long one."""
    if len(name) > LONGEST_NAME:
        raise MalformedInput(f"a name of the checkpoint has {len(name):,} characters: {name[:40]!r}...")
    return _harmless(name)


def _feed(made: Any, value: Any, depth: int, budget: _Budget) -> None:
    budget.spend()
    if depth > MAX_DEPTH:
        raise MalformedInput(f"the entries of the checkpoint are nested more than {MAX_DEPTH} deep")
    match value:
        case dict():
            made.update(b"{")
            for key, part in value.items():
                _feed(made, key, depth + 1, budget)
                _feed(made, part, depth + 1, budget)
        case list() | tuple():
            made.update(b"[")
            for part in value:
                _feed(made, part, depth + 1, budget)
        case Made():
            made.update(value.of.path.encode())
            _feed(made, value.args, depth + 1, budget)
        case DescribedTensor() | StorageRef() | Global():
            made.update(type(value).__name__.encode())
        case bytes():
            made.update(value)
        case int():
            made.update(f"int:{value:x};".encode())
        case _:
            made.update(f"{type(value).__name__}:{value!r};".encode("utf-8", "surrogatepass"))
