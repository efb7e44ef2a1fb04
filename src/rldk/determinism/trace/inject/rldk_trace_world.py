"""Records what comes into a training from outside: steps of environments, and batches of data loaders."""

from __future__ import annotations

import functools
from types import ModuleType
from typing import Any

from rldk_trace_chance import drawing  # type: ignore[import-not-found]
from rldk_trace_digest import of_tensor  # type: ignore[import-not-found]
from rldk_trace_records import BATCH, ENV  # type: ignore[import-not-found]


def attach_environments(core: ModuleType, book: Any) -> None:
    """Records `step` and `reset` of every environment class that is made from now on; of wrapped ones the outermost."""
    _watch_subclasses(core.Env, ("step", "reset"), functools.partial(_stepping, book))


def attach_spaces(space: ModuleType, book: Any) -> None:
    """Records what is sampled from spaces of actions and observations."""
    _watch_subclasses(space.Space, ("sample",), lambda name, own: drawing(book, f"Space.{name}", own, 1))


def attach_loaders(loader: ModuleType, book: Any) -> None:
    """Records the batches that data loaders hand out."""
    base = loader._BaseDataLoaderIter
    own = base.__next__

    @functools.wraps(own)
    def next_batch(self: Any) -> Any:
        batch = own(self)
        if book.enter():
            try:
                workers = getattr(self, "_num_workers", 0)
                digest = book.value(batch, lambda t: of_tensor(t) if t.device.type == "cpu" else 0)
                book.met(BATCH, f"batch of a DataLoader with {workers} workers", 0, digest)
            finally:
                book.leave()
        return batch

    base.__next__ = next_batch


def _stepping(book: Any, name: str, own: Any) -> Any:
    @functools.wraps(own)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not book.begin_env():
            return own(self, *args, **kwargs)
        try:
            given = book.value([*args, kwargs])
            made = own(self, *args, **kwargs)
            what = f"{name} of {type(getattr(self, 'unwrapped', self)).__name__}"
            # the last part is what an environment says beside its answer, such as how long an episode took
            book.met(ENV, what, given, book.value(made[:-1] if isinstance(made, tuple) else made))
            return made
        finally:
            book.end_env()

    return method


def _watch_subclasses(cls: Any, names: tuple[str, ...], watched: Any) -> None:
    own = cls.__init_subclass__

    def init_subclass(sub: Any, /, **kwargs: Any) -> None:
        getattr(own, "__func__", lambda _, **__: None)(sub, **kwargs)
        for name in names:
            if name in sub.__dict__:
                setattr(sub, name, watched(name, sub.__dict__[name]))

    cls.__init_subclass__ = classmethod(init_subclass)
