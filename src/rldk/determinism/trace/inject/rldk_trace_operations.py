"""Records every operation that torch dispatches in the thread that has loaded torch."""

from __future__ import annotations

import re
import sys
from types import ModuleType
from typing import Any

from rldk_trace_digest import FETCHING, MASK, of_bytes, of_parts, of_view  # type: ignore[import-not-found]
from rldk_trace_known import KnownDigest, KnownDigests  # type: ignore[import-not-found]
from rldk_trace_modules import ModuleNames  # type: ignore[import-not-found]
from rldk_trace_records import BACKWARD, CHANCE, FRESH, OP, OPAQUE  # type: ignore[import-not-found]
from rldk_trace_values import bag_of, elements_of, joined, numbers, tensors_in  # type: ignore[import-not-found]

_FULL = frozenset(
    "copy_ zero_ fill_ normal_ uniform_ bernoulli_ exponential_ random_ geometric_ log_normal_ cauchy_ set_ resize_ "
    "_foreach_copy_ _foreach_zero_".split()
)  # in-place operations that do not read what they write to
_EMPTY = frozenset("empty empty_like empty_strided new_empty new_empty_strided empty_permuted".split())
# these move values and compute none
_MOVES = frozenset("cat stack clone repeat select_backward slice_backward constant_pad_nd".split())
# of a list of tensors, element by element; `_foreach_norm` and `_foreach_max` are not
_EACH = re.compile(r"_foreach_(?!norm|max$|copy_|zero_)")
# what these return is filled in later, by another thread or another process
_LATER = frozenset({"c10d", "_c10d_functional"})
_MAX_BACKWARD = 1_000_000
_LARGE = 16_384  # elements


class Operation:
    """What is known of an operation. `call`: what runs it. `written`: names and places of the arguments that it writes
    to. `follows`: the digest of its name, where the bits that go in decide those that come out; else 0."""

    __slots__ = ("call", "chance", "empty", "follows", "fresh", "full", "later", "name", "number", "view", "written")

    def __init__(self, torch: ModuleType, func: Any, number: int) -> None:
        schema, packet = func._schema, func.overloadpacket.__name__
        alias = [(a.name, n, a.alias_info) for n, a in enumerate(schema.arguments)]
        self.number = number
        self.call = func._op if type(func) is torch._ops.OpOverload else func  # saves a call by Python
        self.name = str(func)
        self.written = {key for name, n, a in alias if a is not None and a.is_write for key in (name, n)}
        self.fresh = packet == "lift_fresh"  # a tensor that torch has just made of numbers of Python
        self.view = not self.fresh and not self.written and any(r.alias_info is not None for r in schema.returns)
        self.chance = torch.Tag.nondeterministic_seeded in func.tags
        self.empty = packet in _EMPTY
        self.full = packet in _FULL or (bool(self.written) and schema.overload_name.endswith("out"))
        self.later = func.namespace in _LATER
        plain = torch.Tag.pointwise in func.tags or packet in _MOVES or _EACH.match(packet) is not None
        plain = self.full if self.chance else plain  # what a generator fills follows from its state
        self.follows = of_bytes(self.name.encode()) if plain and func.namespace == "aten" else 0
        self.view |= func.namespace == "profiler" or packet == "_unsafe_view"  # compute nothing


