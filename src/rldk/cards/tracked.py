"""What a tracker has recorded of a run: datasets, models, tokenizers, seeds, tags and notes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rldk.core.manifest import DatasetRecord, Manifest, ModelRecord, TokenizerRecord
from rldk.core.view import Facts, Section, Table

DIGEST = 12  # digits that are shown; --json has all


def tracked_sections(manifest: Manifest) -> list[Section]:
    """A section for each kind of record that the run has."""
    tables = {
        "Datasets": _datasets(manifest.datasets),
        "Models": _models(manifest.models),
        "Tokenizers": _tokenizers(manifest.tokenizers),
    }
    found = [Section(title=title, parts=(table,)) for title, table in tables.items() if table.rows]
    if manifest.seeds:
        found.append(Section(title="Seeds", parts=(Facts(pairs=_seeds(manifest.seeds)),)))
    if manifest.metadata:
        pairs = tuple((key, _text(value)) for key, value in manifest.metadata.items())
        found.append(Section(title="Metadata", parts=(Facts(pairs=pairs),)))
    return found


def tracked_facts(manifest: Manifest) -> dict[str, Any]:
    """What a tracker adds to the facts about a run."""
    notes = "; ".join((manifest.notes or "").splitlines())
    return {"tags": ", ".join(manifest.tags), "notes": notes, "secrets taken out": manifest.redactions}


def tracked_document(manifest: Manifest) -> dict[str, Any]:
    """What a line of a list of runs says of the records, as JSON."""
    return {
        "tags": list(manifest.tags),
        "seed": manifest.seed,
        "datasets": {name: one.fingerprint for name, one in manifest.datasets.items()},
        "models": {name: one.weights for name, one in manifest.models.items()},
    }


def _datasets(records: Mapping[str, DatasetRecord]) -> Table:
    return Table(
        heads=("name", "fingerprint", "rows", "read as", "source"),
        rows=tuple(
            (
                name,
                _short(one.fingerprint),
                ("first " if one.sampled else "") + (f"{one.rows:,}" if one.rows is not None else "-"),
                one.format,
                one.source or "-",
            )
            for name, one in records.items()
        ),
    )


def _models(records: Mapping[str, ModelRecord]) -> Table:
    return Table(
        heads=("name", "weights", "architecture", "parameters", "source"),
        rows=tuple(
            (name, _short(one.weights), _short(one.architecture), f"{one.parameters:,}", one.source or "-")
            for name, one in records.items()
        ),
    )


def _tokenizers(records: Mapping[str, TokenizerRecord]) -> Table:
    return Table(
        heads=("name", "digest", "source"),
        rows=tuple((name, _short(one.digest), one.source or "-") for name, one in records.items()),
    )


def _seeds(seeds: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    generators = seeds.get("generators")
    said = {
        "seed": "none was set through rldk" if seeds.get("seed") is None else seeds["seed"],
        **(generators if isinstance(generators, Mapping) else {}),
        "states": seeds.get("state_file"),
    }
    return tuple((str(name), _text(value)) for name, value in said.items() if value is not None)


def _short(digest: str) -> str:
    algorithm, colon, digits = digest.partition(":")
    return f"{algorithm}:{digits[:DIGEST]}" if colon else digest[:DIGEST]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
