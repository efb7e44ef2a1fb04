"""Records every operation that torch dispatches in the thread that has loaded torch."""

from __future__ import annotations

import contextlib
import functools
import sys
import threading
import weakref
from types import ModuleType
from typing import Any

from rldk_trace_digest import FETCHING, MASK, of_bytes, of_parts  # type: ignore[import-not-found]
from rldk_trace_known import KnownDigest, KnownDigests  # type: ignore[import-not-found]
from rldk_trace_records import BACKWARD, CHANCE, FRESH, OP, OPAQUE  # type: ignore[import-not-found]

_FULL = frozenset(
    "copy_ zero_ fill_ normal_ uniform_ bernoulli_ exponential_ random_ geometric_ log_normal_ cauchy_ set_ resize_ "
    "_foreach_copy_ _foreach_zero_".split()
)  # in-place operations that do not read what they write to
_EMPTY = frozenset("empty empty_like empty_strided new_empty new_empty_strided empty_permuted".split())
# what these return is filled in later, by another thread or another process
_LATER = frozenset({"c10d", "_c10d_functional"})
_MAX_BACKWARD = 1_000_000
_LARGE = 16_384  # elements
_MAX_TEXTS = 1_000


class Operation:
    """What is known of an operation. `written`: names and places of the arguments that it writes to."""

    __slots__ = ("chance", "elementwise", "empty", "fresh", "full", "later", "name", "number", "view", "written")

    def __init__(self, torch: ModuleType, func: Any, number: int) -> None:
        schema, packet = func._schema, func.overloadpacket.__name__
        alias = [(a.name, n, a.alias_info) for n, a in enumerate(schema.arguments)]
        self.number = number
        self.name = str(func)
        self.written = {key for name, n, a in alias if a is not None and a.is_write for key in (name, n)}
        self.fresh = packet == "lift_fresh"  # a tensor that torch has just made of numbers of Python
        self.view = not self.fresh and not self.written and any(r.alias_info is not None for r in schema.returns)
        self.chance = torch.Tag.nondeterministic_seeded in func.tags
        self.empty = packet in _EMPTY
        self.full = packet in _FULL or (bool(self.written) and schema.overload_name.endswith("out"))
        self.later = func.namespace in _LATER
        # the digest of its name, where the bits that go in decide those that come out, element by element; else 0
        self.elementwise = of_bytes(self.name.encode()) if torch.Tag.pointwise in func.tags and not self.chance else 0
        self.view |= func.namespace == "profiler" or packet == "_unsafe_view"  # compute nothing


