"""A tokenizer of a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from rldk.core.manifest import TokenizerRecord
from rldk.core.secrets.redact import without_secrets
from rldk.provenance.fingerprints.tokenizer import fingerprint_tokenizer
from rldk.tracking.config import plain_config


def record_tokenizer(tokenizer: Any, metadata: Mapping[str, Any] | None) -> TokenizerRecord:
    """The record of a tokenizer: the digest of everything that decides its output."""
    found = fingerprint_tokenizer(tokenizer)
    source = None if found.source is None else without_secrets(str(Path(found.source).absolute()))
    return replace(found, source=source, metadata={**found.metadata, **plain_config(metadata)})
