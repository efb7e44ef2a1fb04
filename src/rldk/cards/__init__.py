"""Renderers, and the trust cards that they draw."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rldk.cards.trust.card import Card

__all__ = [
    "generate_determinism_card",
    "generate_drift_card",
    "generate_kl_drift_card",
    "generate_reward_card",
    "write_card",
]
Folder = str | os.PathLike[str]


def generate_determinism_card(
    run: Any,
    output_dir: Folder | None = None,
    *,
    tolerance: float = 0.0,
    field_map: Mapping[str, str] | None = None,
) -> Card:
    """The card that says whether a program repeats.

    `run`: a `DeterminismReport`, the folder in which `check_determinism` kept one, several runs of one command and
    seed (a list, or a folder of them), or one run, for which the card shows what was recorded. With `output_dir`,
    determinism_card.json, .html, .md and .png are written there.

    `tolerance`: share of a value by which replicas may differ. Raises the errors of the adapters, and `OutputError`."""
    from rldk.cards.trust.kinds import generate

    return generate("determinism", run, output_dir=output_dir, tolerance=tolerance, field_map=field_map)


def generate_drift_card(
    run_a: Any,
    run_b: Any = None,
    output_dir: Folder | None = None,
    *,
    signals: Sequence[str] | str | None = None,
    baseline_runs: Any = None,
    field_map: Mapping[str, str] | None = None,
) -> Card:
    """The card that says whether run B left run A. With `output_dir`, drift_card.json, .html, .md and .png are written.

    `run_a`, `run_b`: DataFrames, runs, or anything that `ingest_runs` reads; or a `DivergenceReport` alone. The other
    options are those of `first_divergence`, whose errors it raises, and `OutputError`."""
    from rldk.cards.trust.kinds import generate

    asked = {"signals": signals, "baseline_runs": baseline_runs, "field_map": field_map}
    return generate("drift", run_a, run_b, output_dir=output_dir, **asked)


def generate_reward_card(
    run: Any,
    output_dir: Folder | None = None,
    *,
    health: Any = None,
    field_map: Mapping[str, str] | None = None,
) -> Card:
    """The card that says whether the reward of a run is learnt, kept and honest. With `output_dir`, reward_card.json,
    .html, .md and .png are written.

    `run`: a path, a DataFrame, or anything else that `ingest_runs` reads. `health`: a report with `card_checks()`,
    as that of `rldk.reward.health`, which answers what a log cannot. Raises the errors of the adapters, and
    `OutputError`."""
    from rldk.cards.trust.kinds import generate

    return generate("reward", run, output_dir=output_dir, health=health, field_map=field_map)


def generate_kl_drift_card(
    run: Any, output_dir: Folder | None = None, *, field_map: Mapping[str, str] | None = None
) -> Card:
    """The card that says whether the KL of a run left its course. With `output_dir`, kl_drift_card.json, .html, .md and
    .png are written. `run`: as for a reward card. Raises the errors of the adapters, and `OutputError`."""
    from rldk.cards.trust.kinds import generate

    return generate("kl-drift", run, output_dir=output_dir, field_map=field_map)


def write_card(card: Card, output_dir: Folder) -> tuple[os.PathLike[str], ...]:
    """Writes the files of a card and returns their paths; the picture only where matplotlib is installed. The same card
    gives the same bytes. Raises `OutputError`."""
    from rldk.cards.trust.files import write_card as write

    return write(card, output_dir)
