"""The fault of a hand-written loop, and when it begins."""

from __future__ import annotations


class Faults:
    """One fault, from the step `onset` on."""

    def __init__(self, name: str, onset: int) -> None:
        self.name, self.onset, self.step = name, onset, 0

    def on(self, *names: str) -> bool:
        """True when the fault is one of `names` (of all, without names) and has begun."""
        return self.name != "none" and (not names or self.name in names) and self.step >= self.onset

    def starts(self, name: str) -> bool:
        """True in the first faulty step."""
        return self.name == name and self.step == self.onset

    def rate(self, planned: float) -> float:
        """The learning rate that is used and logged."""
        return 0.0 if self.on("lr_zero") else 40 * planned if self.on("lr_jump") else planned

    def temperature(self) -> float:
        """The temperature of sampling; the trainer's is 1."""
        return 0.35 if self.on("cold_sampling") else 2.0 if self.on("hot_sampling") else 1.0
