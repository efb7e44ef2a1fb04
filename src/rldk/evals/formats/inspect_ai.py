"""Logs of inspect_ai: an .eval archive, or one JSON document with `eval` and `samples`. inspect_ai itself is not
needed."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rldk.adapters.records import UnreadRecord
from rldk.core.extras import need
from rldk.core.samples import text_of
from rldk.errors import MalformedInput

MOST_SAMPLE = 64 << 20  # bytes of one sample, unpacked
MOST_DOCUMENT = 1 << 30
ZSTANDARD = 93  # of zip members. Source: APPNOTE 6.3.7, section 4.4.5
LOCAL_HEADER = 30  # bytes before the name of a member
GRADES = {"C": 1.0, "I": 0.0, "P": 0.5, "N": 0.0}  # inspect_ai/scorer/_metric.py: CORRECT, INCORRECT, PARTIAL, NOANSWER


def is_log(path: Path) -> bool:
    """Whether a file is such a log, by its first bytes and, for an archive, its members."""
    with path.open("rb") as stream:
        head = stream.read(2048)
    if head.startswith(b"PK\x03\x04"):
        try:
            with zipfile.ZipFile(path) as archive:
                return any(name.startswith("samples/") for name in archive.namelist())
        except (zipfile.BadZipFile, OSError):
            return False
    opening = head.lstrip()
    return opening.startswith(b"{") and b'"eval"' in head and b'"status"' in head and b'"version"' in head


def read_log(path: Path) -> Iterator[dict[str, Any] | UnreadRecord]:
    """The samples of the log in rldk's fields. A sample that cannot be read comes as a `UnreadRecord`.

    Raises `MalformedInput` for a log that is torn as a whole."""
    with path.open("rb") as stream:
        archived = stream.read(2) == b"PK"
    return _archive(path) if archived else _document(path)


def _archive(path: Path) -> Iterator[dict[str, Any] | UnreadRecord]:
    try:
        with zipfile.ZipFile(path) as archive:
            for info in sorted(archive.infolist(), key=lambda each: each.filename):
                if info.filename.startswith("samples/") and info.filename.endswith(".json"):
                    yield _member(archive, info)
    except (zipfile.BadZipFile, OSError) as error:
        raise MalformedInput(f"{path} is no complete archive: {error}", hint="was it copied whole?") from None


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> dict[str, Any] | UnreadRecord:
    if info.file_size > MOST_SAMPLE:
        return UnreadRecord(f"{info.filename[:80]} is larger than 64 MiB")
    try:
        found = json.loads(_unpacked(archive, info))
    except (ValueError, RecursionError, OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        return UnreadRecord(f"{info.filename[:80]}: {str(error)[:120]}")
    return convert(found) if isinstance(found, Mapping) else UnreadRecord(f"{info.filename[:80]} is no object")


def _unpacked(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """The member's bytes, at most 64 MiB. inspect_ai packs with zstandard, which `zipfile` does not know before
    Python 3.14."""
    if info.compress_type != ZSTANDARD:
        with archive.open(info) as stream:
            return stream.read(MOST_SAMPLE)
    with need("remote", "zstandard"):
        import zstandard
    raw = archive.fp
    if raw is None:
        raise OSError("the archive is closed")
    raw.seek(info.header_offset)
    header = raw.read(LOCAL_HEADER)
    if header[:4] != b"PK\x03\x04":
        raise zipfile.BadZipFile("no header of a member")
    raw.seek(int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little"), 1)
    packed = raw.read(min(info.compress_size, MOST_SAMPLE))
    try:
        reader = zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True)
        found: bytes = reader.read(MOST_SAMPLE)
        return found
    except zstandard.ZstdError as error:
        raise OSError(str(error)) from None


def _document(path: Path) -> Iterator[dict[str, Any] | UnreadRecord]:
    try:
        if path.stat().st_size > MOST_DOCUMENT:
            raise MalformedInput(f"{path} is larger than 1 GiB", hint="write the log as .eval")
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError, OSError) as error:
        raise MalformedInput(f"{path} is no JSON: {error}", hint="was the evaluation ended?") from None
    for sample in found.get("samples") or ():
        yield convert(sample) if isinstance(sample, Mapping) else UnreadRecord("a sample is no object")


def convert(sample: Mapping[str, Any]) -> dict[str, Any]:
    """The sample in rldk's fields. `grades` has the score of each scorer: which one counts is chosen for the whole log.

    Letters are grades as inspect_ai reads them. Epochs of one sample share its id, so that they are one cluster. A
    sample that ended with an error has no score."""
    output = sample.get("output")
    response = output.get("completion") if isinstance(output, Mapping) else None
    choices = output.get("choices") if isinstance(output, Mapping) else None
    first = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], Mapping) else {}
    if response is None:
        response = text_of(first.get("message"))
    options, target = sample.get("choices"), sample.get("target")
    error = sample.get("error")
    made: dict[str, Any] = {
        "prompt_id": None if sample.get("id") is None else str(sample["id"]),
        "prompt": text_of(sample.get("input")),
        "response": response,
        "finish_reason": first.get("stop_reason"),
        "gold": target if isinstance(target, str) and target else None,
        "n_choices": len(options) if isinstance(options, list) and options else None,
        "error": error.get("message") or "error" if isinstance(error, Mapping) else error or None,
        "seconds": sample.get("total_time"),
        "n_tokens": _tokens(sample, output),
        "seed": sample.get("epoch"),
    }
    if made["error"] is None:
        made["grades"] = _grades(sample.get("scores")) or None
    elif not response:
        made["response"] = None  # it was not asked for
    return {key: value for key, value in made.items() if value is not None}


def _grades(scores: Any) -> dict[str, list[Any]]:
    """Scorer -> score, and the answer that it found in the response: "" where it found none, None where it looks for
    none. A scorer with several values is several scorers, "scorer/value"."""
    made: dict[str, list[Any]] = {}
    for scorer, told in scores.items() if isinstance(scores, Mapping) else ():
        value = told.get("value") if isinstance(told, Mapping) else told
        answer = str(told["answer"] or "") if isinstance(told, Mapping) and "answer" in told else None
        parts = dict(enumerate(value)) if isinstance(value, list) else value
        if isinstance(parts, Mapping):
            made |= {f"{scorer}/{name}": [_grade(part), answer] for name, part in parts.items()}
        else:
            made[str(scorer)] = [_grade(value), answer]
    return made


def _grade(value: Any) -> float | None:
    if isinstance(value, str):
        return GRADES.get(value)
    return float(value) if isinstance(value, bool | int | float) else None


def _tokens(sample: Mapping[str, Any], output: Any) -> Any:
    usage = output.get("usage") if isinstance(output, Mapping) else None
    if isinstance(usage, Mapping) and usage.get("output_tokens") is not None:
        return usage["output_tokens"]
    models = sample.get("model_usage")
    if isinstance(models, Mapping) and models:
        first = next(iter(models.values()))
        return first.get("output_tokens") if isinstance(first, Mapping) else None
    return None
