"""Texts that are shortened: whole at their limit, cut beyond it."""

from __future__ import annotations

import numpy as np
import pytest
from examples import each_of

from rldk.cards import page, terminal
from rldk.cards.safe import clean
from rldk.cards.series import extremes
from rldk.cards.words import source_lines, unread_files
from rldk.core.model import Report
from rldk.core.view import Section, Table, View
from rldk.rules.files.syntax import MAX_TEXT, BadExpression, parse, quote


@pytest.mark.parametrize(("length", "shown"), [(27, "a" * 27), (28, "a" * 28), (29, "a" * 12 + "..." + "a" * 13)])
def test_a_long_name_of_a_run_lacks_its_middle(length: int, shown: str) -> None:
    table = Table(heads=("run", "verdict"), rows=(("a" * length, "fine"),), trimmed=True)
    view = View(
        kind="x", title="x", tone="ok", badge="OK", banner="Fine.", sections=(Section(title="s", parts=(table,)),)
    )
    assert f" {shown} " in terminal.render(view)


@pytest.mark.parametrize(("count", "end"), [(6, "f5"), (7, "f5 and 1 more"), (1007, "f5 and 1,001 more")])
def test_six_files_are_named(count: int, end: str) -> None:
    report = Report(kind="diagnosis", passed=True, meta={"left_out": {f"/runs/f{i}": "no log" for i in range(count)}})
    (line,) = unread_files([report])
    assert line.endswith(f"{end} (no log)")


def test_a_part_of_an_expression_is_quoted_up_to_eighty_letters() -> None:
    for length, shown in ((79, 79), (80, 80), (81, 80)):
        text = "x" * length
        assert len(quote(parse(text))) == shown + 2
    assert quote(parse("x" * 81)).endswith("x...`")


def test_an_expression_has_at_most_a_thousand_letters() -> None:
    assert parse("x" * MAX_TEXT)
    with pytest.raises(BadExpression, match="it has 1001 characters, but at most 1000 are read"):
        parse("x" * (MAX_TEXT + 1))


@pytest.mark.parametrize(("length", "kept"), [(24, True), (25, False)])
def test_a_short_cell_of_a_page_stays_on_one_line(length: int, kept: bool) -> None:
    table = Table(heads=("What",), rows=(("a" * length,),))
    view = View(
        kind="x", title="x", tone="ok", badge="OK", banner="Fine.", sections=(Section(title="s", parts=(table,)),)
    )
    assert (f'<td class="nowrap">{"a" * length}</td>' in page.render(view, fragment=True)) is kept


@pytest.mark.parametrize(("length", "cut"), [(399, False), (400, False), (401, True)])
def test_a_text_is_cut_to_its_limit(length: int, cut: bool) -> None:
    text = clean("a" * length)
    assert (len(text), text.endswith("...")) == (min(length, 400), cut)


@each_of(("planned", "end"), [(8, ""), (9, ""), (10, " of 10"), (None, "")])
def test_steps_that_were_planned_are_told_while_some_are_left(planned: int | None, end: str) -> None:
    numbers: dict[str, float | int | None] = {"rows": 9, "first_step": 1, "last_step": 9}
    report = Report(kind="diagnosis", passed=True, numbers=numbers, meta={"total_steps": planned})
    assert f"9 rows, steps 1-9{end}" in source_lines(report)


@pytest.mark.parametrize("values", [7, 8, 30])
def test_curves_keep_all_of_few_values_and_the_extremes_of_many(values: int) -> None:
    curve = np.array([0.0, 9.0, -9.0, *([1.0, 2.0] * values)][:values])
    found = extremes(curve, 4).tolist()
    assert {0, 1, 2, values - 1} <= set(found)
    assert (found == list(range(values))) == (values <= 8)
