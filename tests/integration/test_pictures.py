"""PNG and SVG as matplotlib draws them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest

from rldk.cards import png, svg
from rldk.cards.canvas import drawable, measure
from rldk.cards.report_view import view_of
from rldk.core.view import Paragraph, Section, View
from rldk.diagnosis import diagnose

pytestmark = pytest.mark.integration
pytest.importorskip("matplotlib")
FIXTURES = Path(__file__).parents[1] / "fixtures"
RUN = FIXTURES / "trl-dpo"


def _doctor(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from rldk.cli.main import main; main(prog_name='rldk')", "doctor", str(RUN)]
    return subprocess.run([*command, *words], capture_output=True, text=True, cwd=cwd, check=False)


@pytest.mark.parametrize("form", ["png", "svg"])
def test_the_same_report_gives_the_same_bytes_whatever_the_settings_are(form: str, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "matplotlibrc").write_text("savefig.dpi: 40\nfont.family: serif\nsvg.fonttype: none\naxes.grid: True\n")
    for folder in (tmp_path, own):
        assert _doctor("--output", f"r.{form}", cwd=folder).stderr.endswith(f"wrote r.{form}\n")
    assert (tmp_path / f"r.{form}").read_bytes() == (own / f"r.{form}").read_bytes()


def test_a_picture_is_no_text_for_the_screen(tmp_path: Path) -> None:
    done = _doctor("--format", "png", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "name its file: --output report.png" in done.stderr


def test_hostile_text_is_drawn_and_nothing_else() -> None:
    text = "$\\frac{1}{0$ <script>alert(1)</script> ]]> &amp; \x1b[31m \u202e 漢字 \U0001f600 \ud800"
    view = View(
        kind="test", title=text, tone="ok", badge=text, banner=text,
        sections=(Section(title=text, parts=(Paragraph(text=text),)),),
    )  # fmt: skip
    root = Xml.fromstring(svg.render(view))
    assert not [e for e in root.iter() if e.tag.endswith(("script", "image", "foreignObject"))]
    assert png.render(view).startswith(b"\x89PNG")


def test_a_character_without_a_glyph_is_a_square() -> None:
    assert drawable("a漢b", "plain") == "a\N{WHITE SQUARE}b"
    assert 0 < measure("i", "plain", 10) < measure("W", "plain", 10) < 12
    assert measure("i", "mono", 10) == measure("W", "mono", 10)


def test_numbers_near_the_limits_of_floats_are_drawn() -> None:
    from rldk.core.view import Curve

    curve = Curve(name="lr", step=[1, 2, 3], value=[-1.7e308, 1.7e308, 0.0], gaps=[2])
    view = View(
        kind="test", title="x", tone="ok", badge="x", banner="x", sections=(Section(title="x", parts=(curve,)),)
    )
    assert png.render(view) == png.render(view)


def test_a_picture_of_a_report_is_a_sixth_of_a_megabyte_or_so() -> None:
    drawn = png.render(view_of(diagnose(RUN)))
    assert 20_000 < len(drawn) < 2_000_000
