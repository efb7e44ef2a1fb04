"""Reads the pickle of a checkpoint without unpickling it: the opcodes are followed, and nothing is imported or called.

Only what builds tensors and plain values is understood. A pickle that names anything else is refused, with a list of
what it names."""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from rldk.errors import MalformedInput, UnsafePickle
from rldk.provenance.checkpoints.described import ALLOWED, Global, Made, StorageRef, build, is_plain

MAX_OPCODES = 20_000_000
LONGEST_KEY = 16  # parts of a key that is a tuple
MAX_NAMED = 8  # foreign names in a message
_MARK = object()


class Foreign(Struct, frozen=True, kw_only=True):
    """Something that a pickle names and must not. `call`: the first call of it, "" where it is only named."""

    name: str
    call: str = ""


def read_pickle(data: bytes, where: str) -> Any:
    """The value that the pickle describes: plain values, `DescribedTensor`, and `Made` for what is known and opaque.

    Raises `UnsafePickle` when it names anything outside of `described.ALLOWED`, `MalformedInput` when it is damaged."""
    machine = _Machine()
    try:
        value = machine.run(data)
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        if not machine.foreign:
            raise MalformedInput(f"{where} holds a damaged pickle: {error}", hint="save the checkpoint again") from None
        value = None
    if machine.foreign:
        found = tuple(Foreign(name=name, call=call) for name, call in machine.foreign.items())
        raise UnsafePickle(where, tuple(each.call or each.name for each in found[:MAX_NAMED]), len(found))
    return value


