"""Recognises the format of a growing log, among adapters (and plugins) that say how to follow them."""

from __future__ import annotations

from functools import cache

from rldk.adapters.base import BaseAdapter, adapters, adapters_for
from rldk.adapters.live.lineformat import LineFormat
from rldk.adapters.live.pattern import PatternRows
from rldk.adapters.naming.keys import says_metric
from rldk.adapters.source import File

# What a user calls the console formats.
PATTERNS = {
    "trl": "trl-stdout",
    "openrlhf": "openrlhf-console",
    "verl": "verl-console",
    "sb3": "sb3-stdout",
    "cleanrl": "cleanrl-stdout",
    "rllib": "rllib-stdout",
    "prime-rl": "prime-rl-console",
    "slime": "dict-console",
    "skyrl": "dict-console",
    "nemo-rl": "nemo-rl-console",
    "areal": "box-console",
    "mlx": "mlx-console",
    "mlagents": "mlagents-console",
    "rsl-rl": "rsl-rl-console",
    "keras-rl": "keras-rl-console",
    "tianshou": "tianshou-console",
    "sample-factory": "sample-factory-console",
    "dopamine": "dopamine-console",
    "baselines": "box-console",
    "spinup": "box-console",
    "rl-games": "rl-games-console",
    "keras": "keras-console",
    "open-instruct": "open-instruct-console",
    "pufferlib": "pufferlib-console",
    "lines": "line-console",
}


class Followed(LineFormat, frozen=True, kw_only=True):
    """A format that rldk can follow, with its name."""

    name: str


@cache
def live_formats() -> dict[str, Followed]:
    """Every format that can be read while it grows, by name."""
    from rldk.adapters.formats.flexible import FlexibleAdapter

    return {kind.name: form for kind in (*adapters, FlexibleAdapter) if (form := _named(kind)) is not None}


@cache
def _named(kind: type[BaseAdapter]) -> Followed | None:
    lines = kind.lines
    if lines is None:
        return None
    return Followed(name=kind.name, **{field: getattr(lines, field) for field in LineFormat.__struct_fields__})


def recognise(head: bytes, *, mapped: bool = False) -> Followed | None:
    """The format of a log with this head, as `open_run` would choose it; None for another format.

    `mapped`: the user says what the columns mean, so a table needs no known names."""
    file = File.beginning(head)
    scored = [(kind.sniff(file), kind) for kind in adapters_for(file.head) if kind.lines is not None]
    best = min((s for s in scored if s[0] > 0), key=lambda s: (-s[0], -s[1].quality, s[1].name), default=None)
    if best is not None:
        return _named(best[1])
    from rldk.adapters.formats.flexible import FlexibleAdapter, loose_columns

    columns = loose_columns(file)
    return _named(FlexibleAdapter) if columns and (mapped or says_metric(columns)) else None


def from_pattern(pattern: str) -> Followed:
    """The console format of that name, or one made from the user's pattern. Raises `UsageError` for a bad pattern."""
    if pattern in PATTERNS:
        return live_formats()[PATTERNS[pattern]]
    from rldk.adapters.formats import dialect

    PatternRows(pattern)
    return Followed(
        name="text", source=lambda: PatternRows(pattern), identify=lambda opening, _: dialect.identity(opening, {})
    )
