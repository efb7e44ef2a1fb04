"""Packages, environment, digests; and that no secret leaves."""

from __future__ import annotations

import hashlib
import sys
from importlib import metadata
from pathlib import Path

import pytest
from examples import each_of

import rldk
from rldk.core.configuration.versions import canonical, reaches
from rldk.core.manifest import Manifest, plain
from rldk.core.rundir import RunDirectory
from rldk.provenance import git
from rldk.provenance.capture import with_origin
from rldk.provenance.environment import environment
from rldk.provenance.hashing import file_sha256
from rldk.provenance.packages import installed


@pytest.mark.slow
def test_packages_are_those_that_metadata_knows() -> None:
    found = installed()
    told = {canonical(d.name): d.version for d in reversed([*metadata.distributions()])}
    assert found == {name: told[name] for name in sorted(told)}


def test_the_first_place_on_the_path_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for place, version in (("a", "1.0"), ("b", "2.0")):
        (tmp_path / place / f"My_pack.age-{version}.dist-info").mkdir(parents=True)
    (tmp_path / "b" / "old-0.1-py3.11.egg-info").touch()
    (tmp_path / "b" / "nameless.dist-info").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path / "a"), str(tmp_path / "b"), str(tmp_path / "absent.zip")])
    assert installed() == {"my-pack-age": "1.0", "old": "0.1"}


@each_of(
    ("version", "bound", "enough"),
    [
        ("2.0", "2.0", True), ("2.0.0", "2", True), ("1.9.9", "2", False), ("2.10", "2.9", True),
        ("2.0rc1", "2.0", False),
        ("2.1.dev3", "2.0", True), ("2.0.post1", "2.0", True), ("2.0+cu12", "2.0", True), ("2.0rc1", "2.0rc1", True),
        ("", "2", False), ("unknown", "2", False), ("2024.4", "2024.4", True),
    ],
)  # fmt: skip
def test_a_version_reaches_a_bound(version: str, bound: str, enough: bool) -> None:
    assert reaches(version, bound) is enough


def test_the_environment_names_visible_devices_and_only_known_variables() -> None:
    found = environment({"CUDA_VISIBLE_DEVICES": "0, 2", "OMP_NUM_THREADS": "4", "SOMETHING": "else"})
    assert (found["cuda_devices"], found["variables"]) == (
        ["0", "2"],
        {"CUDA_VISIBLE_DEVICES": "0, 2", "OMP_NUM_THREADS": "4"},
    )
    assert environment({})["cuda_devices"] is None
    assert environment({"CUDA_VISIBLE_DEVICES": ""})["cuda_devices"] == []


def test_a_digest_is_that_of_the_whole_file(tmp_path: Path) -> None:
    content = b"line\n" * 500_000
    (tmp_path / "f").write_bytes(content)
    assert file_sha256(tmp_path / "f") == hashlib.sha256(content).hexdigest()


def test_the_script_is_told_with_its_digest(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_bytes(b"1\n")
    found = with_origin(Manifest(), ["python", "absent.py", str(tmp_path / "train.py")])
    assert found.script is not None
    assert found.script.sha256 == hashlib.sha256(b"1\n").hexdigest()
    assert with_origin(Manifest(), ["python", "-m", "train"]).script is None


SECRET = "s3cr3tvalue0123456789"


def test_no_secret_reaches_the_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WANDB_API_KEY", "HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "DB_PASSWORD"):
        monkeypatch.setenv(name, SECRET)
    monkeypatch.setenv("XLA_FLAGS", f"--xla_dump=1 --api_key={SECRET} https://u:{SECRET}@example.com")
    (tmp_path / ".git").mkdir()
    monkeypatch.setattr(git, "_asked", lambda folder, *words, **_: f"https://{SECRET}:x@example.com/a?token={SECRET}")
    argv = [
        "python",
        "t.py",
        "--api-key",
        SECRET,
        f"--hub_token={SECRET}",
        "-c",
        f"password='{SECRET}'",
        f"hf_{SECRET}",
    ]
    monkeypatch.setattr(sys, "orig_argv", argv)
    assert SECRET not in str(plain(with_origin(Manifest(), argv, tmp_path)))
    monkeypatch.chdir(tmp_path)
    with rldk.init(tmp_path / "r", config={"lr": 0.1, "wandb_api_key": SECRET}) as session:
        assert session.dir is not None
    text = RunDirectory(session.dir).manifest.read_text()
    assert SECRET not in text
    assert "example.com" in text
