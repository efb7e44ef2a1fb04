"""Text that any file can hold."""

from __future__ import annotations


def legible(text: str) -> str:
    """The text with U+FFFD for each lone surrogate. JSON may escape one and a file name may contain one, but no UTF-8
    file can hold it."""
    return text if text.isascii() else text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
