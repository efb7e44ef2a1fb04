"""The facts about a machine, from the files of made-up ones."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from rldk.core.manifest import Manifest
from rldk.provenance import libraries, machine
from rldk.provenance.capture import with_origin
from rldk.provenance.environment import environment
from rldk.provenance.lock_files import lock_files
from rldk.provenance.packages import conda_packages, origins


def _files(root: Path, texts: dict[str, str]) -> Path:
    for name, text in texts.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_a_processor_by_its_model_and_the_instructions_that_matter(tmp_path: Path) -> None:
    text = (
        "processor: 0\nmodel name\t: Chip 9\nflags\t\t: fpu avx2 fma avx512f tsc\n\nprocessor: 1\nmodel name: Other\n"
    )
    found = machine.processor(_files(tmp_path, {"proc/cpuinfo": text}))
    assert (found["model"], found["flags"]) == ("Chip 9", ["avx2", "avx512f", "fma"])
    assert found["usable"] >= 1
    assert "flags" not in machine.processor(tmp_path / "absent")


def test_memory_container_and_limits(tmp_path: Path) -> None:
    _files(tmp_path, {"proc/meminfo": "MemFree: 1 kB\nMemTotal:  2097152 kB\n", "proc/self/cgroup": "0::/a/b\n"})
    limits = {"cpu.max": "max 100000\n", "a/cpu.max": "400000 100000\n", "a/b/cpu.max": "150000 100000\n"}
    limits |= {"a/memory.max": "1073741824\n", "a/b/memory.max": "max\n"}
    _files(tmp_path / "sys/fs/cgroup", limits)
    assert machine.memory_gib(tmp_path) == 2.0
    assert machine.group_limits(tmp_path) == {"cpus": 1.5, "memory_gib": 1.0}
    assert machine.container(tmp_path, {}) is None
    assert machine.container(tmp_path, {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}) == "kubernetes"
    assert machine.container(_files(tmp_path, {".dockerenv": ""}), {}) == "docker"
    assert (machine.memory_gib(tmp_path / "x"), machine.group_limits(tmp_path / "x")) == (None, {})


def test_limits_of_the_older_hierarchy(tmp_path: Path) -> None:
    old = tmp_path / "sys/fs/cgroup"
    _files(old, {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"})
    _files(old, {"memory/memory.limit_in_bytes": "9223372036854771712"})
    assert machine.group_limits(tmp_path) == {}
    _files(old, {"cpu/cpu.cfs_quota_us": "50000"})
    assert machine.group_limits(tmp_path) == {"cpus": 0.5}


def test_gpus_as_the_driver_shows_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    version = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar\n"
    assert machine.devices(tmp_path) == {}
    information = "Model: \t NVIDIA H200\nGPU UUID: GPU-1\n"
    _files(tmp_path / "proc/driver/nvidia", {"version": version, "gpus/0/information": information})
    assert machine.devices(tmp_path) == {"driver": "550.54.15", "gpus": [{"name": "NVIDIA H200", "uuid": "GPU-1"}]}


def test_gpus_as_the_library_names_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class NVMLError(Exception):
        pass

    library = SimpleNamespace(
        NVMLError=NVMLError, nvmlInit=lambda: None, nvmlShutdown=lambda: None, nvmlDeviceGetCount=lambda: 1,
        nvmlDeviceGetHandleByIndex=lambda i: i, nvmlDeviceGetName=lambda h: b"GPU", nvmlDeviceGetUUID=lambda h: "GPU-9",
        nvmlDeviceGetMemoryInfo=lambda h: SimpleNamespace(total=80 << 30),
        nvmlSystemGetCudaDriverVersion=lambda: 12080, nvmlSystemGetDriverVersion=lambda: "570.1",
    )  # fmt: skip
    _files(tmp_path, {"dev/nvidiactl": ""})
    monkeypatch.setitem(sys.modules, "pynvml", library)
    gpu = {"name": "GPU", "uuid": "GPU-9", "memory_gib": 80.0}
    assert machine.devices(tmp_path) == {"driver": "570.1", "cuda": "12.8", "gpus": [gpu]}


def test_the_build_of_libraries_is_read_without_importing_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = "__version__ = '2.9.0+cu128'\ndebug = False\ncuda: Optional[str] = '12.8'\nhip: Optional[str] = None\n"
    blas = '"Build": {"blas": {"name": "mkl", "found": bool("True"), "version": "2024"}, "lapack": {}}'
    _files(tmp_path, {"torch/__init__.py": "1/0", "torch/version.py": torch, "numpy/__config__.py": blas})
    _files(tmp_path, {"numpy/__init__.py": "1/0"})
    for name in ("torch", "numpy"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert libraries.torch_build() == {"version": "2.9.0+cu128", "cuda": "12.8"}
    assert libraries.linear_algebra() == {"blas": {"name": "mkl", "version": "2024"}}


def test_libraries_that_are_not_there_have_no_build(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    assert (libraries.torch_build(), libraries.linear_algebra()) == ({}, {})


def test_origins_of_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = {
        "a": {"url": "file:///src/a", "dir_info": {"editable": True}},
        "b": {"url": "https://me:s3cret@h/b.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}},
        "c": {"url": "https://h/c.whl?token=s3cret", "archive_info": {}},
        "d": ["no object"],
    }
    for name, value in told.items():
        (tmp_path / f"{name}-1.dist-info").mkdir()
        (tmp_path / f"{name}-1.dist-info" / "direct_url.json").write_text(json.dumps(value))
    (tmp_path / "e-1.dist-info").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert origins() == {"a": "editable file:///src/a", "b": "git+https://h/b.git@abc", "c": "https://h/c.whl"}


def test_conda_packages_by_the_names_of_their_files(tmp_path: Path) -> None:
    names = ("numpy-base-2.1-py311_0.json", "history", "python-3.11.7-h1_0.json", "odd.json")
    _files(tmp_path / "conda-meta", dict.fromkeys(names, ""))
    assert conda_packages(tmp_path) == {"numpy-base": "2.1 py311_0", "python": "3.11.7 h1_0"}
    assert conda_packages(tmp_path / "x") == {}


def test_lock_files_near_the_script_up_to_the_repository(tmp_path: Path) -> None:
    texts = {"uv.lock": "outside", "code/uv.lock": "a", "code/x/requirements.txt": "b", "code/x/y.txt": "c"}
    _files(tmp_path, texts)
    (tmp_path / "code" / "poetry.lock").symlink_to(tmp_path / "uv.lock")
    assert list(lock_files(tmp_path / "code" / "x")) == ["requirements.txt"]
    (tmp_path / "code" / ".git").mkdir()
    found = lock_files(tmp_path / "code" / "x")
    assert list(found) == ["uv.lock", "x/requirements.txt"]
    assert found["uv.lock"] == "sha256:ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"
    assert with_origin(Manifest(), ["x"], tmp_path / "code" / "x").environment["lock_files"] == found


def test_the_environment_starts_no_program(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a program was started")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    assert environment()["processor"]["usable"] >= 1
