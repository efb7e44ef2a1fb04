"""The sentences that several renderers share."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from rldk.cards.words import MAX_NAMES, outlook_line, sentence, source_lines, unknown_lines
from rldk.core.model import Report, Understanding


@pytest.mark.parametrize(
    ("count", "more"), [(MAX_NAMES, ""), (MAX_NAMES + 1, " and 1 more"), (1206, " and 1,200 more")]
)
def test_six_files_are_named_and_the_others_counted(report: Report, count: int, more: str) -> None:
    files = [f"/runs/a/{i}.jsonl" for i in range(count)]
    (line,) = [x for x in source_lines(replace(report, meta={**report.meta, "files": files})) if x.startswith("read:")]
    assert line == f"read: {', '.join(f'{i}.jsonl' for i in range(MAX_NAMES))}{more}"


@pytest.mark.parametrize(("count", "more"), [(6, ""), (7, " and 1 more with --all")])
def test_six_unknown_columns_are_named_and_the_others_counted(report: Report, count: int, more: str) -> None:
    known = replace(report, understanding=Understanding(state="partly", unknown=tuple("abcdefg"[:count])))
    assert unknown_lines(known) == [f"a, b, c, d, e, f{more}"]
    assert unknown_lines(known, everything=True) == [", ".join("abcdefg"[:count])]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (119, "119 seconds"),
        (120, "2 minutes"),
        (7199, "120 minutes"),
        (7200, "2 hours"),
        (172_799, "48 hours"),
        (172_800, "2 days"),
    ],
)
def test_a_duration_is_in_the_largest_unit_of_which_there_are_two(report: Report, seconds: float, said: str) -> None:
    outlook = {"numbers": {"seconds_left": float(seconds)}}
    assert f"about {said} left" in outlook_line(replace(report, meta={**report.meta, "outlook": outlook}))


def test_a_clause_becomes_a_sentence_and_a_metric_keeps_its_name() -> None:
    assert sentence("form, words and position decide") == "Form, words and position decide."
    assert sentence("kl has risen") == "kl has risen."
    assert sentence("reward_mean has fallen!") == "reward_mean has fallen!"
