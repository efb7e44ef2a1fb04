"""How many examples a property is tried on, which cases of a costly test are in the fast set, tables of tiny cases."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import wraps
from pathlib import Path
from reprlib import Repr
from typing import Any

import pytest
from hypothesis import settings


def at_most(count: int) -> int:
    """The number of examples of the profile, at most `count`."""
    return min(count, settings().max_examples)


def few(count: int) -> int:
    """The number of examples of a property whose every example costs a tenth of a second or more: two in the fast set,
    as `at_most` says in the slow one."""
    return 2 if settings().max_examples < 10 else at_most(count)


def every(n: int, cases: Collection[Any]) -> list[Any]:
    """All of the cases of a costly test: each `n`-th, from the first on, is in the fast set, the others are slow."""
    slow = [pytest.param(*(case if type(case) is tuple else (case,)), marks=pytest.mark.slow) for case in cases]
    return [case if i % n == 0 else slow[i] for i, case in enumerate(cases)]


def each_of(
    names: str | Sequence[str], cases: Iterable[Any], ids: Iterable[object] | Callable[[Any], object] | None = None
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """One test of all cases, which have nothing of their own but their values and a folder for `tmp_path`: a failure
    names its case, and the cases after it are tried, too. A test for each, as `pytest.mark.parametrize` makes them,
    costs 4 ms more."""
    words = [word.strip() for word in names.split(",")] if isinstance(names, str) else list(names)
    held = [dict(zip(words, case if len(words) > 1 else (case,), strict=True)) for case in cases]
    if not held:
        raise ValueError(f"there is no case of {names}")
    spelled = ids if callable(ids) else Repr().repr
    labels = (
        ["-".join(str(spelled(x)) for x in case.values()) for case in held]
        if callable(ids) or ids is None
        else list(ids)
    )

    def over(test: Callable[..., None]) -> Callable[..., None]:
        @wraps(test)
        def all_of_them(**others: Any) -> None:
            failed: list[Exception] = []
            for number, (label, case) in enumerate(zip(labels, held, strict=True)):
                own = {name: _own_folder(x, number) if name == "tmp_path" else x for name, x in others.items()}
                try:
                    test(**case, **own)
                except Exception as error:  # noqa: BLE001 - whatever it is, it is told with its case
                    error.add_note(f"in the case {label}")
                    failed.append(error)
            if len(failed) > 1:
                raise ExceptionGroup(f"{len(failed)} of {len(held)} cases fail", failed)
            if failed:
                raise failed[0]

        signature = inspect.signature(test)
        rest = [one for name, one in signature.parameters.items() if name not in words]
        all_of_them.__signature__ = signature.replace(parameters=rest)  # type: ignore[attr-defined]
        return all_of_them

    return over


def _own_folder(folder: Path, number: int) -> Path:
    (folder / f"case{number}").mkdir()
    return folder / f"case{number}"
