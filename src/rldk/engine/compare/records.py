"""What two runs record of themselves and do not have in common: data, seeds, code, configuration, packages."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from rldk.core.codec import to_builtins
from rldk.core.manifest import DatasetRecord, GitState, Manifest, stated_config
from rldk.core.secrets.redact import REDACTED
from rldk.errors import InputError, UsageError
from rldk.provenance.fingerprints.difference import DatasetDifference, difference
from rldk.provenance.sidecars import kept_fingerprint, kept_tensors

MAX_TEXT = 200
ABSENT = "(none)"
# packages whose versions decide results more often than others, trainers before what they stand on: they come first
DECISIVE = (
    "trl", "verl", "openrlhf", "stable-baselines3", "ray", "torch", "transformers", "vllm", "sglang", "flash-attn",
    "deepspeed", "accelerate", "peft", "tokenizers", "datasets", "gymnasium", "numpy", "jax", "jaxlib", "xformers",
    "bitsandbytes", "triton",
)  # fmt: skip
# keys that say where a run writes and what it is called: they differ between any two runs
HARMLESS = re.compile(
    r"(?:output|out|log|logs|logging|save|checkpoint|ckpt|cache|run|work|working|tensorboard)_?(?:dir|path|folder|file)?"
    r"|(?:run|exp|experiment|project|wandb|trial|job)_?\w*?(?:name|id|project|entity)?"
    r"|seed|data_seed|port|host|hostname|user|username|timestamp|time|date|tags?|notes?|report_to"
    r"|(?:log|logging|save)_(?:steps|interval|freq|every|level)",
    re.IGNORECASE,
)
_Pair = tuple[Manifest, Manifest]


class RunsDifferenceEntry(Struct, frozen=True, kw_only=True):
    """One thing that two runs do not have in common. `group`: data, seed, code, config, packages, models, environment
    or rest. `note`: what is known of the difference beyond the two values."""

    group: str
    name: str
    before: str
    after: str
    note: str = ""


def record_groups(
    places: tuple[Path, Path],
) -> Iterator[tuple[str, Callable[[Manifest], object], Callable[[_Pair], Iterator[RunsDifferenceEntry]]]]:
    """The name of each group of what runs record, whether a run records it, and the comparison of two runs in it.

    `places`: the run directories, which may hold digests of rows and tensors. The groups come in the order of what most
    often decides a result."""
    yield "data", lambda m: m.datasets, lambda pair: _data(pair, places)
    yield "seed", lambda m: m.seed is not None or m.seeds, _seeds
    yield "code", lambda m: m.git is not None or m.script is not None, _code
    yield "config", stated_config, lambda pair: _values("config", stated_config(pair[0]), stated_config(pair[1]))
    yield "packages", lambda m: m.packages, _packages
    yield "models", lambda m: m.models or m.tokenizers, lambda pair: _models(pair, places)
    yield "environment", lambda m: m.environment, lambda p: _values("environment", p[0].environment, p[1].environment)
    yield "rest", lambda m: m.command, _rest


def _data(pair: _Pair, places: tuple[Path, Path]) -> Iterator[RunsDifferenceEntry]:
    first, second = pair[0].datasets, pair[1].datasets
    for name in sorted({*first, *second}):
        one, other = first.get(name), second.get(name)
        if one is None or other is None or one.fingerprint != other.fingerprint or one.sampled != other.sampled:
            note = _rows(one, other, places) if one is not None and other is not None else ""
            yield _entry("data", name, _dataset(one), _dataset(other), note)


def _dataset(record: DatasetRecord | None) -> str:
    if record is None:
        return ABSENT
    size = f"{record.rows:,} {'files' if record.format == 'files' else 'rows'}, " if record.rows is not None else ""
    return f"{size}{_short(record.fingerprint)}{', SAMPLED' if record.sampled else ''}"


def _rows(one: DatasetRecord, other: DatasetRecord, places: tuple[Path, Path]) -> str:
    """Which rows differ, where both runs keep the digests of theirs."""
    if one.format != other.format:
        return f"read as {one.format} and as {other.format}: not comparable"
    if one.fingerprint.partition(":")[0] != other.fingerprint.partition(":")[0]:
        return "the digests are of two hash functions: not comparable"
    try:
        kept = [kept_fingerprint(place, record) for place, record in zip(places, (one, other), strict=True)]
        if kept[0] is None or kept[1] is None:
            return ""
        return _counts(difference(kept[0], kept[1]))
    except (InputError, UsageError):
        return ""


def _counts(found: DatasetDifference) -> str:
    counts = (
        (len(found.changed) + len(found.files_changed), "changed"),
        (len(found.added) + (len(found.columns_added) if found.kind == "files" else 0), "added"),
        (len(found.removed) + (len(found.columns_removed) if found.kind == "files" else 0), "removed"),
        (len(found.moved), "moved"),
    )
    said = [f"{count:,} {word}" for count, word in counts if count]
    if found.changed:
        said[0] += f" (row {found.changed[0][0]:,} first)"
    elif found.regions:
        said.append(f"rows {found.regions[0].first:,} to {found.regions[0].last:,} hold the first difference")
    return ", ".join(said)


def _seeds(pair: _Pair) -> Iterator[RunsDifferenceEntry]:
    yield from _values("seed", {"seed": pair[0].seed}, {"seed": pair[1].seed})
    # other seeds give other states: those say more only where the seeds are the same
    apart = {"seed", "state_file", "advice", *(("digests",) if pair[0].seed != pair[1].seed else ())}
    one, other = ({k: v for k, v in manifest.seeds.items() if k not in apart} for manifest in pair)
    yield from _values("seed", one, other)


def _code(pair: _Pair) -> Iterator[RunsDifferenceEntry]:
    one, other = (_code_facts(manifest) for manifest in pair)
    yield from _values("code", one, other)


def _code_facts(manifest: Manifest) -> dict[str, Any]:
    """What decides the code of a run, by name."""
    git = manifest.git or GitState()
    facts: dict[str, Any] = {"commit": git.sha, "changes": git.diff_digest, "submodules": git.submodules or {}}
    if git.diff_digest is None and git.dirty:
        facts["changes"] = "made, and not kept"
    facts["files in no commit"] = {one.path: one.digest or one.reason for one in git.untracked or ()}
    if manifest.script is not None:
        facts[f"script {Path(manifest.script.path).name}"] = manifest.script.sha256
    return facts


def _packages(pair: _Pair) -> Iterator[RunsDifferenceEntry]:
    """Those of another version first: what one of two environments lacks, the run of the other has hardly used."""
    found = list(_values("packages", pair[0].packages, pair[1].packages))
    place = {name: number for number, name in enumerate(DECISIVE)}
    yield from sorted(found, key=lambda one: (is_one_sided(one), place.get(one.name, len(place))))


def is_one_sided(one: RunsDifferenceEntry) -> bool:
    """Whether only one of the runs has it at all."""
    return ABSENT in (one.before, one.after)


def _models(pair: _Pair, places: tuple[Path, Path]) -> Iterator[RunsDifferenceEntry]:
    first, second = pair[0].models, pair[1].models
    for name in sorted({*first, *second}):
        one, other = first.get(name), second.get(name)
        said = [ABSENT if m is None else f"{m.parameters:,} parameters, {_short(m.weights)}" for m in (one, other)]
        if one is None or other is None:
            yield _entry("models", name, said[0], said[1])
        elif one.weights != other.weights:
            note = "another architecture" if one.architecture != other.architecture else "the same architecture"
            tensors = _tensors(places, (one.tensors_file, other.tensors_file))
            yield _entry("models", name, said[0], said[1], f"{note}{f', {tensors}' if tensors else ''}")
    tokens, others = pair[0].tokenizers, pair[1].tokenizers
    for name in sorted({*tokens, *others}):
        mine, theirs = tokens.get(name), others.get(name)
        if mine is None or theirs is None or mine.digest != theirs.digest:
            parts = {} if mine is None or theirs is None else {p: mine.parts.get(p) for p in mine.parts | theirs.parts}
            differing = [p.replace("_", " ") for p in parts if theirs is not None and parts[p] != theirs.parts.get(p)]
            said = [ABSENT if t is None else _short(t.digest) for t in (mine, theirs)]
            yield _entry("models", f"tokenizer {name}", said[0], said[1], ", ".join(differing))


def _tensors(places: tuple[Path, Path], files: tuple[str | None, str | None]) -> str:
    try:
        one, other = (kept_tensors(place, file) for place, file in zip(places, files, strict=True))
    except InputError:
        return ""
    if one is None or other is None:
        return ""
    differing = [name for name in one if name in other and one[name].digest != other[name].digest]
    return f"{len(differing):,} of {len(one):,} tensors differ" if differing else ""


def _rest(pair: _Pair) -> Iterator[RunsDifferenceEntry]:
    facts = [
        {
            "command": " ".join(manifest.command),
            "branch": manifest.git.branch if manifest.git is not None else None,
            "remote": manifest.git.remote if manifest.git is not None else None,
            "status": manifest.status,
            "error": manifest.error,
            "restarts": manifest.restarts,
            "tags": list(manifest.tags),
        }
        for manifest in pair
    ]
    yield from _values("rest", *facts)


def _values(group: str, one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[RunsDifferenceEntry]:
    """The values that differ, of nested mappings by their path. Two redacted ones may differ, and nobody can say."""
    first, second = dict(_flat(one)), dict(_flat(other))
    for name in [*first, *(key for key in second if key not in first)]:
        before, after = first.get(name), second.get(name)
        if before != after or (isinstance(before, float) and type(before) is not type(after)):
            note = "a secret was taken out" if REDACTED in (before, after) else ""
            yield _entry(group, name, _shown(before), _shown(after), note)


def _flat(value: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for key, item in value.items():
        name = f"{before}{key}"
        if isinstance(item, Mapping):
            yield from _flat(item, f"{name}.")
        elif item is not None:
            yield name, item


def _shown(value: Any) -> str:
    if value is None:
        return ABSENT
    text = value if isinstance(value, str) else json.dumps(to_builtins(value))
    return text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 3]}..."


def _short(digest: str) -> str:
    algorithm, _, digits = digest.rpartition(":")
    return f"{algorithm}:{digits[:12]}" if algorithm else digits[:12]


def _entry(group: str, name: str, before: str, after: str, note: str = "") -> RunsDifferenceEntry:
    return RunsDifferenceEntry(group=group, name=name, before=before, after=after, note=note)