class _Machine:
    """The stack and the memo of a pickle. Containers are built, objects are only described."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.foreign: dict[str, str] = {}
        self.copied = 0

    def run(self, data: bytes) -> Any:
        for count, (opcode, arg, _) in enumerate(pickletools.genops(data)):
            if opcode.name == "STOP":
                return self.stack.pop()
            if count > MAX_OPCODES:
                raise ValueError(f"it has more than {MAX_OPCODES:,} opcodes")
            if opcode.name in _PUSHED:
                self.stack.append(arg)
            else:
                handle = _HANDLERS.get(opcode.name)
                if handle is None:
                    raise ValueError(f"it has the opcode {opcode.name}, which no checkpoint needs")
                handle(self, arg)
        raise ValueError("it has no end")

    def marked(self) -> list[Any]:
        """What lies above the newest mark, taken off the stack together with the mark."""
        place = len(self.stack) - 1
        while self.stack[place] is not _MARK:
            place -= 1
            if place < 0:
                raise ValueError("a mark is missing")
        found, self.stack[place:] = self.stack[place + 1 :], []
        return found

    def named(self, module: Any, name: Any) -> Global:
        found = Global(module=str(module), name=str(name))
        if not _known(found):
            self.foreign.setdefault(found.path, "")
        return found

    def made(self, what: Any, args: Any) -> Any:
        if not isinstance(what, Global):
            raise ValueError("it calls what is no function")
        if not _known(what):
            self.foreign[what.path] = self.foreign.get(what.path) or f"{what.path}({_shown(args)})"
            return Made(of=what, args=())
        args = args if isinstance(args, tuple) else (args,)
        # a builder copies its arguments, and a pickle may ask for the same copy again and again
        self.copied += sum(len(a) for a in args if isinstance(a, list | tuple | dict | str))
        if self.copied > MAX_OPCODES:
            raise ValueError(f"it copies more than {MAX_OPCODES:,} values")
        return build(what, args)

    def set_items(self, target: Any, pairs: list[Any]) -> None:
        if not isinstance(target, dict):
            raise ValueError("it sets items of what is no dictionary")
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            target[self.key(key)] = value

    def key(self, key: Any) -> Any:
        """The key as it is, or as text; the repr of anything nested could be endless."""
        if isinstance(key, Made) or (is_plain(key) and not (isinstance(key, int) and key.bit_length() > 64)):
            return key
        if isinstance(key, tuple) and len(key) <= LONGEST_KEY and all(is_plain(part) for part in key):
            return repr(key)
        raise ValueError("it has a key that is no plain value")

    def append(self, target: Any, values: list[Any]) -> None:
        if not isinstance(target, list):
            raise ValueError("it appends to what is no list")
        target.extend(values)

    def state(self, state: Any) -> None:
        """BUILD: an object gets its state. That of a dictionary is metadata of torch and is dropped."""
        target = self.stack[-1]
        if isinstance(target, Made):
            target.args = (*target.args, state)
        elif not isinstance(target, dict):
            raise ValueError("it sets the state of a plain value")


def _known(found: Global) -> bool:
    return (found.module, found.name) in ALLOWED


def _shown(args: Any) -> str:
    values = args if isinstance(args, tuple) else (args,)
    texts = [repr(a) if is_plain(a) else f"<{type(a).__name__}>" for a in values[:3]]
    return ", ".join(text if len(text) <= 60 else text[:57] + "..." for text in texts)


def _pair(m: _Machine, _: Any) -> None:
    value, key = m.stack.pop(), m.stack.pop()
    m.set_items(m.stack[-1], [key, value])


def _top(m: _Machine, count: int) -> None:
    found = tuple(m.stack[len(m.stack) - count :]) if count else ()
    if len(found) != count:
        raise ValueError("its stack is empty")
    del m.stack[len(m.stack) - count :]
    m.stack.append(found)


def _reduce(m: _Machine, _: Any) -> None:
    args = m.stack.pop()
    m.stack[-1] = m.made(m.stack[-1], args)


def _keywords(m: _Machine, _: Any) -> None:
    keywords, args = m.stack.pop(), m.stack.pop()
    m.stack[-1] = m.made(m.stack[-1], (*args, keywords) if keywords else args)


def _object(m: _Machine, _: Any) -> None:
    what, *args = m.marked()
    m.stack.append(m.made(what, tuple(args)))


def _instance(m: _Machine, arg: str) -> None:
    args = tuple(m.marked())
    m.stack.append(m.made(m.named(*arg.split(" ", 1)), args))


def _stack_global(m: _Machine, _: Any) -> None:
    name, module = m.stack.pop(), m.stack.pop()
    m.stack.append(m.named(module, name))


def _put(m: _Machine, arg: Any) -> None:
    m.memo[len(m.memo) if arg is None else int(arg)] = m.stack[-1]


def _storage(m: _Machine, _: Any) -> None:
    m.stack[-1] = StorageRef.of(m.stack[-1])


def _items(m: _Machine, _: Any) -> None:
    pairs = m.marked()
    m.set_items(m.stack[-1], pairs)


def _appends(m: _Machine, _: Any) -> None:
    values = m.marked()
    m.append(m.stack[-1], values)


def _append(m: _Machine, _: Any) -> None:
    value = m.stack.pop()
    m.append(m.stack[-1], [value])


def _add_items(m: _Machine, _: Any) -> None:
    values = m.marked()
    m.append(m.stack[-1], values)  # a set is described as a list


def _dict(m: _Machine, _: Any) -> None:
    pairs = m.marked()
    m.stack.append({})
    m.set_items(m.stack[-1], pairs)


_Handler = Callable[[_Machine, Any], Any]
_PUSHED = frozenset(
    "INT BININT BININT1 BININT2 LONG LONG1 LONG4 STRING BINSTRING SHORT_BINSTRING BINBYTES SHORT_BINBYTES BINBYTES8 "
    "BYTEARRAY8 UNICODE SHORT_BINUNICODE BINUNICODE BINUNICODE8 FLOAT BINFLOAT".split()
)
_HANDLERS: dict[str, _Handler] = {
    "PROTO": lambda m, arg: None,  # noqa: ARG005
    "FRAME": lambda m, arg: None,  # noqa: ARG005
    "NONE": lambda m, arg: m.stack.append(None),  # noqa: ARG005
    "NEWTRUE": lambda m, arg: m.stack.append(True),  # noqa: ARG005
    "NEWFALSE": lambda m, arg: m.stack.append(False),  # noqa: ARG005
    "EMPTY_LIST": lambda m, arg: m.stack.append([]),  # noqa: ARG005
    "EMPTY_SET": lambda m, arg: m.stack.append([]),  # noqa: ARG005
    "EMPTY_DICT": lambda m, arg: m.stack.append({}),  # noqa: ARG005
    "EMPTY_TUPLE": lambda m, arg: m.stack.append(()),  # noqa: ARG005
    "TUPLE1": lambda m, arg: _top(m, 1),  # noqa: ARG005
    "TUPLE2": lambda m, arg: _top(m, 2),  # noqa: ARG005
    "TUPLE3": lambda m, arg: _top(m, 3),  # noqa: ARG005
    "TUPLE": lambda m, arg: m.stack.append(tuple(m.marked())),  # noqa: ARG005
    "LIST": lambda m, arg: m.stack.append(m.marked()),  # noqa: ARG005
    "FROZENSET": lambda m, arg: m.stack.append(m.marked()),  # noqa: ARG005
    "DICT": _dict,
    "MARK": lambda m, arg: m.stack.append(_MARK),  # noqa: ARG005
    "POP": lambda m, arg: m.stack.pop(),  # noqa: ARG005
    "POP_MARK": lambda m, arg: m.marked(),  # noqa: ARG005
    "DUP": lambda m, arg: m.stack.append(m.stack[-1]),  # noqa: ARG005
    "APPEND": _append,
    "APPENDS": _appends,
    "ADDITEMS": _add_items,
    "SETITEM": _pair,
    "SETITEMS": _items,
    "GET": lambda m, arg: m.stack.append(m.memo[int(arg)]),
    "BINGET": lambda m, arg: m.stack.append(m.memo[arg]),
    "LONG_BINGET": lambda m, arg: m.stack.append(m.memo[arg]),
    "PUT": _put,
    "BINPUT": _put,
    "LONG_BINPUT": _put,
    "MEMOIZE": _put,
    "GLOBAL": lambda m, arg: m.stack.append(m.named(*arg.split(" ", 1))),
    "STACK_GLOBAL": _stack_global,
    "INST": _instance,
    "OBJ": _object,
    "NEWOBJ": _reduce,
    "NEWOBJ_EX": _keywords,
    "REDUCE": _reduce,
    "BUILD": lambda m, arg: m.state(m.stack.pop()),  # noqa: ARG005
    "BINPERSID": _storage,
}
