"""Evaluations by name: the ones that rldk brings and the ones that plug-ins add."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct, field

from rldk.core.registry import Registry, modules_of
from rldk.evals.facts import Measurement
from rldk.evals.table import EvalTable


class EvalOptions(Struct, frozen=True, kw_only=True):
    """What an evaluation may use besides the data. `limits`: evaluation -> limit, instead of its own. `train`: the
    training data to search for the evaluation's texts. `canaries`: texts that must never appear. `tell`: is called with
    a few words for whoever waits, by an evaluation that takes long."""

    seed: int = 42
    limits: Mapping[str, float] = field(default_factory=dict)
    train: Any = None
    canaries: tuple[str, ...] = ()
    tell: Callable[[str], None] | None = None


Measured = Measurement | tuple[Measurement, ...]
Body = Callable[[EvalTable, EvalOptions], Measured]


class Evaluation(Struct, frozen=True, kw_only=True):
    """One evaluation. `needs`: fields that must be there, each with alternatives after a "|". `also`: what else
    it takes, as the name of an option. `limit`: the default of its pass rule; None where it has none. `suites`: the
    suites that a plug-in joins."""

    name: str
    title: str
    body: Body
    needs: tuple[str, ...] = ()
    also: str = ""
    suites: tuple[str, ...] = ()
    limit: float | None = None

    def limit_of(self, options: EvalOptions) -> float:
        """The limit that holds: the user's, else its own."""
        return options.limits.get(self.name, self.limit if self.limit is not None else 0.0)


evaluations: Registry[Evaluation] = Registry("evaluation", group="rldk.evals", builtins=modules_of("rldk.evals.checks"))


def evaluation(
    name: str,
    *,
    title: str,
    needs: tuple[str, ...] = (),
    also: str = "",
    suites: tuple[str, ...] = (),
    limit: float | None = None,
) -> Callable[[Body], Body]:
    """A decorator that registers a function as the evaluation of that name.

    The function takes the table and the options, and returns one measurement or a tuple of them. It is called only
    where every field in `needs` is there; otherwise the evaluation is not available, and says what it needs. A plug-in
    names its module as an entry point of the group `rldk.evals`; `suites` puts its evaluation into rldk's suites."""

    def register(body: Body) -> Body:
        evaluations.register(
            name, Evaluation(name=name, title=title, body=body, needs=needs, also=also, suites=suites, limit=limit)
        )
        return body

    return register


def limit_of(name: str, options: EvalOptions) -> float:
    """The limit of an evaluation under these options."""
    return evaluations.get(name).limit_of(options)
