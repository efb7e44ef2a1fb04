"""The pages about rewards and evaluations in a real browser: nothing is cut off, and each plot has marks and points."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from made_answers import answers as evaluated
from made_answers import red_team
from made_rewards import answers, rows

from rldk.cards import page
from rldk.core.model import Report
from rldk.evals import compare, run
from rldk.reward import compare_models, health

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.integration
BINARY = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
# tables and texts of plots that are wider than what holds them
CUT_OFF = """[...document.querySelectorAll('.scroll')].filter(e => e.scrollWidth > e.clientWidth + 1).length
+ [...document.querySelectorAll('svg.chart text')].filter(e => {
    const own = e.getBoundingClientRect(), all = e.closest('svg').getBoundingClientRect()
    return own.left < all.left - 1 || own.right > all.right + 1 || own.bottom > all.bottom + 1
}).length"""


def scored() -> list[dict[str, Any]]:
    """Answers over a run in which one scorer of three overrates some, and the gold score falls."""
    columns = answers(prompts=300, per_word=0.05)
    rng = np.random.default_rng(0)
    count = len(columns["reward"])
    step = np.arange(count) // 12
    truth = np.array(columns["reward"])
    gold = truth * 0.3 - 0.02 * step
    fooled = (rng.random(count) < 0.06) * 4.0
    columns |= {f"score_{i}": (truth + rng.normal(0, 0.4, count) + fooled * (i == 0)).tolist() for i in range(3)}
    columns |= {"gold_score": gold.tolist(), "step": step.tolist()}
    columns["reward"] = (truth + fooled / 3 + 0.02 * step).tolist()
    return rows(columns)


def by_length(texts: list[str]) -> list[float]:
    return [len(text) / 50 - 4 for text in texts]


def noisy(texts: list[str]) -> list[float]:
    made: list[float] = (np.array(by_length(texts)) + np.random.default_rng(1).normal(size=len(texts))).tolist()
    return made


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
def reports() -> dict[str, tuple[Report, int]]:
    """Name -> the report, and how many plots it has."""
    columns = answers(prompts=100)
    return {
        "health": (health(scored(), reward_col="reward"), 6),
        "models": (compare_models(by_length, noisy, columns["prompt"], columns["response"]), 1),
        "safety": (run(red_team(), "safety"), 0),
        "comprehensive": (run(evaluated(), "comprehensive"), 0),
        "comparison": (compare(evaluated(), evaluated()), 0),
    }


@pytest.mark.parametrize("name", ["health", "models", "safety", "comprehensive", "comparison"])
def test_a_page_fits_its_window_and_its_plots_are_drawn(
    browser: Browser, reports: dict[str, tuple[Report, int]], name: str, tmp_path: Path
) -> None:
    report, plots = reports[name]
    path = tmp_path / "page.html"
    path.write_text(page.render(report), encoding="utf-8")
    sheet = browser.new_page(viewport={"width": 1100, "height": 900})
    noise: list[str] = []
    sheet.on("console", lambda message: noise.append(message.text))
    sheet.goto(path.as_uri())
    assert sheet.evaluate(CUT_OFF) == 0
    assert sheet.locator("svg.chart").count() == plots
    assert sheet.evaluate("[...document.querySelectorAll('svg.chart')].every(e => e.querySelector('.dot, .bar'))")
    sheet.set_viewport_size({"width": 420, "height": 800})
    assert sheet.evaluate("document.documentElement.scrollWidth") <= 420
    assert noise == []
