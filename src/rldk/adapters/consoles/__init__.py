"""What trainers print: each file reads one kind of console. A module that is not named below looks at every file."""

from __future__ import annotations

# as in `rldk.adapters.formats`
MARKS: dict[str, tuple[bytes, ...]] = {
    "boxes": (b"|", b"\xe2\x94\x82"),
    "cleanrl": (b"episodic_return=",),
    "sb3": (b"| time/",),
    "trl": (b"{'",),
}
NOT_JSON = frozenset(("lines",))
