"""The renderers of a measurement."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

from rldk.bench.compare import compare
from rldk.bench.score import score
from rldk.bench.tables import tables, view_of
from rldk.cards import markdown, page, terminal
from rldk.core.view import View

HOSTILE = "<script>alert(1)</script>|`x`"


def shown(make: Any) -> View:
    results = [make(HOSTILE, "none", ("KL001", 3)), make("b", "lr_jump"), make("c", "lr_jump", ("OPT003", 72))]
    scored = score(results, "corpus")
    return view_of(scored, tables(scored, compare(results[:2], results)))


def test_the_page_is_well_formed_and_hostile_text_stays_text(make: Any) -> None:
    drawn = page.render(shown(make))
    seen: list[str] = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attrs: seen.append(tag)  # type: ignore[method-assign]
    parser.feed(drawn)
    assert all(drawn.count(f"<{tag}") == drawn.count(f"</{tag}>") for tag in ("table", "tr", "td", "svg", "section"))
    assert "script" not in seen
    assert "default-src 'none'" in drawn
    assert 'aria-label="50%, from 9% to 91%"' in drawn


def test_text_and_markdown_tell_the_runs(make: Any) -> None:
    told, marked = terminal.render(shown(make)), markdown.render(shown(make), head=False)
    assert "False alarms on healthy runs" in told
    assert "KL001 warn at 3" in told
    assert "Not compared, only now: 1 run." in told
    assert "\\<script\\>" in marked
    assert "| faults named | 1 of 2 | 50 % | 9-91 % |" in marked
