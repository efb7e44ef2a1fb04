"""The command as a whole: help, unknown names, errors and their exit codes, what it loads."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from examples import each_of

import rldk
from rldk.cli.commands import COMMANDS
from rldk.cli.main import main


def run(*args: str, **options: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, list(args), env=options or None)
    return result.exit_code, result.stdout, result.stderr


def process(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "rldk", *args]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **env}, check=False)


def test_help_names_every_command_and_loads_none_of_them() -> None:
    code = """
import sys
from rldk.cli.main import main
try:
    main(["--help"])
finally:
    print(*sys.modules, file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert all(f"  {name} " in done.stdout for name in COMMANDS)
    assert not {m for m in done.stderr.split() if m.startswith("rldk.cli.")} - {"rldk.cli.main", "rldk.cli.commands"}


@each_of("name", COMMANDS)
def test_every_command_has_help_whose_first_line_is_the_one_in_the_list(name: str) -> None:
    code, out, _ = run(name, "--help")
    assert code == 0
    assert " ".join(out.split("\n\n")[1].split()).startswith(COMMANDS[name][1])


def commands(group: click.Group = main, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command and subcommand with the words that call it."""
    yield path, group
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


EVERY = dict(commands())


def examples(command: click.Command) -> list[str]:
    _, _, shown = cleandoc(command.help or "").partition("\b\nExample")
    return [line.strip() for line in shown.splitlines()[1:] if line.strip()]


def called(example: str) -> list[str]:
    """The words behind `rldk` in an example, without what a shell or a reader takes."""
    typed = re.split(r"\s{2,}", example[example.index("rldk ") :])[0]
    return shlex.split(re.split(r"[>|)]", typed)[0])[1:]


@each_of("path", EVERY, ids=" ".join)
def test_every_help_has_examples_that_the_parser_accepts(path: tuple[str, ...]) -> None:
    root = click.Context(main, info_name="rldk", **main.context_settings)
    shown = examples(EVERY[path])
    assert shown
    for example in shown:
        words = called(example)
        name, command, rest = main.resolve_command(root, words)
        while isinstance(command, click.Group) and not (command.invoke_without_command and rest[0].startswith("-")):
            name, command, rest = command.resolve_command(root, rest)
        assert command is not None, example
        command.make_context(name, rest, parent=root)


@each_of("path", EVERY, ids=" ".join)
def test_every_option_says_in_a_sentence_what_it_does(path: tuple[str, ...]) -> None:
    for option in EVERY[path].params:
        if isinstance(option, click.Option):
            sentence = (option.help or "").partition("  [")[0]
            assert re.fullmatch(r"[A-Za-z].* .*[.]", sentence), option.name


@each_of("path", EVERY, ids=" ".join)
def test_every_argument_is_named_in_the_text(path: tuple[str, ...]) -> None:
    command = EVERY[path]
    text = (command.help or "").partition("\b")[0]
    for argument in command.params:
        if isinstance(argument, click.Argument):
            for word in re.findall(r"[A-Z=]+", argument.metavar or str(argument.name).upper()):
                assert re.search(rf"\b{word}\b", text), word


@each_of(
    ("word", "nearest"), [("docter", "doctor"), ("explian", "explain"), ("xyzzy", "--help"), ("x" * 300, "--help")]
)
def test_an_unknown_command_names_the_nearest_and_exits_2(word: str, nearest: str) -> None:
    code, out, err = run(word)
    assert (code, out) == (2, "")
    assert err.startswith(f"error: unknown command '{word}'\nhint: ")
    assert nearest in err


@pytest.mark.parametrize("group", [(), ("rules",), ("config",)])
def test_a_bare_group_prints_its_help(group: tuple[str, ...]) -> None:
    _, out, err = run(*group)
    assert (out + err).startswith("Usage: ")


def test_a_wrong_option_exits_2_with_a_hint() -> None:
    code, _, err = run("version", "--nope")
    assert code == 2
    assert "No such option" in err
    assert "hint: `" in err


def test_an_error_is_also_a_document_under_json() -> None:
    code, out, err = run("explain", "reward_meen", "--json")
    assert code == 2
    assert json.loads(out)["schema_version"] == 1
    assert json.loads(out)["error"]["exit_code"] == 2
    assert "reward_mean" in json.loads(out)["error"]["hint"]
    assert err.startswith("error: ")


def test_an_internal_error_is_short_and_exits_5(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(COMMANDS, "version", ("nowhere", ""))
    code, _, err = run("version")
    assert code == 5
    assert "bug in rldk" in err
    assert "Traceback" not in err
    assert "Traceback" in run("version", RLDK_DEBUG="1")[2]


def test_a_sigterm_unwinds_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        run("version")
        with pytest.raises(SystemExit) as ended:
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert ended.value.code == 143


def test_version_says_the_package_version() -> None:
    assert run("version")[1].startswith(f"rldk {rldk.__version__} ")
    assert run("--version") == run("version")
    assert json.loads(run("version", "--json")[1])["rldk"] == rldk.__version__


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_completion_prints_a_script_for_the_command(shell: str) -> None:
    code, out, _ = run("completion", shell)
    assert code == 0
    assert "_RLDK_COMPLETE" in out


def test_completion_completes_commands() -> None:
    done = process(_RLDK_COMPLETE="bash_complete", COMP_WORDS="rldk expl", COMP_CWORD="1")
    assert done.stdout == "plain,explain\n"


def test_config_show_prints_each_value_with_its_origin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rldk.toml").write_text('fail_on = "warn"\n')
    monkeypatch.chdir(tmp_path)
    code, out, _ = run("config", "show", "--origin", RLDK_STRICT="1", XDG_CONFIG_HOME=str(tmp_path))
    assert code == 0
    origin = {line.split(" = ")[0]: line.split("  # ")[1] for line in out.splitlines()}
    assert origin["fail_on"] == str(tmp_path / "rldk.toml")
    assert origin["strict"] == "env RLDK_STRICT"
    assert json.loads(run("config", "show", "--json")[1])["fail_on"]["value"] == "warn"


def test_a_reader_that_goes_away_is_no_error() -> None:
    command = f"{sys.executable} -m rldk explain exit-codes | true"
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {command}"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_output_survives_a_terminal_without_unicode() -> None:
    done = process("explain", "exit-codes", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert done.returncode == 0


@pytest.mark.slow
def test_doctor_checks_the_installation_as_version_does() -> None:
    assert run("doctor", "--self") == run("version", "--self")
    assert json.loads(run("doctor", "--self", "--json")[1]) == json.loads(run("version", "--self", "--json")[1])
    code, _, err = run("doctor")
    assert code == 2
    assert "no PATH was given" in err


@each_of(
    ("words", "said"),
    [
        (["doctor", "--html", "--json", "x.jsonl"], "--html needs a value before --json"),
        (["monitor", "--once", "--regex", "trl"], "--once needs a value before --regex"),
        (["evals", "compare", "-o", "--json"], "`rldk evals compare --help`"),
    ],
)
def test_an_option_is_no_value_of_the_one_before(words: list[str], said: str) -> None:
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 2
    assert said in result.stderr
    assert not Path("--json").exists()
