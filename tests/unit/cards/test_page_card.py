"""The report as a page."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

from msgspec.structs import replace

from rldk.cards.page import pages, render
from rldk.core.model import Report
from rldk.core.registry import renderers

VOID = {"meta", "br", "img", "link"}


class Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_well_formed_and_hostile_text_stays_text(report: Report) -> None:
    tags = Tags(render(report))
    assert not tags.open
    assert not {t for t, _ in tags.seen} & {"script", "img", "link", "iframe"}
    assert not [a for _, attrs in tags.seen for a in attrs if a.startswith("on") or a in {"src", "href", "style"}]


def test_the_policy_allows_the_style_sheet_of_the_page_and_nothing_else(report: Report) -> None:
    text = render(report)
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)
    assert style
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'sha256-{digest}'" in text
    assert "url(" not in style[1]
    assert "@import" not in style[1]


def test_severity_is_said_in_words_and_the_range_is_shaded(report: Report) -> None:
    text = render(report)
    assert '<span class="badge">CRITICAL</span>' in text
    assert 'class="band critical"' in text
    assert "the policy collapsed" in text
    assert "lower <code>beta</code>" in text
    assert "VAL001, VAL002" in text


def test_a_fragment_is_one_element_for_a_notebook(report: Report) -> None:
    assert report._repr_html_() == renderers.get("html")(report, fragment=True)
    assert report._repr_html_().startswith('<div class="rldk">')
    assert not Tags(report._repr_html_()).open


def test_several_reports_share_one_page(report: Report) -> None:
    tags = Tags(pages([report, report]))
    assert [t for t, _ in tags.seen].count("main") == 3  # an index above them
    assert not tags.open


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def test_text_contrast_is_at_least_four_and_a_half_in_both_themes() -> None:
    style = re.search(r"<style>(.*?)</style>", render(Report(kind="diagnosis", passed=True)), re.DOTALL)
    assert style
    for theme in re.findall(r"--paper:.*?--ok: #\w+;", style[1], re.DOTALL):
        colour = dict(re.findall(r"--([\w-]+): (#\w{6})", theme))
        for name in ("ink", "soft", "critical", "warn", "info", "ok"):
            for ground in ("paper", "sheet"):
                high, low = sorted((_luminance(colour[name]), _luminance(colour[ground])), reverse=True)
                assert (high + 0.05) / (low + 0.05) >= 4.5, (name, ground)


def test_every_finding_and_what_came_with_an_incident_is_in_a_table(report: Report) -> None:
    text = render(report)
    rows = re.findall(r'<tr class="(\w+)">(.*?)</tr>', text)
    codes = [(severity, code) for severity, row in rows for code in re.findall(r"<code>([A-Z]+\d+)</code>", row)]
    assert ("critical", "REW003") in codes
    assert {"GRAD002", "ENT001"} <= {code for _, code in codes}


def test_a_report_without_findings_has_no_table_of_them(report: Report) -> None:
    text = render(replace(report, findings=(), incidents=()))
    assert "Every finding" not in text
    assert not re.findall(r'<tr class="(?:info|warn|critical)">', text)
