"""Begins to record what torch does: operations, seeds, and what is compiled."""

from __future__ import annotations

import functools
from types import ModuleType
from typing import Any

from rldk_trace_digest import of_bytes  # type: ignore[import-not-found]
from rldk_trace_operations import OperationTracer  # type: ignore[import-not-found]


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
            if type(self) in tracer.plain and self.device.type == "cpu":
                cache.share(self.untyped_storage())
            return own(self, *args, **kwargs)

        return array

    torch.Tensor.numpy = watched(torch.Tensor.numpy)
    torch.Tensor.__array__ = watched(torch.Tensor.__array__)
