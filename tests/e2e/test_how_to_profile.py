"""The how-to page of profiles: what it names is there, and its program has the bottleneck that it shows."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from rldk.cli.main import main
from rldk.profiling import ProfileReport, profile, profile_command
from rldk.profiling.session import ProfiledPart

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "profile-a-run.md").read_text(encoding="utf-8")
PROGRAM, PART = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def test_every_option_of_the_page_is_there() -> None:
    shown = CliRunner().invoke(main, ["profile", "--help"]).stdout
    assert [option for option in re.findall(r"(?<![\w-])--[a-z][a-z-]+", PAGE) if option not in shown] == []


def test_the_part_of_a_program_uses_what_is_there() -> None:
    compile(PART, "page", "exec")
    assert callable(profile)
    methods = {name for name in re.findall(r"profile\.(\w+)", PART) if name not in ("profile", "report")}
    assert methods == {"phase", "step"} & set(dir(ProfiledPart))
    assert set(re.findall(r"report\.(\w+)", PART)) <= set(ProfileReport.__struct_fields__)


@pytest.mark.slow
@pytest.mark.integration
def test_the_program_of_the_page_has_the_bottleneck_of_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    Path("train.py").write_text(PROGRAM)
    report = profile_command([sys.executable, "train.py"], output_dir="kept")
    assert re.search(r"The bottleneck is the reward: \d\d% of the time of a step", report.bottleneck)
    assert "grade_answers (train.py:8)" in report.bottleneck
