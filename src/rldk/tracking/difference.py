"""What two runs do not have in common, what decides results first: data, seeds, code, configuration, packages."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from rldk.cards.words import plural
from rldk.core.catalogue import chosen_run
from rldk.core.codec import to_builtins
from rldk.core.manifest import DatasetRecord, GitState, Manifest
from rldk.core.model import Check, Report
from rldk.core.redact import REDACTED
from rldk.core.view import Section, Table, Tone, View
from rldk.errors import InputError, MalformedInput, UsageError
from rldk.provenance.fingerprints.difference import DatasetDifference, difference
from rldk.provenance.sidecars import kept_fingerprint, kept_tensors

MOST = 20  # lines of a group, without --all
MAX_TEXT = 200
ABSENT = "(none)"
# packages whose versions decide results more often than others: they come first
DECISIVE = (
    "torch", "transformers", "trl", "verl", "openrlhf", "vllm", "sglang", "flash-attn", "deepspeed", "accelerate",
    "peft", "tokenizers", "datasets", "numpy", "jax", "jaxlib", "xformers", "bitsandbytes", "triton",
    "stable-baselines3", "gymnasium", "ray",
)  # fmt: skip
_Pair = tuple[Manifest, Manifest]


class RunsDifferenceEntry(Struct, frozen=True, kw_only=True):
    """One thing that two runs do not have in common. `group`: data, seed, code, config, packages, models, environment
    or rest. `note`: what is known of the difference beyond the two values."""

    group: str
    name: str
    before: str
    after: str
    note: str = ""


class RunsDifference(Report, frozen=True, kw_only=True):
    """How run B differs from run A. `passed`: nothing differs, and something could be compared. `differences`: the
    suspicious ones first."""

    runs: tuple[str, str] = ("", "")
    differences: tuple[RunsDifferenceEntry, ...] = ()

    def view(self) -> View:
        """Everything that a renderer may show of the report."""
        tone: Tone = "warn" if self.differences else "ok" if self.passed else "info"
        badge = "DIFFERENT" if self.differences else "THE SAME" if self.passed else "NOT COMPARED"
        return View(
            kind=self.kind,
            title=f"{self.runs[0]} and {self.runs[1]}",
            tone=tone,
            badge=badge,
            banner=self.verdict,
            source=str(self.meta.get("source") or ""),
            sections=tuple(_sections(self)),
            checked=self.checked,
            unchecked={check.name: check.reason for check in self.skipped},
            figures=dict(self.numbers),
        )


def diff_runs(
    a: str | os.PathLike[str], b: str | os.PathLike[str], *, root: str | os.PathLike[str] = "runs"
) -> RunsDifference:
    """Compares what two run directories record: data, seeds, code, configuration, packages, then the rest.

    `a`, `b`: the directories, or names of runs in `root`. What only one of the two records is not compared, and listed
    in `skipped`. Raises `UnreadableSource` and `MalformedInput`."""
    folders, manifests = [], []
    for run in (a, b):
        found = chosen_run(os.fspath(run), Path(root))
        if found.problem or found.manifest is None:
            raise MalformedInput(found.problem or f"{found.directory.path} has no run.json")
        folders.append(found.directory.path)
        manifests.append(found.manifest)
    pair, places = (manifests[0], manifests[1]), (folders[0], folders[1])
    entries: list[RunsDifferenceEntry] = []
    skipped, checked = [], []
    for group, known, compare in _groups(places):
        lacking = [str(place) for place, manifest in zip(places, pair, strict=True) if not known(manifest)]
        if len(lacking) == 2:
            skipped.append(_skipped(group, "needs what neither run records"))
        elif lacking:
            skipped.append(_skipped(group, f"needs what {lacking[0]} does not record"))
        else:
            checked.append(group)
            entries += compare(pair)
    counts = {group: sum(one.group == group for one in entries) for group in checked}
    return RunsDifference(
        kind="runs-difference",
        passed=not entries and bool(checked),
        verdict=_verdict(counts, skipped),
        checked=tuple(checked),
        skipped=tuple(skipped),
        numbers={**counts},
        meta={"source": str(places[1]), "run": f"{places[0]} and {places[1]}"},
        runs=(str(places[0]), str(places[1])),
        differences=tuple(entries),
    )


def _groups(
    places: tuple[Path, Path],
) -> Iterator[tuple[str, Callable[[Manifest], object], Callable[[_Pair], Iterator[RunsDifferenceEntry]]]]:
    """The name of each group, whether a run records it, and the comparison."""
    yield "data", lambda m: m.datasets, lambda pair: _data(pair, places)
    yield "seed", lambda m: m.seed is not None or m.seeds, _seeds
    yield "code", lambda m: m.git is not None or m.script is not None, _code
    yield "config", lambda m: m.config, lambda pair: _values("config", pair[0].config, pair[1].config)
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
    found = list(_values("packages", pair[0].packages, pair[1].packages))
    yield from sorted(found, key=lambda one: DECISIVE.index(one.name) if one.name in DECISIVE else len(DECISIVE))


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


def _skipped(group: str, reason: str) -> Check:
    return Check(code=group, name=group, status="skipped", reason=reason)


def _verdict(counts: Mapping[str, int], skipped: Sequence[Check]) -> str:
    left = f" Not compared: {', '.join(check.name for check in skipped)}." if skipped else ""
    if not counts:
        return f"Nothing could be compared.{left}"
    differing = {group: count for group, count in counts.items() if count}
    if not differing:
        return f"The runs are the same in {', '.join(counts)}.{left}"
    said = ", ".join(f"{group} ({count:,})" for group, count in differing.items())
    return f"{plural(sum(counts.values()), 'difference')}: {said}. Look at {next(iter(differing))} first.{left}"


def _sections(report: RunsDifference) -> Iterator[Section]:
    for group in report.checked:
        found = [one for one in report.differences if one.group == group]
        if found:
            rows = tuple((one.name, one.before, one.after, one.note) for one in found)
            heads = ("what", report.runs[0], report.runs[1], "note")
            noted = any(one.note for one in found)
            table = Table(
                heads=heads if noted else heads[:3], rows=rows if noted else tuple(r[:3] for r in rows), most=MOST
            )
            yield Section(title=f"{group.capitalize()} ({len(found):,})", parts=(table,))
    same = [group for group in report.checked if not report.numbers.get(group)]
    if same and report.differences:
        yield Section(title=f"The same: {', '.join(same)}")
    if report.skipped:
        reasons = tuple((check.name, check.reason) for check in report.skipped)
        yield Section(title="Not compared", parts=(Table(heads=("what", "why"), rows=reasons),))
