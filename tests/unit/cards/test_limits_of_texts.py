"""Texts that are shortened: whole at their limit, cut beyond it."""

from __future__ import annotations

import pytest

from rldk.cards import terminal
from rldk.cards.words import unread_files
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
