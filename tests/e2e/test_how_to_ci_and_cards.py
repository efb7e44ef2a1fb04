"""The how-to pages of cards and CI: every command that they show parses, and the code runs."""

from __future__ import annotations

import json
import re
from pathlib import Path

import click
import pytest
import yaml
from shown_commands import parse

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to"
CI, CARDS = ((HOW_TO / name).read_text(encoding="utf-8") for name in ("add-rldk-to-ci.md", "cards.md"))
WORKFLOWS = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", CI, re.DOTALL)]


def _commands() -> list[str]:
    github, gitlab = WORKFLOWS
    steps = [step["run"] for step in github["jobs"]["smoke"]["steps"] if "run" in step]
    shown = re.findall(r"^rldk .*$", CARDS, re.MULTILINE) + re.findall(r"\| `(rldk [^`]*)` \|", CI)
    return [line for line in (*steps, *gitlab["training"]["script"], *shown) if line.startswith("rldk ")]


def test_every_command_that_is_shown_parses() -> None:
    commands = _commands()
    assert len(commands) >= 15
    for line in commands:
        parse(line)


def test_a_command_with_an_unknown_option_would_be_noticed() -> None:
    with pytest.raises(click.NoSuchOption):
        parse("rldk card reward run --gates")


def test_every_command_of_the_table_has_the_options_of_a_build() -> None:
    table = re.findall(r"\| `(rldk [^`]*)` \|", CI)
    assert len(table) >= 5
    for line in table:
        parse(f"{line} --gate --gate-codes 0,1,1 --format junit --output f.xml")


@pytest.mark.slow
def test_the_code_of_the_page_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("exp1", "before", "after"):
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        rows = ({"step": i, "kl": 0.1, "reward_mean": i / 99} for i in range(99))
        (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    exec(compile(re.findall(r"```python\n(.*?)```", CARDS, re.DOTALL)[0], "cards.md", "exec"), {})
    assert "identical, bit for bit" in capsys.readouterr().out
    assert (tmp_path / "cards" / "reward_card.html").is_file()
