"""Tells ids of answers from ids of prompts."""

from __future__ import annotations

from collections.abc import Collection

from msgspec.structs import replace

from rldk.evals.table import EvalTable

ROW_IDS = ("id", "sample_id", "item_id")  # names that may stand for an answer as well as for a prompt
FEWEST = 2.0  # answers to a prompt, on average: fewer are rather questions that stand twice in the data


def without_row_ids(table: EvalTable, named: Collection[str]) -> EvalTable:
    """The table without ids that are another one in every row while prompts repeat as text: they name answers, and the
    text names the prompt. `named`: the fields that the user named, which are left alone."""
    column = table.columns.get("prompt_id")
    if column not in ROW_IDS or "prompt_id" in named or "prompt" not in table.cells:
        return table
    ids = len(set(table.labels("prompt_id").tolist()))
    prompts = len(table.names_of("prompt"))
    if ids < table.rows or prompts * FEWEST > table.rows:
        return table
    note = f"`{column}` is another one in every row, so that it names answers: prompts are told by their text"
    return replace(
        table,
        cells={name: values for name, values in table.cells.items() if name != "prompt_id"},
        columns={name: own for name, own in table.columns.items() if name != "prompt_id"},
        notes=(*table.notes, note),
    )
