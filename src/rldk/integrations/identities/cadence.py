"""When a costly measurement is due."""

from __future__ import annotations

from msgspec import Struct

FIRST = 5


class Cadence(Struct, frozen=True):
    """On each of the `first` steps, because faults of a setup show at once, then on every `every`-th. 0 is never."""

    every: int = 10
    first: int = FIRST

    def due(self, count: int) -> bool:
        """Whether the measurement is made on step number `count`, which begins at 1."""
        return self.every > 0 and (count <= self.first or count % self.every == 0)

    def words(self) -> str:
        return (
            f"on the first {self.first} optimizer steps and every {self.every} steps after" if self.every else "never"
        )
