"""The how-to pages about repeating runs: their commands parse, and every option and name that they show is there."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from shown_commands import parse

from rldk.cli.main import main

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs" / "how-to"
PAGES = {"replay-a-run": "replay", "bisect-a-regression": "bisect", "check-resume": "check-resume"}
OF_THE_TRAINING = {"--out", "--seed", "--save-every"}


@pytest.mark.parametrize("page", [*PAGES, "check-determinism", "trace-nondeterminism", "profile-a-run"])
def test_every_command_of_the_page_parses(page: str) -> None:
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    lines = re.findall(r"^rldk .*$", text, re.MULTILINE)
    assert lines
    for line in lines:
        parse(line)
        assert all((ROOT / name).is_file() for name in re.findall(r"examples/\S+\.py", line)), line


@pytest.mark.parametrize("page", PAGES)
def test_every_option_of_the_page_is_there(page: str) -> None:
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    shown = CliRunner().invoke(main, [PAGES[page], "--help"]).stdout
    options = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)) - OF_THE_TRAINING
    assert [option for option in options if option not in shown] == []


@pytest.mark.parametrize("page", PAGES)
def test_the_code_of_the_page_names_what_is_there(page: str) -> None:
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    compile(code, page, "exec")
    module, name = re.findall(r"from (\S+) import (\S+)", code)[0]
    report = {"replay": "ReplayReport", "bisect_commits": "BisectResult", "check_resume": "ResumeReport"}[name]
    home = importlib.import_module(module)
    assert callable(getattr(home, name))
    asked = {word.split(".")[1] for word in re.findall(r"(?:report|result)\.\w+", text)}
    assert asked <= set(getattr(home, report).__struct_fields__)
