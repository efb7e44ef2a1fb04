"""What was restored or exported, as a view."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from rldk.cards.words import plural
from rldk.core.view import Bullets, Commands, Facts, Part, Section, Table, Tone, View
from rldk.tracking.exports import ExportedRun
from rldk.tracking.exports.source import LeftOut
from rldk.tracking.restoring import RestoredRun

MOST = 20


def restored_view(found: RestoredRun) -> View:
    """What was brought back, and what is lacking."""
    whole = not found.lacking and not found.redacted
    tone: Tone = "ok" if whole else "warn"
    at = f" at commit {found.commit[:12]}" if found.commit else ""
    banner = f"{found.run_id} is in {found.folder}: {plural(found.files, 'file')} of code{at}."
    lacks = f" {plural(len(found.lacking), 'thing')} lacking." if found.lacking else ""
    lacks += f" Secrets were taken out of {plural(len(found.redacted), 'file')}." if found.redacted else ""
    return View(
        kind="restored",
        title=found.run_id,
        tone=tone,
        badge="RESTORED" if whole else "NOT WHOLE",
        banner=banner + lacks,
        source=found.folder,
        sections=tuple(_sections(found)),
    )


def exported_view(found: ExportedRun) -> View:
    """What was written, and what it lacks."""
    following = {
        "bundle": f"rldk restore {shlex.quote(found.path)} --to DIR",
        "mlflow": f"unzip {shlex.quote(found.path)} && mlflow ui --backend-store-uri ./mlruns",
    }
    sections = list(lacking_section(found.left_out))
    if found.format in following:
        sections.append(Section(title="Next", parts=(Commands(lines=(following[found.format],)),)))
    lacks = f" {plural(len(found.left_out), 'thing')} left out." if found.left_out else ""
    return View(
        kind="exported",
        title=found.path,
        tone="warn" if found.left_out else "ok",
        badge="EXPORTED",
        banner=f"Wrote {found.path} ({found.bytes:,} bytes).{lacks}",
        source=found.path,
        sections=tuple(sections),
    )


def lacking_section(lacking: Sequence[LeftOut]) -> Iterator[Section]:
    """The section of what is not there, if anything is."""
    if lacking:
        rows = tuple((one.what, one.why) for one in lacking)
        yield Section(title="Lacking", parts=(Table(heads=("what", "why"), rows=rows, most=MOST),))


def _sections(found: RestoredRun) -> Iterator[Section]:
    yield from lacking_section(found.lacking)
    if found.redacted:
        parts: tuple[Part, ...] = (Bullets(items=found.redacted, plain=True, most=MOST),)
        yield Section(title="Put the secrets back by hand", parts=parts)
    places = (
        ("code", "the commit, the changes and the kept files"),
        ("config.json", "the configuration"),
        ("data.json", "the data, models and tokenizers, with their digests"),
        ("run", "the record"),
    )
    yield Section(title=f"In {found.folder}", parts=(Facts(pairs=places),))
    home = shlex.quote(f"{found.folder}/code")
    lines = (f"cd {home}", *((found.command,) if found.command else ()))
    yield Section(title="Next", parts=(Commands(lines=lines),))
