"""What an interpreter says of itself, and which packages may be asked for."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

import pytest
from examples import each_of

from rldk.errors import UnreadableSource
from rldk.provenance.interpreters import environment_variables, interpreter_facts, interpreter_of, make_environment


def test_the_interpreter_of_a_command_is_its_first_word(tmp_path: Path) -> None:
    assert interpreter_of([sys.executable, "train.py"], tmp_path) == sys.executable
    assert interpreter_of([".venv/bin/python3.11", "x"], tmp_path) == str(tmp_path / ".venv/bin/python3.11")
    assert interpreter_of(["./run.sh"], tmp_path) is None
    assert interpreter_of([], tmp_path) is None


@pytest.mark.slow
def test_an_interpreter_names_its_packages() -> None:
    facts = interpreter_facts(sys.executable)
    assert facts.python == platform.python_version()
    assert "msgspec" in facts.packages


@pytest.mark.parametrize("program", ["/no/such/python", "/bin/true"])
def test_what_does_not_answer_is_an_input_error(program: str) -> None:
    with pytest.raises(UnreadableSource, match="does not say which packages"):
        interpreter_facts(program)


@each_of("package", [("--index-url=x", "1"), ("a b", "1"), ("a", "1; import os"), ("a", "-r x")])
def test_a_record_cannot_hand_options_to_pip(package: tuple[str, str], tmp_path: Path) -> None:
    with pytest.raises(UnreadableSource, match="no package"):
        make_environment(tmp_path / "e", dict([package]))
    assert not (tmp_path / "e").exists()


def test_commands_find_the_environment_first() -> None:
    found = environment_variables(Path("/e/bin/python"), {"PATH": "/usr/bin"})
    assert found == {"VIRTUAL_ENV": "/e", "PATH": "/e/bin:/usr/bin", "PYTHONHOME": None}
