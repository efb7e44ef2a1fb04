"""The command of a replica as users write it."""

from __future__ import annotations

from pathlib import Path

import pytest
from examples import each_of

from rldk.engine.replicas.command import command_template
from rldk.errors import UsageError


def test_fields_and_variables_are_filled_in_every_word() -> None:
    made = command_template("MODE=x{seed} python train.py --seed={seed} --out '{out}/a b' --json '{\"k\": 1}'")
    argv, variables = made.filled({"seed": "7", "out": "/o"})
    assert argv == ("python", "train.py", "--seed=7", "--out", "/o/a b", "--json", '{"k": 1}')
    assert variables == {"MODE": "x7"}
    assert made.has("seed")
    assert not made.has("steps")


@each_of("cmd", ["", "A=1", "python a.py | tee x", "cd x && python a.py", "python 'a"])
def test_what_is_no_command_is_refused(cmd: str) -> None:
    with pytest.raises(UsageError):
        command_template(cmd)


def test_words_are_taken_as_they_are() -> None:
    assert command_template(["echo", "a b", "|"]).words == ("echo", "a b", "|")


def test_a_field_without_a_value_is_named() -> None:
    with pytest.raises(UsageError, match="steps"):
        command_template("python a.py {steps}").filled({"seed": "1"})


def test_the_script_is_found_by_file_and_by_module(tmp_path: Path) -> None:
    (tmp_path / "pkg").mkdir()
    for name in ("train.py", "pkg/__main__.py", "pkg/go.py"):
        (tmp_path / name).touch()
    found = {
        cmd: command_template(cmd).script(tmp_path)
        for cmd in ("python -u train.py", "python -m pkg", "python -m pkg.go", "python -m other", "echo")
    }
    assert list(found.values()) == [
        tmp_path / "train.py", tmp_path / "pkg/__main__.py", tmp_path / "pkg/go.py", None, None,
    ]  # fmt: skip
