"""The HTML report in a real browser: offline, silent, and the shaded steps can be seen in light and dark."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

from rldk.diagnosis import diagnose

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.integration
FIXTURE = Path(__file__).parents[1] / "fixtures/trl-grpo-collapse"
BINARY = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if BINARY is None:
        pytest.skip("no chromium on this machine")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BINARY, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from rldk.cards.page import render

    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(render(diagnose(FIXTURE)), encoding="utf-8")
    return path


def _opened(browser: Browser, file: Path, theme: Literal["light", "dark"]) -> tuple[Page, list[str]]:
    page = browser.new_context(color_scheme=theme, offline=True, viewport={"width": 1280, "height": 720}).new_page()
    noise: list[str] = []
    page.on("console", lambda message: noise.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: noise.append(f"error: {error}"))
    page.on(
        "request", lambda request: noise.append(f"request: {request.url}") if request.url != file.as_uri() else None
    )
    page.goto(file.as_uri(), wait_until="load")
    return page, noise


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_report_is_silent_and_shows_the_incident(
    browser: Browser, file: Path, theme: Literal["light", "dark"]
) -> None:
    page, noise = _opened(browser, file, theme)
    assert noise == []
    assert page.locator(".banner .badge").inner_text() in {"CRITICAL", "WARNING"}
    band = page.locator("article.incident rect.band").first
    box = band.bounding_box()
    assert box is not None
    assert box["width"] > 2
    assert box["height"] > 50
    fill, ground = (page.evaluate(f"getComputedStyle(document.querySelector('{q}')).{p}") for q, p in _COLOURS)
    assert fill != ground


_COLOURS = (("article.incident rect.band", "fill"), ("svg.chart", "backgroundColor"))


def test_the_themes_differ_and_nothing_is_wider_than_the_window(browser: Browser, file: Path) -> None:
    grounds = set()
    for theme in ("light", "dark"):
        page, _ = _opened(browser, file, theme)  # type: ignore[arg-type]
        grounds.add(page.evaluate("getComputedStyle(document.querySelector('main')).backgroundColor"))
        page.set_viewport_size({"width": 420, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= 420
    assert len(grounds) == 2


def test_every_chart_has_a_name_for_those_who_cannot_see_it(browser: Browser, file: Path) -> None:
    page, _ = _opened(browser, file, "light")
    charts = page.get_by_role("img")
    assert charts.count() >= 3
    assert all(charts.nth(i).get_attribute("aria-label") for i in range(charts.count()))
