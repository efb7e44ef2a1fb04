"""Run directories as views: a table of many, and all that is known of one."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rldk.cards.tracked import tracked_document, tracked_facts, tracked_sections
from rldk.cards.words import plural
from rldk.core.catalogue import Catalogue, RunEntry, StoredVerdict
from rldk.core.manifest import GitState, Manifest, plain
from rldk.core.view import Facts, Section, Table, Tone, View

VERDICT_COLUMNS = 48
TAG_COLUMNS = 24
HEADS = ("run", "started (UTC)", "state", "step", "verdict")
_TONES: dict[str, Tone] = {"critical": "critical", "warn": "warn", "ok": "ok"}


def listing_document(runs: Sequence[tuple[RunEntry, StoredVerdict]], found: Catalogue) -> dict[str, Any]:
    """The runs that are shown, as JSON."""
    return {
        "schema_version": 1,
        "runs": [run_document(run, came_to) for run, came_to in runs],
        "found": len(found.runs),
        "complete": found.complete,
        "closed": list(found.closed),
    }


def run_document(run: RunEntry, came_to: StoredVerdict) -> dict[str, Any]:
    """One line of the table, as JSON."""
    manifest = run.manifest or Manifest()
    return {
        "path": str(run.directory.path),
        "run_id": run.run_id,
        "project": manifest.project,
        "name": manifest.name,
        "when": run.when,
        "state": run.state,
        "last_step": came_to.last_step,
        "health": came_to.health or None,
        "verdict": came_to.verdict or None,
        "problem": run.problem or None,
        **tracked_document(manifest),
    }


def listing_view(runs: Sequence[tuple[RunEntry, StoredVerdict]], found: Catalogue, root: Path) -> View:
    """The runs that are shown, as a table."""
    left = len(found.runs) - len(runs)
    notes = [f"{plural(left, 'older run')} with --last {len(found.runs)}"] if left else []
    if not found.complete:
        notes.append(f"only the first {found.looked:,} folders were looked into")
    if found.closed:
        notes.append(f"{plural(len(found.closed), 'folder')} could not be opened, {found.closed[0]} first")
    tagged = any(run.manifest is not None and run.manifest.tags for run, _ in runs)
    table = Table(
        heads=(*HEADS[:4], *(("tags",) if tagged else ()), *HEADS[4:]),
        rows=tuple(_row(run, came_to, root, tagged=tagged) for run, came_to in runs),
        tones=tuple(_TONES.get(came_to.health, "") for _, came_to in runs),
        note="; ".join(notes),
    )
    banner = f"{plural(len(found.runs), 'run')} in {root}." if found.runs else f"No run in {root}."
    parts = (table,) if runs or notes else ()
    return View(
        kind="runs",
        title=f"Runs in {root}",
        tone="info",
        badge="RUNS",
        banner=banner,
        source=str(root),
        sections=(Section(title="Newest first", parts=parts),) if parts else (),
    )


def run_view(run: RunEntry, came_to: StoredVerdict) -> View:
    """All that the directory of a run says of it."""
    manifest = run.manifest or Manifest()
    said = {
        "run": run.run_id,
        "project": manifest.project,
        "name": manifest.name,
        "started": run.when,
        "finished": manifest.finished_at,
        "last step": came_to.last_step,
        "records": manifest.records,
        "records lost": manifest.records_lost or None,
        "restarts": manifest.restarts,
        "exit code": manifest.exit_code,
        "error": manifest.error,
        "seed": manifest.seed,
        "command": " ".join(manifest.command),
        "script": manifest.script and f"{manifest.script.path}, SHA-256 {manifest.script.sha256[:12]}",
        "commit": _commit(manifest.git),
        "remote": manifest.git and manifest.git.remote,
        **tracked_facts(manifest),
    }
    known = {"environment": manifest.environment, "config": manifest.config, "packages": manifest.packages}
    sections = [
        Section(title="Run", parts=(_facts(said),)),
        *tracked_sections(manifest),
        Section(title="Files", parts=(_files(run),)),
        *(
            Section(title=title.capitalize(), parts=(_facts(facts),), detail=title == "packages")
            for title, facts in known.items()
            if facts
        ),
    ]
    if manifest.packages:
        brief = f"{plural(len(manifest.packages), 'package')} with --all"
        sections.append(Section(title="Packages", wide=True, brief=brief))
    verdict = came_to.verdict or "It has no report: `rldk doctor` says what is wrong with it, if anything."
    return View(
        kind="run",
        title=run.run_id,
        tone=_TONES.get(came_to.health, "info"),
        badge=run.state.upper(),
        banner=f"{run.run_id} ({run.state}). {verdict}",
        source=str(run.directory.path),
        sections=tuple(sections),
    )


def show_document(run: RunEntry, came_to: StoredVerdict) -> dict[str, Any]:
    """All that the directory of a run says of it, as JSON."""
    return {
        "schema_version": 1,
        **run_document(run, came_to),
        "manifest": None if run.manifest is None else plain(run.manifest),
    }


def _row(run: RunEntry, came_to: StoredVerdict, root: Path, *, tagged: bool) -> tuple[str, ...]:
    path = run.directory.path
    shown = str(path.relative_to(root)) if path != root else str(path)
    step = "-" if came_to.last_step is None else f"{came_to.last_step}"
    verdict = textwrap.shorten(run.problem or came_to.verdict or "-", VERDICT_COLUMNS, placeholder=" ...")
    tags = ", ".join(run.manifest.tags) if run.manifest is not None else ""
    told = (textwrap.shorten(tags or "-", TAG_COLUMNS, placeholder=" ..."),) if tagged else ()
    return shown, run.when[:16].replace("T", " "), run.state, step, *told, verdict


def _commit(git: GitState | None) -> str | None:
    if git is None or git.sha is None:
        return None
    branch = f" on {git.branch}" if git.branch else ""
    return f"{git.sha[:12]}{branch}{', changed since' if git.dirty else ''}"


def _facts(said: dict[str, Any]) -> Facts:
    return Facts(
        pairs=tuple(
            (name, value if isinstance(value, str) else json.dumps(value))
            for name, value in said.items()
            if value is not None and value not in ("", {}, [])
        )
    )


def _files(run: RunEntry) -> Table:
    folder = run.directory
    named = (folder.manifest, folder.metrics, folder.printed, folder.alerts, folder.report, folder.page)
    listed = (*named, *folder.samples())
    sizes = [(path.name, path.stat().st_size) for path in listed if path.is_file()]
    return Table(heads=("file", "bytes"), rows=tuple((name, f"{size:,}") for name, size in sizes))
