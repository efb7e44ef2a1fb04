"""What `rldk.lock` says of an environment, and how two of them differ."""

from __future__ import annotations

from msgspec import Struct, field

SCHEMA_VERSION = 1
# the parts of a lock, in the order in which differences are shown
PARTS = ("python", "packages", "origins", "conda", "lock_files", "variables", "libraries", "machine")


class EnvironmentLock(Struct, frozen=True, kw_only=True):
    """An environment as names and values, by part. What could not be known is left out."""

    schema_version: int = SCHEMA_VERSION
    rldk: str = ""
    python: dict[str, str] = field(default_factory=dict)
    packages: dict[str, str] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    conda: dict[str, str] = field(default_factory=dict)
    lock_files: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    libraries: dict[str, str] = field(default_factory=dict)
    machine: dict[str, str] = field(default_factory=dict)


class LockDifference(Struct, frozen=True, kw_only=True):
    """One value that differs. `part`: one of `PARTS`. `locked`, `now`: the values; None where there is none."""

    part: str
    name: str
    locked: str | None
    now: str | None


def lock_differences(locked: EnvironmentLock, now: EnvironmentLock) -> tuple[LockDifference, ...]:
    """What differs between the two, by part and then by name."""
    return tuple(
        LockDifference(part=part, name=name, locked=old.get(name), now=new.get(name))
        for part in PARTS
        for old, new in [(getattr(locked, part), getattr(now, part))]
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    )
