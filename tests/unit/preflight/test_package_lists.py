"""Lists of packages: requirements, lock files, the record of a run; and versions within bounds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rldk.core.configuration.versions import within
from rldk.errors import MalformedInput, UnreadableSource
from rldk.preflight.packages import packages_of


def test_every_kind_of_list_is_read(tmp_path: Path) -> None:
    texts = {
        "requirements.txt": "# pinned\ntrl==0.26.2\nvllm[flash] == 0.12.0 ; python_version > '3'\ntorch>=2\n",
        "uv.lock": '[[package]]\nname = "trl"\nversion = "0.26.2"\n[[package]]\nname = "vllm"\nversion = "0.12.0"\n',
        "Pipfile.lock": json.dumps({"default": {"trl": {"version": "==0.26.2"}, "vllm": {"version": "==0.12.0"}}}),
        "environment.yml": "dependencies:\n  - trl=0.26.2\n  - pip:\n    - vllm==0.12.0\n",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
        assert packages_of(tmp_path / name) == {"trl": "0.26.2", "vllm": "0.12.0"}, name


def test_a_run_has_recorded_its_packages(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps({"schema_version": 1, "packages": {"Flash_Attn": "2.8"}}))
    assert packages_of(tmp_path) == {"flash-attn": "2.8"}


def test_what_names_no_version_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "r.txt").write_text("torch>=2\n")
    (tmp_path / "uv.lock").write_text("[[")
    with pytest.raises(MalformedInput, match="names no exact version"):
        packages_of(tmp_path / "r.txt")
    with pytest.raises(MalformedInput, match="cannot be read"):
        packages_of(tmp_path / "uv.lock")
    with pytest.raises(MalformedInput, match="records no packages"):
        packages_of(tmp_path)
    with pytest.raises(UnreadableSource):
        packages_of(tmp_path / "gone.txt")


def test_without_a_source_it_is_what_is_installed() -> None:
    assert "pytest" in packages_of(None)


def test_versions_within_bounds() -> None:
    cases = [
        ("0.12.0", ">=0.12.0", True),
        ("0.12.0rc1", ">=0.12.0", False),
        ("0.11.2", ">=0.11.1,<0.12", True),
        ("5.1.0", "==5.1.0", True),
        ("5.1.1", "!=5.1.0", True),
        ("0.6.4", ">0.6.4", False),
        ("0.6.5", ">0.6.4", True),
        ("0.6.4", "<=0.6.4", True),
        ("1.0", ">=0", True),
        ("local", ">=0", False),
        ("1.0", "~=1.0", False),
    ]
    assert [within(version, bounds) for version, bounds, _ in cases] == [expected for _, _, expected in cases]
