"""Records what is drawn from the generators of `random` and NumPy, and where they are made and seeded."""

from __future__ import annotations

import functools
import random
from types import ModuleType
from typing import Any

from rldk_trace_records import DRAW  # type: ignore[import-not-found]

_RANDOM = (
    "random uniform randint randrange choice choices sample shuffle gauss normalvariate expovariate betavariate "
    "triangular lognormvariate gammavariate getrandbits randbytes"
).split()
_LEGACY = (
    "rand randn randint random random_sample choice shuffle permutation uniform normal standard_normal beta binomial "
    "exponential gamma multinomial poisson dirichlet bytes"
).split()
_GENERATOR = (
    "random integers normal standard_normal uniform choice permutation shuffle permuted exponential beta gamma "
    "binomial multinomial poisson dirichlet bytes"
).split()


def drawing(book: Any, name: str, function: Any, bound: int) -> Any:
    """The function, recorded. `bound`: how many first arguments are the generator itself."""

    @functools.wraps(function)
    def draw(*args: Any, **kwargs: Any) -> Any:
        if not book.enter():
            return function(*args, **kwargs)
        try:
            given = book.value([*args[bound:], kwargs])
            made = function(*args, **kwargs)
            book.drawn(DRAW, name, given, book.value(args[bound] if made is None and args[bound:] else made))
            return made
        finally:
            book.leave()

    return draw


def attach_random(book: Any) -> None:
    """Begins to record draws from `random`."""
    cls, own = random.Random, random._inst
    for name in _RANDOM:
        if hasattr(cls, name):
            setattr(cls, name, drawing(book, f"random.{name}", getattr(cls, name), 1))
            setattr(random, name, getattr(own, name))
    seed_own = cls.seed

    def seed(self: Any, a: Any = None, version: int = 2) -> None:
        seed_own(self, a, version)
        which = "random.seed" if self is own else "random.Random"
        book.seeded(which, book.value(self.getstate()), given=a is not None)

    functools.update_wrapper(seed, seed_own)
    cls.seed = seed  # type: ignore[method-assign]
    random.seed = own.seed


def attach_numpy(numpy_random: ModuleType, book: Any) -> None:
    """Begins to record draws from NumPy's global generator, and from those that `default_rng` makes."""
    for name in _LEGACY:
        setattr(numpy_random, name, drawing(book, f"numpy.random.{name}", getattr(numpy_random, name), 0))
    seed_own, make_own = numpy_random.seed, numpy_random.default_rng

    @functools.wraps(seed_own)
    def seed(seed: Any = None) -> None:
        seed_own(seed)
        book.seeded("numpy.random.seed", book.value(numpy_random.get_state(legacy=False)), given=seed is not None)

    traced = type("Generator", (numpy_random.Generator,), {"__doc__": numpy_random.Generator.__doc__})
    for name in _GENERATOR:
        setattr(traced, name, drawing(book, f"Generator.{name}", getattr(numpy_random.Generator, name), 1))

    @functools.wraps(make_own)
    def default_rng(seed: Any = None) -> Any:
        made = make_own(seed)
        if type(made) is not numpy_random.Generator:
            return made
        book.seeded("numpy.random.default_rng", book.value(made.bit_generator.state), given=seed is not None)
        return made if made is seed else traced(made.bit_generator)

    numpy_random.seed, numpy_random.default_rng = seed, default_rng  # type: ignore[attr-defined]
