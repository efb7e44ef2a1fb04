"""Seeds: one call seeds every generator that a process shares, and says what no call can do.

What is covered: `random`, NumPy's global state, torch on the CPU and on CUDA (MPS and XPU are written but untested),
and what was given to `register_generator`: generators of your own, environments and spaces of gymnasium. JAX has no
global state; its keys are values of your program. A process cannot change the order of its own hashes: PYTHONHASHSEED
is read when Python starts, so `rldk seed exec` sets it for a new process. All of this is global: in a program with
several threads that draw, no seed gives the same draws twice."""

from __future__ import annotations

import gc
import os
import secrets
import sys
import threading
import warnings
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, SupportsIndex

from msgspec import Struct, field
from msgspec.structs import replace

from rldk.errors import UsageError
from rldk.utils.generators import GENERATORS
from rldk.utils.held import held_kind
from rldk.utils.states import State, derived, digest, imported

LIMIT = 2**32  # NumPy's global generator takes no larger seed
VARIABLE = "RLDK_SEED"  # the seed that `rldk seed exec` gives to its command
WORKSPACE = ("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is deterministic with it (NVIDIA's cuBLAS documentation)


class SeedState(Struct, frozen=True, kw_only=True):
    """The states of all generators at one moment, in JSON types. `seed`: the one set last. `held`: by registered
    name."""

    seed: int | None = None
    shared: dict[str, State] = field(default_factory=dict)
    held: dict[str, State] = field(default_factory=dict)


class SeedCheck(Struct, frozen=True, kw_only=True):
    """What can be said of the seeds of this process.

    `consistent`: a seed was set and nothing shows that a generator was seeded by somebody else. `generators`: name ->
    "as seeded", "drawn from", "seeded elsewhere", "not seeded", "not loaded". A draw and a new seed look alike in
    `random` and NumPy; both are "drawn from". `unreached`: NumPy generators that exist and were not registered.
    `settings`: what else decides whether a run repeats. `problems`: what makes it inconsistent. `advice`: what may
    still differ between two processes."""

    seed: int | None
    consistent: bool
    generators: dict[str, str]
    unreached: int
    settings: dict[str, str]
    problems: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()


class _Process:
    """What rldk did to the generators of this process. `fresh`: name -> the digest of the state right after seeding.
    `registered`: name -> a weak reference where the object allows one, else the object."""

    def __init__(self) -> None:
        self.seed: int | None = None
        self.fresh: dict[str, str] = {}
        self.registered: dict[str, Any] = {}


_here = _Process()


def set_global_seed(seed: SupportsIndex | None = None, deterministic: bool = True) -> int:
    """Seeds every shared and registered generator. Returns the seed.

    `seed`: from 0 to 2**32 - 1; without one $RLDK_SEED is used, or else a random one is drawn. NumPy and torch are
    imported when they are installed, since one that is imported later would seed itself. `deterministic`: also ask
    torch for deterministic algorithms (with a warning where there is none), cuDNN for no benchmarks, and set
    CUBLAS_WORKSPACE_CONFIG, which counts when CUDA is not in use yet; False takes the first two back. Raises
    `UsageError` for a seed out of range."""
    chosen = _checked(_default() if seed is None else seed)
    _seed_all(chosen)
    _ask_for_determinism(deterministic)
    return chosen


def get_current_seed() -> int | None:
    """The seed that rldk set last in this process; inside `seed_context` that of the context. None when it set none: a
    seed cannot be read off a generator."""
    return _here.seed


@contextmanager
def seed_context(seed: SupportsIndex) -> Iterator[int]:
    """Seeds everything within the block, and puts every generator back behind it, also after an exception.

    Contexts nest. They are not meant for several threads, and warn when others run. Worker processes that live already
    are not reached. CUDA that is not in use yet has no state to keep: its first use takes the seed that was set last,
    even when that was in a block which has ended."""
    chosen = _checked(seed)
    for one in GENERATORS:
        imported(one.library)  # one that is first imported within the block could not be put back
    others = [t for t in threading.enumerate() if t is not threading.current_thread() and not t.daemon]
    if others:
        warnings.warn(f"seed_context with {len(others)} other threads: what they draw changes the draws", stacklevel=3)
    before, was, fresh = seed_state(), _here.seed, dict(_here.fresh)
    try:
        _seed_all(chosen)
        yield chosen
    finally:
        there = dict(_held())
        restore_seed_state(replace(before, held={name: held for name, held in before.held.items() if name in there}))
        _here.seed = was
        _here.fresh.clear()
        _here.fresh.update(fresh)


def seed_state() -> SeedState:
    """The states of all generators that are in use. It can be written as JSON and restored in another process."""
    shared = {one.name: state for one in GENERATORS if (state := one.state()) is not None}
    held = {name: held_kind(thing).state(thing) for name, thing in _held()}
    return SeedState(seed=_here.seed, shared=shared, held=held)


def restore_seed_state(state: SeedState) -> None:
    """Puts every generator of `state` back. Raises `UsageError` when one of them is not there."""
    there = dict(_held())
    absent = sorted(state.held.keys() - there.keys())
    if absent:
        raise UsageError(f"no generator is registered as {', '.join(absent)}", hint="call register_generator first")
    for one in GENERATORS:
        if one.name in state.shared:
            one.restore(state.shared[one.name])
    for name, held in state.held.items():
        held_kind(there[name]).restore(there[name], held)
    _here.seed = state.seed


def register_generator(name: str, generator: Any) -> Any:
    """Lets the functions of this module reach a generator of your own. Returns it.

    `generator`: a `random.Random`, a `numpy.random.Generator` or `RandomState`, a `torch.Generator`, or an environment
    or a space of gymnasium. When a seed is set it is seeded at once, with a seed derived from that one and `name`; so
    two generators never share their draws. It is not kept alive. Raises `UsageError` for another type."""
    kind = held_kind(generator)
    try:
        _here.registered[name] = weakref.ref(generator)
    except TypeError:  # the type has no room for weak references
        _here.registered[name] = generator
    if _here.seed is not None:
        _seed_held(name, generator)
    else:
        kind.state(generator)  # one that cannot be read is said now, not in the middle of a run
    return generator


def derive_seed(seed: int, rank: int, stream: str) -> int:
    """A seed below 2**32 for one stream of one rank, such as (42, 3, "rollout").

    Adding the rank to the seed instead would give rank 1 of run 42 the draws of rank 0 of run 43. It is the first four
    bytes of a SHA-256, the same in every version and process."""
    return derived(seed, rank, stream)


def seed_worker(worker_id: int) -> None:
    """The `worker_init_fn` of a torch DataLoader: seeds Python and NumPy in the worker from the seed that torch gave
    it."""
    torch = imported("torch")
    if torch is None:
        raise UsageError("a worker of a DataLoader needs torch", hint='pip install "rldk[torch]"')
    base = torch.initial_seed() % LIMIT
    for one in GENERATORS:
        if one.name != "torch":
            one.seed(derived(base, one.name, worker_id))


def validate_seed_consistency() -> SeedCheck:
    """Looks at the generators and the settings of this process. Nothing is changed and nothing is imported."""
    state = seed_state()
    found = {one.name: _standing(one.name, state.shared.get(one.name)) for one in GENERATORS}
    found |= {name: _standing(f"held {name}", held) for name, held in state.held.items()}
    problems = [] if _here.seed is not None else ["rldk has set no seed in this process"]
    torch = sys.modules.get("torch")
    if _here.seed is not None:
        if found["torch"] == "drawn from" and torch is not None and torch.initial_seed() != _here.seed:
            found["torch"] = "seeded elsewhere"
        said = {"seeded elsewhere": "was seeded by somebody else after rldk", "not seeded": "was never seeded"}
        problems += [f"{name} {said[how]}" for name, how in found.items() if how in said]
    unreached = _unreached()
    return SeedCheck(
        seed=_here.seed,
        consistent=not problems,
        generators=found,
        unreached=unreached,
        settings=_settings(torch),
        problems=tuple(problems),
        advice=tuple(_advice(torch, unreached)),
    )


def exports(seed: int, deterministic: bool = True) -> dict[str, str]:
    """The environment variables that a new process needs so that its hashes, and cuBLAS, repeat."""
    found = {VARIABLE: str(_checked(seed)), "PYTHONHASHSEED": str(seed)}
    return found | ({WORKSPACE[0]: WORKSPACE[1]} if deterministic else {})


def _seed_all(seed: int) -> None:
    _here.fresh.clear()
    for one in GENERATORS:
        one.seed(seed)
        state = one.state()
        if state is not None:
            _here.fresh[one.name] = digest(state)
    _here.seed = seed
    for name, thing in _held():
        _seed_held(name, thing)


def _seed_held(name: str, thing: Any) -> None:
    kind = held_kind(thing)
    kind.seed(thing, derived(_here.seed or 0, "generator", name))
    _here.fresh[f"held {name}"] = digest(kind.state(thing))


def _held() -> list[tuple[str, Any]]:
    """The registered generators that are still there."""
    found = []
    for name, kept in list(_here.registered.items()):
        thing = kept() if isinstance(kept, weakref.ref) else kept
        if thing is None:
            del _here.registered[name]
        else:
            found.append((name, thing))
    return found


def _standing(name: str, state: State | None) -> str:
    if state is None:
        return "not loaded"
    if name not in _here.fresh:
        return "not seeded"
    return "as seeded" if digest(state) == _here.fresh[name] else "drawn from"


def _default() -> int:
    text = os.environ.get(VARIABLE, "")
    if not text:
        return secrets.randbelow(LIMIT)
    try:
        return int(text)
    except ValueError:
        raise UsageError(f"{VARIABLE}={text!r} is no whole number") from None


def _checked(seed: SupportsIndex) -> int:
    if isinstance(seed, bool) or not hasattr(seed, "__index__") or not 0 <= int(seed) < LIMIT:
        raise UsageError(f"{seed!r} is no seed", hint=f"a seed is a whole number from 0 to {LIMIT - 1}")
    return int(seed)


def _ask_for_determinism(on: bool) -> None:
    torch = sys.modules.get("torch")
    if on:
        os.environ.setdefault(*WORKSPACE)
    if torch is not None:
        torch.use_deterministic_algorithms(on, warn_only=True)
        torch.backends.cudnn.deterministic = on
        torch.backends.cudnn.benchmark = torch.backends.cudnn.benchmark and not on


def _unreached() -> int:
    """How many generators of NumPy exist that nobody registered."""
    kind = getattr(sys.modules.get("numpy.random"), "Generator", None)
    if kind is None:
        return 0
    known = {id(thing) for _, thing in _held()}
    # the type, since asking an object for its class may run code of its own
    return sum(1 for thing in gc.get_objects() if issubclass(type(thing), kind) and id(thing) not in known)


def _settings(torch: Any) -> dict[str, str]:
    found = {name: os.environ.get(name, "not set") for name in ("PYTHONHASHSEED", WORKSPACE[0])}
    if torch is not None:
        found["torch deterministic algorithms"] = "on" if torch.are_deterministic_algorithms_enabled() else "off"
        found["cuDNN benchmark"] = "on" if torch.backends.cudnn.benchmark else "off"
    return found


def _advice(torch: Any, unreached: int) -> Iterator[str]:
    if sys.flags.hash_randomization and os.environ.get("PYTHONHASHSEED", "random") == "random":
        yield "the order of sets of strings differs between processes: start with `rldk seed exec`"
    if unreached:
        yield f"{unreached} NumPy generators were never registered: seed them, or pass them to register_generator"
    if torch is not None and torch.cuda.is_available() and not os.environ.get(WORKSPACE[0]):
        yield f"cuBLAS may differ between runs: set {WORKSPACE[0]}={WORKSPACE[1]} before Python starts"
