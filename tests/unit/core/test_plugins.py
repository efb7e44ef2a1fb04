"""Plugins are found wherever importlib.metadata finds them."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from importlib.metadata import entry_points as declared
from pathlib import Path

import pytest

from rldk.core.plugins import entry_points

PLUGIN = "[rldk.rules]\nmine = my_plugin\n"
METADATA = "Metadata-Version: 2.1\nName: my-plugin\nVersion: 1.0\n"
BROKEN = "raise RuntimeError('no luck')\n"


def install(root: Path, folder: str, code: str = "") -> Path:
    info = root / folder
    info.mkdir(parents=True)
    (info / "entry_points.txt").write_text(PLUGIN)
    (info / ("METADATA" if folder.endswith("dist-info") else "PKG-INFO")).write_text(METADATA)
    (root / "my_plugin.py").write_text(code)
    return root


def zipped(root: Path) -> Path:
    place = root / "plugins.zip"
    with zipfile.ZipFile(place, "w") as archive:
        archive.writestr("my_plugin-1.0.dist-info/entry_points.txt", PLUGIN)
        archive.writestr("my_plugin-1.0.dist-info/METADATA", METADATA)
    return place


@pytest.mark.parametrize("folder", ["my_plugin-1.0.dist-info", "my_plugin-1.0.egg-info", "My.EGG-INFO"])
def test_a_directory_of_the_path(folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(install(tmp_path, folder))
    assert [point.name for point in entry_points("rldk.rules")] == ["mine"]
    assert list(entry_points("rldk.renderers")) == list(declared(group="rldk.renderers"))


def test_a_zip_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(zipped(tmp_path))
    assert [point.name for point in entry_points("rldk.rules")] == ["mine"]


@pytest.mark.slow
def test_a_plugin_is_loaded_and_a_broken_one_is_a_warning(tmp_path: Path) -> None:
    code = "from rldk.rules.rule import rules; print('MINE' if len(rules) else '')"
    ask = [sys.executable, "-c", code]
    for text, said in (("print('loaded')\n", "loaded"), (BROKEN, "plugin 'mine' (my_plugin) of rldk.rules was not")):
        place = install(tmp_path / said[:6], "my_plugin-1.0.dist-info", text)
        done = subprocess.run(ask, env={"PYTHONPATH": str(place)}, capture_output=True, text=True, check=True)
        assert "MINE" in done.stdout
        assert said in done.stdout + done.stderr
