"""Records transformations: by a call, by a `with` block, or at every call of a function."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

from rldk.core.manifest import DatasetRecord, ModelRecord, TokenizerRecord, timestamp
from rldk.errors import UsageError
from rldk.provenance.fingerprints.dataset import DatasetFingerprint, fingerprint
from rldk.provenance.fingerprints.model import ModelFingerprint, model_fingerprint
from rldk.tracking import session
from rldk.tracking.config import plain_config
from rldk.tracking.lineage.chain import LineageCode, LineageItem, LineageRecord, append
from rldk.tracking.lineage.source import code_of

P = ParamSpec("P")
T = TypeVar("T")
Things = Any  # a thing, a list of things, or things by name
RESULT = "return"  # stands for what a function returns, which is no name of a parameter


def record(
    op: str,
    inputs: Things = None,
    outputs: Things = None,
    params: Mapping[str, Any] | None = None,
    code: Callable[..., Any] | LineageCode | None = None,
    *,
    into: str | os.PathLike[str] | None = None,
) -> LineageRecord:
    """Records one transformation and returns the record. The same transformation is recorded once.

    `inputs`, `outputs`: a path, several, or things by name: paths, data that `rldk dataset` could read, weights by
    name, a module of torch, or the fingerprint of one of these. `params`: what else decides the result; secrets are
    taken out. `code`: the function that does it, whose source is hashed. `into`: a folder; by default the run that
    `rldk.init` opened. Raises `UsageError` when there is none."""
    folder = _folder(into)
    made = LineageRecord(
        op=op,
        inputs=_items(inputs),
        outputs=_items(outputs),
        params=plain_config(params),
        code=code if code is None or isinstance(code, LineageCode) else code_of(code),
        at=timestamp(),
    )
    return append(folder, made)


class transformation:  # noqa: N801 - it is used like a function
    """Records what happens in a `with` block, when it ends without an error. Inputs are read when the block begins,
    because it may overwrite them; `output` names what came out.

    with lineage.transformation("filter", inputs="raw.jsonl", params={"min_length": 3}) as step:
        ...
        step.output("train.jsonl")
    """

    def __init__(
        self,
        op: str,
        inputs: Things = None,
        params: Mapping[str, Any] | None = None,
        *,
        into: str | os.PathLike[str] | None = None,
    ) -> None:
        self.op = op
        self.params = dict(params or {})
        self.record: LineageRecord | None = None
        self._given = inputs
        self._outputs: dict[str, Any] = {}
        self._folder = _folder(into)
        self._inputs: tuple[LineageItem, ...] = ()

    def output(self, thing: Any, name: str | None = None) -> None:
        """Names something that came out. A path is read when the block ends."""
        self._outputs[name or _name(thing, len(self._outputs), "output")] = thing

    def __enter__(self) -> transformation:
        self._inputs = _items(self._given)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            made = LineageRecord(
                op=self.op,
                inputs=self._inputs,
                outputs=_items(self._outputs),
                params=plain_config(self.params),
                at=timestamp(),
            )
            self.record = append(self._folder, made)


def record_calls(
    op: str | None = None,
    *,
    inputs: Iterable[str] = (),
    outputs: Iterable[str] = (),
    into: str | os.PathLike[str] | None = None,
) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Decorates a function: each call is recorded with the digest of the function's source.

    `inputs`, `outputs`: the parameters that are data or paths; the other ones are recorded as they are. "return" among
    the outputs is what the function returns, which is also the output when none is named. `op`: by default the name of
    the function. Raises `UsageError` when the function has no such parameter."""
    read, written = tuple(inputs), tuple(outputs) or (RESULT,)

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        signature = inspect.signature(function)
        unknown = [name for name in (*read, *written) if name not in signature.parameters and name != RESULT]
        if unknown:
            raise UsageError(
                f"{function.__qualname__} has no parameter {unknown[0]!r}",
                hint=f"it has {', '.join(signature.parameters) or 'none'}",
            )
        code = code_of(function)

        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            folder = _folder(into)
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            given = dict(bound.arguments)
            before = _items({name: given[name] for name in read})
            result = function(*args, **kwargs)
            after = {name: given[name] for name in written if name != RESULT}
            if RESULT in written and result is not None:
                after[RESULT] = result
            made = LineageRecord(
                op=op or function.__name__,
                inputs=before,
                outputs=_items(after),
                params=plain_config({k: v for k, v in given.items() if k not in (*read, *written)}),
                code=code,
                at=timestamp(),
            )
            append(folder, made)
            return result

        return call

    return decorate


def _folder(into: str | os.PathLike[str] | None) -> Path:
    if into is not None:
        return Path(into)
    folder = session.current_folder()
    if folder is None:
        raise UsageError("no run is open that could keep the lineage", hint="call rldk.init() first, or give into=DIR")
    return folder


def _items(things: Things) -> tuple[LineageItem, ...]:
    if things is None:
        return ()
    rows = isinstance(things, list | tuple) and bool(things) and all(isinstance(row, Mapping) for row in things)
    if rows or not isinstance(things, list | tuple | set | frozenset | Mapping):  # one thing, if it is data of rows
        things = [things]
    named: Mapping[str, Any] = things if isinstance(things, Mapping) else _by_name(things)
    return tuple(item_of(str(name), thing) for name, thing in named.items())


def _by_name(things: Iterable[Any]) -> dict[str, Any]:
    named: dict[str, Any] = {}
    for number, thing in enumerate(things):
        name = _name(thing, number, "data")
        named[name if name not in named else f"{name}-{number}"] = thing
    return named


def item_of(name: str, thing: Any) -> LineageItem:
    """The thing as a record names it. Raises `MalformedInput` for data without content that can be compared."""
    match thing:
        case LineageItem():
            return thing
        case DatasetRecord():
            return LineageItem(
                name=name, digest=thing.fingerprint, kind=thing.format, path=thing.source, rows=thing.rows
            )
        case ModelRecord():
            return LineageItem(name=name, digest=_named(thing.weights, "sha256"), kind="model", path=thing.source)
        case TokenizerRecord():
            return LineageItem(name=name, digest=thing.digest, kind="tokenizer", path=thing.source)
        case ModelFingerprint():
            return LineageItem(name=name, digest=_named(thing.weights, thing.algorithm), kind="model")
        case Mapping():
            return item_of(name, model_fingerprint(thing))
        case DatasetFingerprint():
            found, path = thing, None
        case str() | os.PathLike():
            found, path = fingerprint(thing), os.fspath(thing)
        case _ if hasattr(thing, "state_dict"):
            return item_of(name, model_fingerprint(thing))
        case _:
            found, path = fingerprint(thing), None
    return LineageItem(
        name=name, digest=_named(found.digest, found.algorithm), kind=found.kind, path=path, rows=found.rows
    )


def _named(digest: str, algorithm: str) -> str:
    return digest if ":" in digest else f"{algorithm}:{digest}"


def _name(thing: Any, number: int, word: str) -> str:
    return Path(thing).name if isinstance(thing, str | os.PathLike) else f"{word}-{number}"
