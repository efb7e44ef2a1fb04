"""A new kind of report needs no new renderer, and a new renderer no new kind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from examples import each_of

from rldk.cards import github, junit, markdown, page, sarif, terminal
from rldk.cards.drawing import Words
from rldk.cards.picture import picture
from rldk.cli.main import main
from rldk.core.model import Report
from rldk.core.registry import renderers
from rldk.core.view import Curve, Facts, Paragraph, Problem, Section, Table, View

FIXTURES = Path(__file__).parents[2] / "fixtures"


class BrewReport(Report, frozen=True, kw_only=True):
    """A kind that no renderer knows, with an attribute of its own."""

    cups: int = 0

    def view(self) -> View:
        problem = Problem(code="BREW001", name="too-cold", severity="warn", message="the water had 70 degrees")
        table = Table(heads=("cup", "taste"), rows=tuple((str(i), "sour") for i in range(self.cups)))
        curve = Curve(name="temperature", step=[1, 2, 3], value=[90.0, 80.0, 70.0])
        parts = (Paragraph(text="Heat it more."), table, curve, Facts(pairs=(("beans", "light"),)))
        return View(
            kind=self.kind, title="brew", tone="warn", badge="SOUR", banner=f"{self.cups} cups are sour.",
            sections=(Section(title="Cups", parts=parts),), problems=(problem,), checked=("BREW001",),
        )  # fmt: skip


BREW = BrewReport(kind="brew", passed=True, cups=2)


@each_of(
    "draw",
    [terminal.render, markdown.render, page.render, github.render, junit.render, sarif.render],
    ids=["terminal", "markdown", "html", "github", "junit", "sarif"],
)
def test_every_renderer_draws_a_kind_that_it_does_not_know(draw) -> None:  # type: ignore[no-untyped-def]
    text = draw(BREW.view())
    says_rows = draw in (terminal.render, markdown.render, page.render)
    assert ("2 cups are sour." in text and "sour" in text) if says_rows else "the water had 70 degrees" in text


def test_a_picture_draws_it_too_and_the_report_is_json() -> None:
    shapes = picture(BREW.view(), lambda text, face, size: 0.6 * size * len(text)).drawing.shapes
    said = " ".join(shape.text for shape in shapes if isinstance(shape, Words))
    assert "2 cups are sour." in said
    assert "temperature" in said
    assert json.loads(json.dumps(BREW.to_dict()))["cups"] == 2


@pytest.mark.slow
def test_a_new_renderer_draws_every_report(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    def haiku(views: list[View]) -> str:
        return " / ".join(f"{view.badge}, {view.title}, {len(view.problems)}" for view in views)

    assert len(renderers) > 5  # loaded, so that only this test sees the new one
    monkeypatch.setitem(renderers._items, "haiku", haiku)
    with pytest.raises(SystemExit):
        main(["doctor", str(FIXTURES / "trl-grpo-collapse"), str(FIXTURES / "trl-dpo"), "--format", "haiku"])
    assert capfd.readouterr().out.startswith("CRITICAL, trl-grpo-collapse, ")
