"""The kinds of cards. A new kind is one file and one decorator; a kind of somebody else comes by an entry point."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module
from typing import Any, TypeVar

from rldk.cards.trust.card import Card
from rldk.core.registry import Registry

HOMES = ("determinism.cards", "diff.cards", "diagnosis.reward_card", "forensics.kl_drift_card")
MakeCard = Callable[..., Card]
F = TypeVar("F", bound=MakeCard)


def _load() -> None:
    for name in HOMES:
        import_module(f"rldk.{name}")


card_kinds: Registry[MakeCard] = Registry("card", group="rldk.cards", builtins=_load)


def card(name: str) -> Callable[[F], F]:
    """Registers the function that makes cards of this kind from runs or reports."""

    def register(make: F) -> F:
        card_kinds.register(name, make)
        return make

    return register


def generate(name: str, *sources: Any, output_dir: str | os.PathLike[str] | None = None, **options: Any) -> Card:
    """The card of that kind. With `output_dir` its files are written, too. Raises `UnknownName`, `OutputError` and what
    the kind raises."""
    made = card_kinds.get(name)(*sources, **options)
    if output_dir is not None:
        from rldk.cards.trust.files import write_card

        write_card(made, output_dir)
    return made
