"""Trust cards in a real browser: light and dark, in a narrow window, and printed on one page."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest
from msgspec.structs import replace

from rldk import cards
from rldk.cards import page
from rldk.cards.trust.card import Card
from rldk.cards.trust.facts import CardCheck, CardTable
from rldk.cards.trust.status import CardWord
from rldk.core.model import Note

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

Theme = Literal["light", "dark"]
pytestmark = pytest.mark.integration
FIXTURES = Path(__file__).parents[1] / "fixtures"
BINARY = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
WORDS = "the quick brown fox jumps over the lazy dog and "
# how many parts a card has, and how long its texts are: just what fits, more, and far too much
SIZES = {"some": (5, 2), "more": (10, 5), "many": (20, 3), "long": (9, 9), "fullest": (80, 9)}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if BINARY is None:
        pytest.skip("no chromium on this machine")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BINARY, args=["--no-sandbox"])
        yield browser
        browser.close()


def filled(card: Card, count: int, length: int) -> Card:
    """The card with so many parts, each of them with a text of so many times `WORDS`."""
    text = WORDS * length
    statuses: tuple[CardWord, ...] = ("fail", "warn", "pass", "not checked")
    checks = tuple(
        CardCheck(
            name=f"Check {i} of a long name",
            code=f"c{i}",
            status=statuses[i % 4],
            result=text,
            reason=text,
            method=text,
            value=i / 7,
            low=0.1,
            high=0.2,
            n=i,
            of="values",
            fixes=(f"{i} {text}",),
        )
        for i in range(count)
    )
    table = CardTable(title="A table", heads=("a", "b", "c"), rows=((text, text, text),) * count)
    notes = tuple(Note(topic="n", text=text) for _ in range(count))
    subjects = tuple(replace(one, source=text) for one in card.subjects[:1] * 9)
    return replace(
        card, verdict=text, checks=checks, curves=card.curves[:1] * 9, tables=(table,) * 5, notes=notes,
        subjects=subjects, command=text,
    )  # fmt: skip


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("cards")
    ppo = FIXTURES / "trl-ppo"
    dpo, hot = FIXTURES / "trl-dpo", FIXTURES / "trl-dpo-hot"
    reward = cards.generate_reward_card(FIXTURES / "trl-grpo-collapse")
    made = {
        "determinism": cards.generate_determinism_card([ppo, ppo]),
        "drift": cards.generate_drift_card(dpo, hot),
        "reward": reward,
        "kl": cards.generate_kl_drift_card(ppo),
        **{name: filled(reward, *size) for name, size in SIZES.items()},
    }
    for name, card in made.items():
        (folder / f"{name}.html").write_text(page.render(card.view()), encoding="utf-8")
    return {name: folder / f"{name}.html" for name in made}


@pytest.mark.parametrize("name", ["determinism", "drift", "reward", "kl", *SIZES])
def test_a_card_is_silent_differs_by_theme_fits_the_window_and_prints_on_one_page(
    browser: Browser, files: dict[str, Path], name: str
) -> None:
    uri, grounds = files[name].as_uri(), set()
    themes: tuple[Theme, Theme] = ("light", "dark")
    for theme in themes:
        sheet, noise = opened(browser, uri, theme)
        assert noise == []
        grounds.add(sheet.evaluate("getComputedStyle(document.querySelector('main')).backgroundColor"))
        sheet.set_viewport_size({"width": 420, "height": 800})
        assert sheet.evaluate("document.documentElement.scrollWidth") <= 420
        for paper in ("A4", "Letter"):
            assert pages_in(sheet.pdf(format=paper, print_background=True)) == 1, f"{name}, {theme}, {paper}"
        sheet.context.close()
    assert len(grounds) == 2


def opened(browser: Browser, uri: str, theme: Theme) -> tuple[Page, list[str]]:
    """The file in a browser without a network, and whatever it said or asked for."""
    sheet = browser.new_context(color_scheme=theme, offline=True, viewport={"width": 1280, "height": 800}).new_page()
    noise: list[str] = []
    sheet.on("console", lambda message: noise.append(message.text))
    sheet.on("pageerror", lambda error: noise.append(str(error)))
    sheet.on("request", lambda request: noise.append(request.url) if request.url != uri else None)
    sheet.goto(uri, wait_until="load")
    return sheet, noise


def pages_in(pdf: bytes) -> int:
    """How many pages a PDF has."""
    return len(re.findall(rb"/Type\s*/Page[^s]", pdf))


def test_the_count_of_pages_sees_a_second_one(browser: Browser, tmp_path: Path) -> None:
    sheet = browser.new_page()
    sheet.set_content("<p style='break-after: page'>one</p><p>two</p>")
    assert pages_in(sheet.pdf(format="A4")) == 2
