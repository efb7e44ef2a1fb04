"""`rldk version --self`: what is wrong with an installation, and the command that mends it."""

from __future__ import annotations

import importlib
import json
import tempfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from rldk.cards import terminal
from rldk.cli.main import main
from rldk.provenance import installation
from rldk.provenance.installation import check_installation, view_of


def test_this_installation_is_fine() -> None:
    done = CliRunner().invoke(main, ["version", "--self", "--json"])
    found = json.loads(done.stdout)
    assert (done.exit_code, found["problems"]) == (0, [])
    assert {"click", "msgspec", "numpy"} <= {need["name"] for need in found["packages"]}
    names = [extra["name"] for extra in found["extras"]]
    assert names == sorted(names)
    assert {"fast", "mlflow", "parquet", "remote", "wandb"} <= set(names)


def test_every_form_of_a_requirement_is_read() -> None:
    needs = ["click>=8", "a[x,y]>=2.4; extra == 'one'", 'b==1.2.0; extra == "one"', "c<3,>=2; extra == 'two'"]
    needs += ["d ; python_version >= '3.9' and extra == 'two'", "e>=1 ; extra == 'integrations'"]
    found = check_installation(needs)
    assert [each.name for each in found.packages] == ["click"]
    assert {extra.name: [(p.name, p.least) for p in extra.packages] for extra in found.extras} == {
        "one": [("a", "2.4"), ("b", "1.2.0")],
        "two": [("c", ""), ("d", "")],
    }


def test_a_missing_or_an_old_package_is_a_problem_and_a_missing_extra_is_none() -> None:
    needs = ["absent-package>=1", "Click>=99", "numpy", "absent-one>=2; extra == 'gone'", "x; extra == 'dev'"]
    found = check_installation(needs)
    assert found.problems == ("absent-package: not installed", "click: older than 99")
    assert [(extra.name, extra.install) for extra in found.extras] == [("gone", 'pip install --upgrade "rldk[gone]"')]
    shown = terminal.render(view_of(found))
    assert shown.startswith("rldk 0.1.0 does not work here: absent-package: not installed; click: older than 99.")
    assert '  pip install --upgrade "rldk[gone]"\n' in shown


def test_a_package_that_cannot_be_imported_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> object:
        raise OSError("libx.so: no such file")

    monkeypatch.setattr(importlib, "import_module", broken)
    assert check_installation(["click"]).problems == ("click: cannot be imported (OSError)",)


def test_a_place_that_cannot_be_written_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/rldk")
    assert [p.partition(":")[0] for p in check_installation([]).problems] == ["/proc/rldk"]
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "not" / "yet"))
    assert check_installation([]).problems == ()
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    monkeypatch.setattr(tempfile, "gettempdir", lambda: "/proc/rldk")
    done = CliRunner().invoke(main, ["version", "--self"])
    assert (done.exit_code, "/proc/rldk: cannot be written" in done.stdout) == (1, True)


def test_without_metadata_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "DISTRIBUTION", "rldk-that-is-not-there")
    assert "not installed as a package" in check_installation().problems[-1]
