"""Optional packages. When one is absent, the error names what to install."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rldk.errors import MissingExtra


@contextmanager
def need(extra: str, package: str) -> Iterator[None]:
    """Wraps the imports of an optional package. Raises `MissingExtra` where it is not installed.

    The imports stay where they are used, so that they cost other users nothing and keep their types."""
    try:
        yield
    except ImportError:
        raise MissingExtra(extra, package) from None
