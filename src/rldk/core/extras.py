"""Optional packages: one that is absent is an error that names what to install."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rldk.errors import MissingExtra


@contextmanager
def need(extra: str, package: str) -> Iterator[None]:
    """Around the imports of an optional package: raises `MissingExtra` where it is not installed.

    The imports stay where they are used, so that they cost nobody else anything and keep their types."""
    try:
        yield
    except ImportError:
        raise MissingExtra(extra, package) from None