class OperationTracer:
    """Turns operations into events of a stream. It is called for every operation, hence the local names."""

    def __init__(self, torch: ModuleType, book: Any) -> None:
        self._torch, self._book, self._stream = torch, book, book.stream
        self._known: dict[int, tuple[Operation, Any]] = {}  # by address: an overload computes its hash in Python
        self.plain, self._strided = (torch.Tensor, torch.nn.Parameter), torch.strided
        self.cache = KnownDigests()
        self._fresh = KnownDigests()  # tensors that nothing has been written to
        self._forward: dict[int, tuple[int, int]] = {}  # node of the backward pass -> site and module of its forward
        self._node = torch._C._current_autograd_node
        self._sequence, self._grad = torch.autograd._get_sequence_nr, torch.is_grad_enabled
        self.modules = ModuleNames(self._stream.names)

    def run(self, func: Any, types: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Runs an operation and records it. What goes wrong in the record costs the record only."""
        found = self._known.get(id(func))
        if found is None:
            number = self._stream.names.number("op", str(func))
            found = self._known[id(func)] = (Operation(self._torch, func, number), func)  # the address stays taken
        known = found[0]
        if self._book.off or FETCHING or (types and not all(issubclass(t, self.plain) for t in types)):
            return known.call(*args, **kwargs)
        before = None
        try:
            if self.cache.due:
                self.cache.settle()
            if self._fresh.due:
                self._fresh.settle()
            if not known.view:
                before = self._before(known, args, kwargs)
        except Exception as error:  # noqa: BLE001 - the script must run as it would without rldk
            self._book.fail(error)
            return known.call(*args, **kwargs)
        result = known.call(*args, **kwargs)
        try:
            if before is None:
                self._viewed(args, result)
            else:
                self._after(known, args, kwargs, result, before)
        except Exception as error:  # noqa: BLE001 - the script must run as it would without rldk
            self._book.fail(error)
        return result

    def advance(self, *_: object) -> None:
        """An optimiser step has ended: what is remembered of dead tensors and of old graphs is dropped."""
        self._book.advance()
        self._forward.clear()
        self.cache.drop_dead()
        self._fresh.drop_dead()

    def _viewed(self, args: Any, result: Any) -> None:
        """The digest of a view of memory whose content is known follows from that, and nothing is read."""
        base: Any = args[0] if args else None
        known = self.cache.get(base) if type(base) in self.plain else None
        if known is None:
            return
        for one in (result,) if type(result) in self.plain else tensors_in(result):
            offset = one.data_ptr() - known.address
            if known.memory is not None and not offset and one.numel() == base.numel():
                self.cache.put(one, None, known.memory, due=True)
            else:
                source = known.digest
                digest = of_view(one, source, offset) if type(source) is int and source else None
                self.cache.put(one, digest, due=True)

    def _before(self, known: Operation, args: Any, kwargs: dict[str, Any]) -> tuple[Any, ...]:
        """Digests of the tensors and of the other arguments that go in, of the state of chance, flags, bag, what is
        written to in part only, the node of the backward pass, and what the result follows from; 0 where that is not
        known."""
        inputs: list[Any] = []
        others: list[Any] = []
        held: list[Any] = []  # written to in part, so that the rest of them is still as it was found
        flags, plain, fresh, places, node = 0, self.plain, self._fresh, known.written, self._node()
        for key, value in (*enumerate(args), *kwargs.items()) if kwargs else enumerate(args):
            kind = type(value)
            if kind is float or kind is int or kind is bool:
                others.append(value)
                continue
            written = key in places
            for one in (value,) if kind in plain else tensors_in(value, others):
                if id(one) in fresh.known and fresh.get(one) is not None:
                    flags |= 0 if written else FRESH
                    held += [one] if written and not known.full else []
                elif not (written and known.full):
                    inputs.append(self._input(one, node))
        made = joined(inputs)
        added = hash(numbers(others)) & MASK if others else 0
        chance = self._chance(kwargs.get("generator")) if known.chance else 0
        follows = 0
        if known.follows and not flags and not held and type(made) is int and 0 not in inputs:
            follows = hash((known.follows, made, added, chance)) & MASK
        flags |= CHANCE if known.chance else 0
        bag = elements_of(args[0]) if known.fresh else bag_of(inputs)
        return made, added, chance, flags, bag, held, node, follows

    def _after(self, known: Operation, args: Any, kwargs: dict[str, Any], result: Any, before: tuple[Any, ...]) -> None:
        inputs, others, chance, flags, bag, held, node, follows = before
        outputs = [result] if type(result) in self.plain else tensors_in(result)
        if known.empty:
            for one in outputs:
                self._fresh.put(one, True)
            return
        if not outputs and known.written:
            outputs = [one for n, value in enumerate(args) if n in known.written for one in tensors_in(value)]
            outputs += [one for key, value in kwargs.items() if key in known.written for one in tensors_in(value)]
        for one in held:
            self._fresh.put(one, True, due=True)
        made: Any = 0
        if known.later or kwargs.get("non_blocking") or (known.full and args[2:3] == (True,)):
            flags |= OPAQUE
        elif not held:
            written = bool(known.written)
            if len(outputs) == 1:
                made = self._output(outputs[0], follows, written)
            else:
                each = [hash((follows, n)) & MASK if follows else 0 for n in range(len(outputs))]
                made = joined([self._output(one, of, written) for one, of in zip(outputs, each, strict=True)])
        site, module, back = self._place(node)
        self._stream.add(OP, flags | back, known.number, site, module, made, inputs, others, chance, bag)

    def _place(self, node: Any) -> tuple[int, int, int]:
        """The site and the module of the operation; in the backward pass, the ones of its forward pass."""
        if node is not None:
            site, module = self._forward.get(node._sequence_nr(), (0, 0))
            return site or self._book.site(self._stream, sys._getframe(4)), module, BACKWARD
        site, module = self._book.site(self._stream, sys._getframe(4)), self.modules.current()
        if self._grad():
            if len(self._forward) > _MAX_BACKWARD:
                self._forward.clear()
            self._forward[self._sequence() - 1] = (site, module)
        return site, module, 0

    def _input(self, tensor: Any, node: Any) -> Any:
        """The digest of what goes in: the one of the operation that made it, where nothing has changed it since.

        Of a large tensor in the backward pass that is not remembered 0: it comes from the forward pass, which was
        traced. What is remembered follows from the operations alone, never from addresses, which differ from process to
        process."""
        known: KnownDigest | None = self.cache.get(tensor)
        if known is None:
            return 0 if node is not None and tensor.numel() > _LARGE else self._digest(tensor, None)[0]
        if known.digest is None:
            known.digest, known.memory = self._digest(tensor, known.memory)
        return known.digest

    def _output(self, tensor: Any, follows: int, written: bool) -> Any:
        """The digest of a result, which is remembered. A large one that follows from what goes in is not read: most of
        the time of a trace is that of reading memory."""
        digest, memory = self._digest(tensor, follows if follows and tensor.numel() > _LARGE else None)
        self.cache.put(tensor, digest, memory, due=written)
        return digest

    def _digest(self, tensor: Any, memory: int | None) -> tuple[Any, int | None]:
        try:
            if tensor.layout is not self._strided or tensor.is_meta:
                return 0, None
            return of_parts(tensor, memory)  # type: ignore[no-any-return]
        except (RuntimeError, NotImplementedError):  # without memory of its own
            self._book.count("opaque_tensors")
            return 0, None

    def _chance(self, generator: Any) -> int:
        """The digest of the state of the generator that is drawn from."""
        state = self._torch.random.default_generator.get_state() if generator is None else generator.get_state()
        return int(of_bytes(state.numpy().tobytes()))