class OperationTracer:
    """Turns operations into events of a stream. It is called for every operation, hence the local names."""

    def __init__(self, torch: ModuleType, book: Any) -> None:
        self._torch, self._book, self._stream = torch, book, book.stream
        self._known: dict[Any, Operation] = {}
        self._plain, self._strided = (torch.Tensor, torch.nn.Parameter), torch.strided
        self.cache = KnownDigests()
        self._fresh = KnownDigests()  # tensors that nothing has been written to
        self._forward: dict[int, tuple[int, int]] = {}  # node of the backward pass -> site and module of its forward
        self._node = torch._C._current_autograd_node
        self._sequence, self._grad = torch.autograd._get_sequence_nr, torch.is_grad_enabled
        self.modules = ModuleNames(self._stream.names)

    def run(self, func: Any, types: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Runs an operation and records it. What goes wrong in the record costs the record only."""
        known = self._known.get(func)
        if known is None:
            number = self._stream.names.number("op", str(func))
            known = self._known[func] = Operation(self._torch, func, number)
        if self._book.off or FETCHING or (types and not all(issubclass(t, self._plain) for t in types)):
            return func(*args, **kwargs)
        before = None
        try:
            self.cache.settle()
            self._fresh.settle()
            if not known.view:
                before = self._before(known, args, kwargs)
        except Exception as error:  # noqa: BLE001 - the script must run as it would without rldk
            self._book.fail(error)
            return func(*args, **kwargs)
        result = func(*args, **kwargs)
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
        """A view of memory whose content is known needs a digest once at most, and none of its own if it shows all."""
        base: Any = args[0] if args else None
        known = self.cache.get(base) if type(base) in self._plain else None
        if known is None:
            return
        for one in (result,) if type(result) in self._plain else tensors_in(result):
            whole = known.memory is not None and one.data_ptr() == known.address and one.numel() == base.numel()
            self.cache.put(one, None, known.memory if whole else None)

    def _before(self, known: Operation, args: Any, kwargs: dict[str, Any]) -> tuple[Any, ...]:
        """Digests of the tensors and of the other arguments that go in, of the state of chance, flags, bag, what is
        written to in part only, and the node of the backward pass."""
        inputs: list[Any] = []
        others: list[Any] = []
        held: list[Any] = []  # written to in part, so that the rest of them is still as it was found
        flags, plain, fresh, node = 0, self._plain, self._fresh, self._node()
        for key, value in (*enumerate(args), *kwargs.items()) if kwargs else enumerate(args):
            kind = type(value)
            if kind is float or kind is int or kind is bool:
                others.append(value)
                continue
            written = key in known.written
            for one in (value,) if kind in plain else tensors_in(value, others):
                if id(one) in fresh.known and fresh.get(one) is not None:
                    flags |= 0 if written else FRESH
                    held += [one] if written and not known.full else []
                elif not (written and known.full):
                    inputs.append(self._input(one, node))
        chance = self._chance(kwargs.get("generator")) if known.chance else 0
        flags |= CHANCE if known.chance else 0
        bag = elements_of(args[0]) if known.fresh else bag_of(inputs)
        made = inputs[0] if len(inputs) == 1 else self._joined(inputs)
        added = hash(tuple(numbers(others))) & MASK if others else 0
        follows = 0  # what the result of an elementwise operation follows from, where all of that is known
        if known.elementwise and not flags and not held and 0 not in inputs and type(made) is int:
            follows = hash((known.elementwise, made, added)) & MASK
        return made, added, chance, flags, bag, held, node, follows

    def _after(self, known: Operation, args: Any, kwargs: dict[str, Any], result: Any, before: tuple[Any, ...]) -> None:
        inputs, others, chance, flags, bag, held, node, follows = before
        outputs = [result] if type(result) in self._plain else list(tensors_in(result))
        if known.empty:
            for one in outputs:
                self._fresh.put(one, True)
            return
        if not outputs and known.written:
            outputs = [one for n, value in enumerate(args) if n in known.written for one in tensors_in(value)]
            outputs += [one for key, value in kwargs.items() if key in known.written for one in tensors_in(value)]
        for one in held:
            self._fresh.put(one, True, written=True)
        made: Any = 0
        if known.later or kwargs.get("non_blocking") or (known.full and args[2:3] == (True,)):
            flags |= OPAQUE
        elif not held:
            written = bool(known.written)
            digests = [self._output(one, follows, written=written) for one in outputs]
            made = digests[0] if len(digests) == 1 else self._joined(digests)
        site, module, back = self._place(node)
        self._stream.add(OP, flags | back, known.number, site, module, made, inputs, others, chance, bag)

    def _place(self, node: Any) -> tuple[int, int, int]:
        """The site and the module of the operation; in the backward pass those of its forward, where known."""
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

    def _output(self, tensor: Any, follows: int, *, written: bool) -> Any:
        """The digest of a result, which is remembered. A large one that follows from what goes in is not read: most of
        the time of a trace is that of reading memory."""
        digest, memory = self._digest(tensor, follows if follows and tensor.numel() > _LARGE else None)
        self.cache.put(tensor, digest, memory, written=written)
        return digest

    def _digest(self, tensor: Any, memory: int | None) -> tuple[Any, int | None]:
        try:
            if tensor.layout is not self._strided or tensor.is_meta:
                return 0, None
            return of_parts(tensor, memory)  # type: ignore[no-any-return]
        except (RuntimeError, NotImplementedError):  # without memory of its own
            self._book.count("opaque_tensors")
            return 0, None

    def _joined(self, digests: list[Any]) -> Any:
        """One digest of several, in their order."""
        if all(type(one) is int for one in digests):
            return hash(tuple(digests)) & MASK if digests else 0
        return JoinedDigest.of(digests)

    def _chance(self, generator: Any) -> int:
        """The digest of the state of the generator that is drawn from."""
        state = self._torch.random.default_generator.get_state() if generator is None else generator.get_state()
        return int(of_bytes(state.numpy().tobytes()))


class JoinedDigest:
    """Several digests, some of them on a device, joined there."""

    @staticmethod
    def of(digests: list[Any]) -> Any:
        """One digest on the device, by which the order of the parts is seen."""
        first = next(one for one in digests if type(one) is not int)
        value, seed = first.value * 0, 0
        for one in digests:
            seed = hash((seed, one if type(one) is int else one.seed)) & MASK
            if type(one) is not int:
                value = value * 0x100000001B3 + one.value.to(value.device)
        return type(first)(value, seed)


_texts: dict[Any, int] = {}  # the digests of types, devices and layouts


def numbers(values: Any) -> Any:
    """Values as numbers that hash alike in every process."""
    for one in values:
        kind = type(one)
        if kind is int or kind is bool or (kind is float and one == one):
            yield one
        elif kind is tuple or kind is list:
            yield tuple(numbers(one))
        elif kind is str or kind.__module__ == "torch":
            known = _texts.get(one)
            if known is None:
                known = of_bytes(str(one).encode())
                if len(_texts) < _MAX_TEXTS:
                    _texts[one] = known
            yield known
        else:  # None, NaN, and what differs from process to process
            yield -7 if one is None else -8


def tensors_in(value: Any, others: list[Any] | None = None) -> Any:
    """The tensors in an argument or a result, also in lists; what is no tensor is added to `others`."""
    if isinstance(value, sys.modules["torch"].Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for one in value:
            yield from tensors_in(one, others)
    elif others is not None:
        others.append(value)


def bag_of(digests: list[Any]) -> int:
    """A digest of several digests that does not see their order; 0 where it is not known, or there is one only."""
    if len(digests) < 2 or any(type(one) is not int for one in digests):
        return 0
    return int((sum(digests) + len(digests)) & MASK)


def elements_of(tensor: Any) -> int:
    """A digest of the elements of a tensor of the CPU that does not see their order; 0 for a single one."""
    count = tensor.numel()
    if tensor.device.type != "cpu" or not 1 < count <= 1 << 20 or tensor.is_complex():
        return 0
    torch = sys.modules["torch"]
    kind = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[tensor.element_size()]
    return int((int(tensor.reshape(-1).view(kind).sum(dtype=torch.int64)) + count) & MASK)


class ModuleNames:
    """The path of the module that is running, from the outermost one down."""

    def __init__(self, names: Any) -> None:
        self._names = names
        self._stack: list[int] = []
        self._known: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
        self._main = threading.get_ident()

    def current(self) -> int:
        """The number of the innermost running module, 0 outside all."""
        return self._stack[-1] if self._stack else 0

    def enter(self, module: Any, _: object) -> None:
        """A module begins its forward."""
        if threading.get_ident() != self._main:
            return
        number = self._known.get(module)
        if number is None:
            with contextlib.suppress(Exception):  # a module of the script that cannot be looked through has no name
                self._name_all(module)
            number = self._known.get(module, 0)
        self._stack.append(number)

    def leave(self, *_: object) -> None:
        """A module has ended its forward, or failed in it."""
        if self._stack and threading.get_ident() == self._main:
            self._stack.pop()

    def _name_all(self, root: Any) -> None:
        top = type(root).__name__
        for name, module in root.named_modules():
            if module is root or module not in self._known:
                text = f"{top}.{name} ({type(module).__name__})" if name else top
                self._known[module] = self._names.number("module", text)


def attach(torch: ModuleType, book: Any) -> None:
    """Begins to record, right after torch has been loaded."""
    from torch.optim.optimizer import register_optimizer_step_post_hook
    from torch.utils._python_dispatch import TorchDispatchMode

    tracer = OperationTracer(torch, book)

    class DispatchMode(TorchDispatchMode):  # type: ignore[misc]
        """Sees every operation below automatic differentiation."""

        @classmethod
        def ignore_compile_internals(cls) -> bool:
            return True

        @classmethod
        def _should_skip_dynamo(cls) -> bool:  # asked for when the class is made, and would load the compiler
            return False

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            return tracer.run(func, types, args, kwargs or {})

    torch.nn.modules.module.register_module_forward_pre_hook(tracer.modules.enter)
    torch.nn.modules.module.register_module_forward_hook(tracer.modules.leave, always_call=True)
    register_optimizer_step_post_hook(tracer.advance)
    _watch_seeds(torch, book)
    _watch_compile(torch, book, DispatchMode)
    _watch_numpy(torch, tracer)
    mode = DispatchMode()
    mode.__enter__()
    book.keep(mode)
    book.note(torch=torch.__version__)


def _watch_seeds(torch: ModuleType, book: Any) -> None:
    def watched(name: str, function: Any) -> Any:
        def seed(*args: Any, **kwargs: Any) -> Any:
            made = function(*args, **kwargs)
            state = torch.random.default_generator.get_state().numpy().tobytes()
            book.seeded(f"torch.{name}", of_bytes(state), given=bool(args or kwargs))
            return made

        seed.__name__, seed.__doc__, seed.__wrapped__ = name, function.__doc__, function  # type: ignore[attr-defined]
        return seed

    for name in ("seed", "manual_seed"):
        own = watched(name, getattr(torch, name))
        setattr(torch, name, own)
        setattr(torch.random, name, own)


def _watch_compile(torch: ModuleType, book: Any, mode: Any) -> None:
    """Once anything is compiled, the compiler has to leave the tracer alone."""
    compile_own = torch.compile

    def compile_model(*args: Any, **kwargs: Any) -> Any:
        if not book.compiles:
            book.compiles = True
            book.note(compiled=True)
            mode.__torch_dispatch__ = torch._disable_dynamo(mode.__torch_dispatch__, recursive=True)
        return compile_own(*args, **kwargs)

    compile_model.__name__, compile_model.__doc__ = "compile", compile_own.__doc__
    torch.compile = compile_model  # type: ignore[attr-defined]


def _watch_numpy(torch: ModuleType, tracer: OperationTracer) -> None:
    """From now on, digests of tensors whose memory NumPy has seen are never remembered."""
    cache = tracer.cache

    def watched(own: Any) -> Any:
        @functools.wraps(own)
        def array(self: Any, *args: Any, **kwargs: Any) -> Any:
            if type(self) in tracer._plain and self.device.type == "cpu":
                cache.share(self.untyped_storage())
            return own(self, *args, **kwargs)

        return array

    torch.Tensor.numpy = watched(torch.Tensor.numpy)
    torch.Tensor.__array__ = watched(torch.Tensor.__array__)
