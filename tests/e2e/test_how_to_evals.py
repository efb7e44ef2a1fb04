"""The how-to pages on evaluations: their commands print what is shown, and their code runs."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from rldk.cli.main import main
from rldk.evals.registry import evaluations

ROOT = Path(__file__).parents[2]
PAGES = {
    name: (ROOT / "docs" / "how-to" / f"{name}.md").read_text() for name in ("is-b-better-than-a", "evaluate-answers")
}
BLOCKS = {name: re.findall(r"```(\w*)\n(.*?)```", page, re.DOTALL) for name, page in PAGES.items()}


@pytest.fixture(autouse=True)
def _in_the_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def _printed(line: str) -> str:
    done = CliRunner().invoke(main, shlex.split(line)[1:])
    assert done.exit_code in (0, 1), done.output
    return done.stdout


@pytest.mark.slow
def test_the_commands_print_what_is_shown() -> None:
    for blocks in BLOCKS.values():
        commands: list[str] = []
        for kind, text in blocks:
            if text.startswith("rldk "):
                commands = [line for line in text.strip().splitlines() if "examples/" in line or "list-suites" in line]
                shown = [_printed(line) for line in commands]
            elif not kind and commands:
                assert text.strip() in shown[-1], commands[-1]


def test_every_option_of_the_pages_is_there() -> None:
    for page in PAGES.values():
        for line in re.findall(r"^rldk evals (.*)$", page, re.MULTILINE):
            words = shlex.split(line)
            text = CliRunner().invoke(main, ["evals", words[0], "--help"]).stdout
            assert not [word for word in words if word.startswith("--") and word not in text]


def test_the_code_runs(capsys: pytest.CaptureFixture[str]) -> None:
    code = {name: next(t for kind, t in blocks if kind == "python") for name, blocks in BLOCKS.items()}
    exec(compile(code["is-b-better-than-a"], "page", "exec"), {})
    assert capsys.readouterr().out == "better 0.155 150\n"
    try:
        exec(compile(code["evaluate-answers"], "page", "exec"), {})
    finally:
        evaluations._items.pop("short-answers", None)
    assert capsys.readouterr().out == "1.0 needs `reward`\n"
