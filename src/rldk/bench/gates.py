"""Bounds that a measurement must keep, so that a build fails when the detectors get worse."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction

from msgspec import Struct

from rldk.bench.score import Rate, Summary
from rldk.errors import UnknownName, UsageError


def _share(rate: Rate) -> Fraction | None:
    return Fraction(rate.hits, rate.n) if rate.n else None


FIGURES: dict[str, Callable[[Summary], Fraction | None]] = {
    "named": lambda s: _share(s.named),
    "detected": lambda s: _share(s.detected),
    "early": lambda s: _share(s.early),
    "clean": lambda s: _share(s.clean),
    "critical": lambda s: _share(s.critical),
    "delay": lambda s: None if s.delay.median is None else Fraction(s.delay.median),
    "auc": lambda s: None if s.health.auc is None else Fraction(s.health.auc),
    "errors": lambda s: Fraction(s.errors),
}


class Gate(Struct, frozen=True, kw_only=True):
    """A bound on a figure: at least `bound` when `least` is set, else at most."""

    figure: str
    bound: Fraction
    least: bool

    def holds(self, summary: Summary) -> bool:
        """Whether the bound holds. It does not hold for a figure that was not measured."""
        value = FIGURES[self.figure](summary)
        return value is not None and (value >= self.bound if self.least else value <= self.bound)


def read_gates(text: str, *, least: bool) -> list[Gate]:
    """The gates of "named=0.95,clean=1/32". Raises `UnknownName`, `UsageError`."""
    return [_gate(part.strip(), least=least) for part in text.split(",") if part.strip()]


def _gate(part: str, *, least: bool) -> Gate:
    name, _, bound = part.partition("=")
    if name.strip() not in FIGURES:
        raise UnknownName("figure", name.strip(), FIGURES)
    try:
        return Gate(figure=name.strip(), bound=Fraction(bound.strip()), least=least)
    except (ValueError, ZeroDivisionError):
        raise UsageError(f"{part!r} gives no number", hint="such as named=0.95 or clean=1/32") from None


def failed_gates(gates: Iterable[Gate], summary: Summary) -> list[str]:
    """A sentence for each bound that does not hold."""
    return [_sentence(gate, summary) for gate in gates if not gate.holds(summary)]


def _sentence(gate: Gate, summary: Summary) -> str:
    value = FIGURES[gate.figure](summary)
    measured = "not measured: no such run" if value is None else f"{float(value):.4g}"
    return f"{gate.figure} is {measured}; it must be at {'least' if gate.least else 'most'} {float(gate.bound):.4g}"
