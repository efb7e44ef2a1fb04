"""Writes the report of an evaluation, and reads it back."""

from __future__ import annotations

import json
import os
from pathlib import Path

from rldk.core.files import save
from rldk.errors import MalformedInput, UnreadableSource
from rldk.evals.result import EvalResult

STEM = "evaluation"


def write_result(result: EvalResult, folder: Path) -> tuple[Path, ...]:
    """Writes evaluation.json and evaluation.html into the folder, and returns their paths. The same result gives the
    same bytes. Raises `OutputError`."""
    from rldk.cards.page import pages
    from rldk.cards.wire import render

    made = {"json": render(result), "html": pages([result], [])}
    return tuple(save(folder / f"{STEM}.{form}", f"{text.rstrip()}\n", parents=True) for form, text in made.items())


def read_result(path: str | os.PathLike[str]) -> EvalResult:
    """The result in a JSON file that rldk wrote. Raises `UnreadableSource` and `MalformedInput`."""
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UnreadableSource(f"cannot read {path}: {error.strerror}", hint="check the path") from None
    except (ValueError, RecursionError) as error:
        raise MalformedInput(f"{path} is no JSON: {error}", hint="give the evaluation.json of an earlier run") from None
    if not isinstance(data, dict) or data.get("kind") != "evaluation":
        raise MalformedInput(f"{path} is no evaluation", hint="give the evaluation.json of an earlier run")
    return EvalResult.from_dict(data)  # type: ignore[return-value]  # of the class that is asked
