"""Which setting wins, and who is named when one is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from examples import each_of

from rldk.config import load_settings
from rldk.errors import ConfigError


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "home/rldk").mkdir(parents=True)
    (tmp_path / "home/rldk/config.toml").write_text('fail_on = "never"\nignore = ["LEN"]\n')
    return {"XDG_CONFIG_HOME": str(tmp_path / "home")}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "project/sub/deep").mkdir(parents=True)
    (tmp_path / "project/rldk.toml").write_text('fail-on = "warn"\n')
    return tmp_path / "project/sub/deep"


def test_flag_over_env_over_project_over_user_over_default(home: dict[str, str], project: Path, tmp_path: Path) -> None:
    def value(flags: dict[str, str], env: dict[str, str], cwd: Path) -> str:
        return str(load_settings(flags, cwd=cwd, env=env)["fail_on"])

    assert value({}, {}, tmp_path) == "critical"
    assert value({}, home, tmp_path) == "never"
    assert value({}, home, project) == "warn"
    assert value({}, {**home, "RLDK_FAIL_ON": "critical"}, project) == "critical"
    assert value({"fail_on": "never"}, {**home, "RLDK_FAIL_ON": "critical"}, project) == "never"


def test_every_value_knows_its_origin(home: dict[str, str], project: Path) -> None:
    settings = load_settings({"strict": True}, cwd=project, env={**home, "RLDK_SELECT": "KL, REW001"})
    origins = {k: s.origin for k, s in settings.all.items()}
    assert settings["select"] == ("KL", "REW001")
    assert settings["ignore"] == ("LEN",)
    assert origins["strict"] == "flag"
    assert origins["select"] == "env RLDK_SELECT"
    assert origins["adapter"] == "default"
    assert origins["fail_on"].endswith("project/rldk.toml")
    assert origins["ignore"].endswith("config.toml")


def test_the_nearest_project_file_wins_and_a_pyproject_without_a_table_is_passed_over(project: Path) -> None:
    (project / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    assert load_settings(cwd=project, env={})["fail_on"] == "warn"
    (project / "pyproject.toml").write_text("[tool.rldk]\nfail_on = 'never'\n")
    setting = load_settings(cwd=project, env={}).all["fail_on"]
    assert setting.value == "never"
    assert setting.origin.endswith("[tool.rldk]")


@each_of(
    ("text", "message", "hint"),
    [
        ('fail_onn = "warn"', "unknown setting 'fail_onn'", "did you mean fail_on?"),
        ('fail_on = "loud"', "fail_on is 'loud'", "one of warn, critical, never"),
        ("select = [1]", "select is [1]", "a list of names"),
        ("strict = 3", "strict is 3", "true or false"),
        ("adapter = 3", "adapter is 3", "a string"),
        ("[field_map]\na = 1", "field_map is {'a': 1}", "a mapping"),
        ("fail_on = ", "", "correct"),
        ("\ufffe\x00", "", "correct"),
    ],
)
def test_a_wrong_file_is_named_with_its_key(tmp_path: Path, text: str, message: str, hint: str) -> None:
    file = tmp_path / "rldk.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_settings(cwd=tmp_path, env={})
    assert caught.value.message.startswith(str(file))
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_a_wrong_variable_is_named() -> None:
    with pytest.raises(ConfigError, match="env RLDK_STRICT: strict is 'maybe'"):
        load_settings(cwd=Path("/"), env={"RLDK_STRICT": "maybe"})


def test_a_field_map_may_be_json_in_a_variable() -> None:
    assert load_settings(cwd=Path("/"), env={"RLDK_FIELD_MAP": '{"ret": "reward_mean"}'})["field_map"] == {
        "ret": "reward_mean"
    }


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.toml", '[field_map]\nret = "reward_mean"'),
        ("a.json", '{"field_map": {"ret": "reward_mean"}}'),
        ("a.yaml", "field-map: {ret: reward_mean}"),
    ],
)
def test_a_named_file_wins_over_the_project_and_may_be_in_three_formats(project: Path, name: str, text: str) -> None:
    (project / "rldk.toml").write_text('field_map = {ret = "kl"}')
    (project / name).write_text(text)
    assert load_settings(file=project / name, cwd=project, env={})["field_map"] == {"ret": "reward_mean"}


@each_of("text", ["[1, 2]", "{1: 2}", "a: [", "!!python/object/apply:os.system ['true']"])
def test_a_wrong_named_file_is_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"a\.yaml: "):
        load_settings(file=tmp_path / "a.yaml", cwd=tmp_path, env={})


def test_a_home_that_cannot_be_looked_into_has_no_settings(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    home = tmp_path / "file"  # looking below a file is an OSError whoever asks
    long = tmp_path / ("x" * 300)
    for folder in (home, long):
        assert load_settings(cwd=tmp_path, env={"XDG_CONFIG_HOME": str(folder)})["fail_on"] == "critical"
