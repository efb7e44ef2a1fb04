"""What trainers print: each file reads one kind of console. A module that is not named below looks at every file."""

from __future__ import annotations

# as in `rldk.adapters.formats`
MARKS: dict[str, tuple[bytes, ...]] = {
    "boxes": (b"|", b"\xe2\x94\x82"),
    "cleanrl": (b"episodic_return=",),
    "keras": (b"Epoch ", b"episode", b" steps performed)"),
    "panels": (b" Metrics ", b"PufferLib"),
    "rllib": (b"Result for ", b"== Status =="),
    "sb3": (b"| time/",),
    "series": (b"dtype: ",),
    "trl": (b"{'",),
}
NOT_JSON = frozenset(("lines",))
