"""How each setting is read, word by word, and where the files of settings lie."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from examples import each_of

from rldk.config import KEYS, load_settings
from rldk.errors import ConfigError

DEFAULTS = {
    "select": (), "ignore": (), "fail_on": "critical", "adapter": None, "field_map": None, "strict": False,
    "validation_mode": "flexible", "required_fields": (), "color": "auto",
}  # fmt: skip


def _read(key: str, value: Any) -> Any:
    return load_settings({key: value}, cwd=Path("/"), env={})[key]


def test_defaults() -> None:
    settings = load_settings(cwd=Path("/"), env={})
    assert {key: setting.value for key, setting in settings.all.items()} == DEFAULTS
    assert {setting.origin for setting in settings.all.values()} == {"default"}
    assert all(key.help for key in KEYS.values())


@each_of(
    ("key", "value", "expected"),
    [
        *[("strict", word, True) for word in ("1", "true", "YES", "on", True, 1)],
        *[("strict", word, False) for word in ("0", "False", "no", "off", False, 0)],
        ("select", "KL, , REW001 ,", ("KL", "REW001")), ("select", ["KL ", ""], ("KL",)), ("ignore", ("A",), ("A",)),
        ("required_fields", "", ()), ("adapter", "jsonl", "jsonl"), ("field_map", '{"a": "kl"}', {"a": "kl"}),
        ("field_map", {}, {}), *[("fail_on", word, word) for word in ("warn", "critical", "never")],
        *[("color", word, word) for word in ("auto", "always", "never")],
        *[("validation_mode", word, word) for word in ("strict", "flexible", "lenient")],
    ],
)  # fmt: skip
def test_a_value_that_is_read(key: str, value: Any, expected: Any) -> None:
    found = _read(key, value)
    assert (found, type(found)) == (expected, type(expected))


@each_of(
    ("key", "value", "hint"),
    [
        ("strict", "maybe", "true or false"), ("strict", 2, "true or false"), ("select", 3, "a list of names"),
        ("select", ["KL", 3], "a list of names"), ("adapter", 3, "a string"),
        ("field_map", "{", "a mapping of your names"),
        ("field_map", '["a"]', "a mapping of your names"), ("field_map", {"a": 1}, "a mapping of your names"),
        ("color", "blue", "one of auto, always, never"), ("validation_mode", "", "one of strict, flexible, lenient"),
    ],
)  # fmt: skip
def test_a_value_that_is_refused(key: str, value: Any, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        _read(key, value)
    assert hint in caught.value.hint
    assert caught.value.message == f"flag: {key} is {value!r}"


def test_the_file_of_the_user_lies_in_the_home_or_where_xdg_says(tmp_path: Path) -> None:
    for folder, word in ((tmp_path / ".config", "warn"), (tmp_path / "xdg", "never")):
        (folder / "rldk").mkdir(parents=True)
        (folder / "rldk" / "config.toml").write_text(f'fail_on = "{word}"\n')
    (tmp_path / "project").mkdir()

    def found(env: dict[str, str]) -> Any:
        return load_settings(cwd=tmp_path / "project", env=env)["fail_on"]

    assert found({"HOME": str(tmp_path)}) == "warn"
    assert found({"HOME": str(tmp_path), "XDG_CONFIG_HOME": ""}) == "warn"
    assert found({"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "xdg")}) == "never"
    assert found({}) == "critical"


def test_the_environment_and_the_folder_of_the_process_are_the_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rldk.toml").write_text('select = ["KL"]\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RLDK_IGNORE", "LEN")
    settings = load_settings()
    assert (settings["select"], settings["ignore"]) == (("KL",), ("LEN",))


def test_an_empty_variable_and_a_flag_that_was_not_given_say_nothing(tmp_path: Path) -> None:
    settings = load_settings({"strict": None}, cwd=tmp_path, env={"RLDK_STRICT": "", "RLDK_COLOR": "never"})
    assert (settings["strict"], settings["color"], settings.all["color"].origin) == (False, "never", "env RLDK_COLOR")


@each_of("text", ["x = 1\n", "[tool]\nx = 1\n", "[tool.rldk-other]\nstrict = true\n", "tool = 3\n"])
def test_a_pyproject_without_our_table_is_looked_past(tmp_path: Path, text: str) -> None:
    (tmp_path / "rldk.toml").write_text("strict = true\n")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "pyproject.toml").write_text(text)
    assert load_settings(cwd=tmp_path / "deep", env={})["strict"] is True


def test_a_file_of_another_suffix_is_toml(tmp_path: Path) -> None:
    for name, text in (("a.conf", "strict = true"), ("A.JSON", '{"strict": true}'), ("a.yml", "strict: yes")):
        (tmp_path / name).write_text(text)
        assert load_settings(file=tmp_path / name, cwd=tmp_path, env={})["strict"] is True, name
    with pytest.raises(ConfigError, match="No such file"):
        load_settings(file=tmp_path / "absent.json", cwd=tmp_path, env={})
    (tmp_path / "odd.yaml").write_text("3: x\n")
    with pytest.raises(ConfigError) as caught:
        load_settings(file=tmp_path / "odd.yaml", cwd=tmp_path, env={})
    assert "is not a mapping of settings" in caught.value.message
    assert caught.value.hint == f"it may set {', '.join(KEYS)}"
