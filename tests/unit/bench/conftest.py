"""Results as a measurement makes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rldk.bench.cases import Label
from rldk.bench.judge import Result, Said

Make = Callable[..., Result]


def said(code: str, step: int, severity: Any = "warn") -> Said:
    return Said(code=code, family=code.rstrip("0123456789"), severity=severity, first_step=step, message="it moved")


@pytest.fixture
def make() -> Make:
    """A result from the words of a label and (code, step[, severity]) triples."""

    def made(run: str, fault: str = "none", *findings: tuple[Any, ...], **label: Any) -> Result:
        families = label.pop("families", ("OPT",) if fault != "none" else ())
        told = Label(fault=fault, onset=label.pop("onset", 0 if fault == "none" else 70), families=families, **label)
        codes = tuple(sorted({f[0] for f in findings} | {"REW001"}))
        return Result(run=run, label=told, rows=100, checked=codes, said=tuple(said(*f) for f in findings))

    return made
