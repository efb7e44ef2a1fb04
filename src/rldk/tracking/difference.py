"""What two runs do not have in common, what decides results first: data, seeds, code, configuration, packages."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rldk.cards.words import plural
from rldk.core.catalogue import chosen_run
from rldk.core.model import Check, Report
from rldk.core.view import Section, Table, Tone, View
from rldk.engine.compare.records import RunsDifferenceEntry, record_groups
from rldk.errors import MalformedInput

MOST = 20  # lines of a group, without --all


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
    for group, known, compare in record_groups(places):
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
