"""The files of a divergence report."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from msgspec.structs import replace

from rldk.cards import markdown
from rldk.cards.safe import clean
from rldk.cards.trust.files import card_json
from rldk.core.files import save
from rldk.diff.card import drift_card
from rldk.diff.report import DivergenceReport

HEADS = ("signal", "diverged", "first_step", "onset", "first_unequal", "score", "p", "a", "b", "kind", "common_steps")


def write_files(report: DivergenceReport, folder: Path) -> DivergenceReport:
    """Writes diff_report.md, diff_events.csv and drift_card.json; the report names them. Raises `OutputError`."""
    page, events, card = (folder / name for name in ("diff_report.md", "diff_events.csv", "drift_card.json"))
    made = replace(report, report_path=str(page), events_csv_path=str(events))
    save(page, markdown.render(made.view()), parents=True)
    save(events, events_csv(made))
    save(card, card_json(drift_card(made)))
    return made


def events_csv(report: DivergenceReport) -> str:
    """One line a signal, the first mover first and what stayed alike last."""
    from rldk.diff.view import ordered

    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEADS)
    for one in ordered(report):
        steps = (one.first_step, one.onset, one.first_unequal)
        values = (one.diverged, *steps, one.score, one.p, one.a, one.b, one.kind, one.n)
        writer.writerow([_harmless(one.signal), *("" if value is None else value for value in values)])
    return out.getvalue()


def _harmless(name: str) -> str:
    """A name that no spreadsheet takes for a formula."""
    text = clean(name)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@") else text
