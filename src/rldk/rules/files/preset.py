"""The presets shipped with rldk. They are written as YAML and read from the JSON beside it, without a YAML parser.

`python -m rldk.rules.files.preset` compiles them; a test checks that the two agree.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from rldk.rules.files.document import Document, from_json, read_file, to_json

FOLDER = Path(__file__).parents[1] / "presets"


@cache
def preset_names() -> tuple[str, ...]:
    """The names of the presets, sorted."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.json")))


def read_preset(name: str) -> Document:
    """The preset with that name, which must be one of `preset_names`."""
    return from_json((FOLDER / f"{name}.json").read_bytes(), name)


def compiled_presets() -> dict[str, bytes]:
    """The YAML of every preset as JSON, by name. Raises `RuleFileError`."""
    return {path.stem: to_json(read_file(path)) for path in sorted(FOLDER.glob("*.yaml"))}


if __name__ == "__main__":
    for made, data in compiled_presets().items():
        (FOLDER / f"{made}.json").write_bytes(data)
