"""From what a user names as a model to its scores of items."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rldk.core.text import later
from rldk.errors import RldkError, UnreadableSource, UsageError
from rldk.reward.scorers.items import ScoredItems
from rldk.reward.scorers.options import Advance, ModelScores, ScorerOptions

Array = NDArray[np.float64]
_FUNCTION = later(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


def scores_of(model: Any, items: ScoredItems, options: ScorerOptions, advance: Advance) -> ModelScores:
    """The model's scores of the items.

    `model`: a function; "package.module:function"; a directory of a sequence classifier; a file of scores; an http(s)
    address; or an array of one score an item. `advance` is called with the number of items that are done. Raises
    `UsageError` for a function that raises or gives another number of scores, `UnreadableSource` for a server that
    does not answer, and the errors of reading."""
    if callable(model):
        return _of_function(model, getattr(model, "__name__", "function"), items, options, advance)
    if isinstance(model, str | os.PathLike):
        return _of_name(os.fspath(model), items, options, advance)
    if hasattr(model, "tolist") or isinstance(model, list | tuple):
        values = np.asarray(model, dtype=np.float64)
        if values.shape != (len(items),):
            raise UsageError(f"{values.size:,} scores for {len(items):,} items", hint="give one for each")
        advance(len(items))
        return ModelScores(name="scores", scores=values)
    raise UsageError(f"{type(model).__name__} is no model", hint='give a function, "pkg.mod:fn", a directory, a file')


def _of_name(name: str, items: ScoredItems, options: ScorerOptions, advance: Advance) -> ModelScores:
    if name.startswith(("http://", "https://")):
        from rldk.reward.scorers.http import ask_server

        return ask_server(name, items, options, advance)
    path = Path(name)
    if path.is_dir():
        from rldk.reward.scorers.classifier import classify

        return classify(path, items, options, advance)
    if path.is_file():
        from rldk.reward.scorers.files import scores_in

        made = scores_in(path, items)
        advance(len(items))
        return made
    if _FUNCTION.fullmatch(name):
        return _of_function(imported(name), name, items, options, advance)
    hint = 'give "package.module:function", a directory with a model, a file of scores, or an http address'
    raise UnreadableSource(f"there is no model {name}", hint=hint)


def imported(name: str) -> Callable[..., Any]:
    """The function of "package.module:function", from the working directory or from what is installed.

    Raises `UsageError`."""
    module, _, function = name.partition(":")
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        found = getattr(import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"cannot import {name}: {error}", hint="is the module on the path?") from None
    finally:
        if here in sys.path:
            sys.path.remove(here)
    if not callable(found):
        raise UsageError(f"{name} is no function", hint="name a function that takes texts and returns scores")
    made: Callable[..., Any] = found
    return made


def _of_function(
    function: Callable[..., Any], name: str, items: ScoredItems, options: ScorerOptions, advance: Advance
) -> ModelScores:
    call = _calling(function)
    scores = np.full(len(items), np.nan)
    size = max(1, options.batch)
    for begin in range(0, len(items), size):
        part = slice(begin, begin + size)
        prompts = items.prompts[part]
        responses = None if items.responses is None else items.responses[part]
        try:
            told = call(prompts, responses)
        except RldkError:
            raise
        except Exception as error:
            raise UsageError(f"{name} raised {type(error).__name__}: {error}", hint="call it by hand first") from error
        scores[part] = _numbers(told, len(prompts), name)
        advance(len(prompts))
    return ModelScores(name=name, scores=scores)


def _calling(function: Callable[..., Any]) -> Callable[[list[str], list[str] | None], Any]:
    """How the function wants its texts: by the names `prompts` and `completions` (as TRL calls reward functions), as
    two lists, or as one list (answers where there are any, else prompts)."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    names = [p.name for p in parameters]
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    needed = [p for p in positional if p.default is p.empty]
    if "completions" in names:
        with_prompts = "prompts" in names or any(p.kind is p.VAR_KEYWORD for p in parameters)
        return lambda p, r: function(**({"prompts": p} if with_prompts else {}), completions=r if r is not None else p)
    if len(needed) >= 2:
        return lambda p, r: function(p, r if r is not None else [""] * len(p))
    return lambda p, r: function(r if r is not None else p)


def _numbers(told: Any, count: int, name: str) -> Array:
    values = told.tolist() if hasattr(told, "tolist") else told
    if not isinstance(values, Sequence) or len(values) != count:
        size = len(values) if isinstance(values, Sequence) else "no list of"
        raise UsageError(f"{name} gave {size} scores for {count} texts", hint="return one number for each text")
    return np.array([_one(value, name) for value in values], dtype=np.float64)


def _one(value: Any, name: str) -> float:
    if value is None:
        return float("nan")
    if isinstance(value, Sequence) and not isinstance(value, str) and len(value) == 1:
        value = value[0]
    try:
        return float(value)
    except (TypeError, ValueError):
        raise UsageError(f"{name} gave {value!r} for a score", hint="return one number for each text") from None
