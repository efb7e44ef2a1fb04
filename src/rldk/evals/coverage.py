"""Which evaluations data allows, and what each suite takes, as plain values and as text."""

from __future__ import annotations

from typing import Any

from rldk.cards.safe import clean
from rldk.evals.checks.integrity import missing_numbers
from rldk.evals.columns import need_words
from rldk.evals.registry import evaluations
from rldk.evals.suites import SUITES, Suite, suite_of
from rldk.evals.table import EvalTable


def suites_told() -> list[dict[str, Any]]:
    """The suites with their evaluations, in plain JSON types."""
    return [
        {
            "name": suite.name,
            "description": suite.description,
            "evaluations": [
                {"name": one.name, "title": one.title, "needs": list(one.needs), "also": one.also, "limit": one.limit}
                for one in map(evaluations.get, suite_of(suite.name).evaluations)
            ],
        }
        for suite in SUITES.values()
    ]


def suites_text() -> str:
    """The suites for a reader."""
    lines: list[str] = []
    for suite in suites_told():
        lines += ["", f"{suite['name']}: {suite['description']}"]
        for one in suite["evaluations"]:
            also = [one["also"]] if one["also"] else []
            parts = [part.replace("|", " or ").replace("run", "a run") for part in one["needs"]]
            needs = ", ".join(parts + also) or "any data"
            lines.append(f"  {one['name']:<20} {one['title']}; needs {needs}")
    return "\n".join(lines[1:])


def coverage(table: EvalTable, suite: Suite) -> dict[str, Any]:
    """How the data was read, and for each evaluation what it still needs, in plain JSON types.

    `valid`: every record could be read, no column of numbers holds nothing but NaN, and at least one evaluation besides
    that of the data itself has its columns. `missing`: the rows without a number, by field."""
    needs = {name: evaluations.get(name).needs for name in suite.evaluations}
    lacking = {name: [need for need in wanted if not table.has(need)] for name, wanted in needs.items()}
    possible = [name for name, absent in lacking.items() if not absent]
    asked = [name for name in possible if needs[name]]
    return {
        "source": table.source,
        "form": table.form,
        "rows": table.rows,
        "rejected": table.rejected,
        "reasons": list(table.reasons),
        "notes": list(table.notes),
        "prompts_known": table.clusters() is not None,
        "columns": dict(table.columns),
        "hollow": dict(table.hollow),
        "missing": missing_numbers(table),
        "unused": _unused(table),
        "suite": suite.name,
        "possible": possible,
        "also": {name: also for name in possible if (also := evaluations.get(name).also)},
        "lacking": {name: absent for name, absent in lacking.items() if absent},
        "valid": not table.rejected and "NaN" not in table.hollow.values() and bool(asked or table.run is not None),
    }


def _unused(table: EvalTable) -> list[str]:
    """The columns that rldk does not use. An object counts as used if one of its parts is,
    and all parts of a used object do."""
    used = {*table.columns.values(), *table.hollow}
    objects = {name.rpartition(".")[0] for name in used}
    return [name for name in table.names if name not in used | objects and name.rpartition(".")[0] not in used]


def coverage_text(found: dict[str, Any]) -> str:
    """The same for a reader."""
    read = f"{clean(found['source'])}: {found['rows']:,} rows, read as {found['form']}"
    lines = [read + (f"; {found['rejected']:,} records could not be read" if found["rejected"] else "")]
    lines += [f"  {clean(reason, 200)}" for reason in found["reasons"]]
    lines += ["", "Columns"] + [f"  {field:<18} {clean(column, 100)}" for field, column in found["columns"].items()]
    lines += [f"  {field:<18} nothing but {what}" for field, what in found["hollow"].items()]
    lines += [f"  {count:,} of {found['rows']:,} rows lack a number in {n}" for n, count in found["missing"].items()]
    if found["unused"]:
        lines.append(f"  not used: {clean(', '.join(found['unused'][:20]), 400)}")
    if not found["prompts_known"]:
        lines.append("  no prompt id and no prompt: answers to one prompt would be counted as independent")
    lines += [f"  {clean(note, 400)}" for note in found["notes"]]
    possible = [f"{name} (with {found['also'][name]})" if name in found["also"] else name for name in found["possible"]]
    lines += ["", f"Suite {found['suite']}", f"  possible: {', '.join(possible) or 'none'}"]
    for name, absent in found["lacking"].items():
        lines.append(f"  {name} needs {' and '.join(need_words(need) for need in absent)}")
    return "\n".join(lines)
