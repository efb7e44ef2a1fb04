"""A run as an in-toto statement with SLSA provenance: what came out, from which data and code.

Statement v1 (github.com/in-toto/attestation, spec/v1/statement.md) with the predicate of SLSA 1.0
(slsa.dev/provenance/v1). It is not signed: a signer wraps it into an envelope."""

from __future__ import annotations

import re
from typing import Any

from rldk import __version__
from rldk.core.text import later
from rldk.errors import NoData
from rldk.tracking.exports.source import ExportSource, shown_command

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:rldk:training-run:v1"
BUILDER = "urn:rldk:tracker"
_MOMENT = later(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)")
_DIGITS = later(r"[0-9a-fA-F]+")
_KNOWN = frozenset({"sha256", "sha512", "sha1", "md5", "blake2b", "blake3"})


def statement(source: ExportSource) -> dict[str, Any]:
    """The statement. Its subjects are the files of the run directory, by SHA-256, and the models, whose digest is over
    their tensors and so has a name of its own. Raises `NoData` for a run without either."""
    manifest = source.manifest
    subjects: list[dict[str, Any]] = [
        {"name": f"{source.name}/{file.name}", "digest": {"sha256": file.sha256}} for file in source.files
    ]
    subjects += [
        {"name": f"{source.name}/models/{name}", "digest": _own_digest("rldkWeights", model.weights)}
        for name, model in manifest.models.items()
    ]
    if not subjects:
        raise NoData(f"{source.name} has no file and no model that a statement could be about")
    definition = {
        "buildType": BUILD_TYPE,
        "externalParameters": _filled(
            {"command": shown_command(manifest), "config": manifest.config, "seed": manifest.seed}
        ),
        "internalParameters": _filled({"environment": manifest.environment, "packages": manifest.packages}),
        "resolvedDependencies": [*_code(source), *_data(source)],
    }
    moments = {"startedOn": manifest.started_at, "finishedOn": manifest.finished_at}
    run = {
        "builder": {"id": BUILDER, "version": {"rldk": str(manifest.environment.get("rldk") or __version__)}},
        "metadata": {"invocationId": source.name}
        | {key: value for key, value in moments.items() if value is not None and _MOMENT.fullmatch(value)},
    }
    return {
        "_type": STATEMENT,
        "subject": subjects,
        "predicateType": PREDICATE,
        "predicate": {"buildDefinition": definition, "runDetails": run},
    }


def _code(source: ExportSource) -> list[dict[str, Any]]:
    git = source.manifest.git
    if git is None or git.sha is None:
        return []
    at = f"git+{git.remote}@{git.sha}" if git.remote and re.match(r"[a-z][a-z0-9+.-]*://", git.remote) else ""
    made: dict[str, Any] = {"name": "code", **({"uri": at} if at else {}), "digest": {"gitCommit": git.sha}}
    notes = _filled({"dirty": git.dirty, "branch": git.branch, "changes": git.diff_digest})
    return [made | ({"annotations": notes} if notes else {})]


def _data(source: ExportSource) -> list[dict[str, Any]]:
    manifest = source.manifest
    made = [
        _filled(
            {
                "name": f"data/{name}",
                "digest": _own_digest(f"rldk{one.format.capitalize()}", one.fingerprint),
                "annotations": _filled({"rows": one.rows, "source": one.source, "sampled": one.sampled or None}),
            }
        )
        for name, one in manifest.datasets.items()
    ]
    made += [
        {"name": f"tokenizer/{name}", "digest": _own_digest("rldkTokenizer", one.digest)}
        for name, one in manifest.tokenizers.items()
    ]
    return made


def _own_digest(name: str, digest: str) -> dict[str, str]:
    """A digest of content that is no file: a plain `sha256` would promise that of its bytes."""
    algorithm, _, digits = digest.rpartition(":")
    algorithm = algorithm or "sha256"
    if algorithm not in _KNOWN or not _DIGITS.fullmatch(digits):
        raise NoData(f"{digest[:80]!r} is no digest", hint="run.json is damaged, or not of rldk")
    return {f"{''.join(c for c in name if c.isalnum())}_{algorithm}": digits.lower()}


def _filled(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None and value not in ("", {}, [])}
