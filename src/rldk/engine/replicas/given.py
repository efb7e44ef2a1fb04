"""What a user may give to every command that runs a training again: the metrics to look at, and a folder to keep."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rldk.errors import OutputError


def metric_names(given: Sequence[str] | str | None) -> tuple[str, ...] | None:
    """The names in a list, or in a text with commas; None where there is none."""
    words = given.split(",") if isinstance(given, str) else list(given or ())
    return tuple(word.strip() for word in words if word.strip()) or None


def kept_folder(output_dir: str | os.PathLike[str] | None, purpose: str) -> Path:
    """The folder, made where it was not there; a new temporary one named after the purpose where none is given.

    Raises `OutputError` where it cannot be made."""
    if output_dir is None:
        return Path(tempfile.mkdtemp(prefix=f"rldk-{purpose}-"))
    home = Path(output_dir).resolve()
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError.of(home, error) from None
    return home
